%% How an Ecto.Multi runs: what is known to fail before the transaction
%% begins, and then one operation after the other.
-module(ecto_litefs_test_multi).

-export([run/4]).

-export_type([wrap/0]).
-export_type([return/0]).

-type multi() :: 'Elixir.Ecto.Multi':t().
-type changes() :: #{term() => term()}.
-type failure() :: {Name :: term(), Value :: term(), changes()}.

%% The transaction, and its end with a failure.
-type wrap() :: fun((fun(() -> changes())) -> result()).
-type result() :: {ok, changes()} | {error, term()}.
-type return() :: fun((failure()) -> no_return()).

-spec run(multi(), module(), wrap(), return()) -> result().
run(Multi, Repo, Wrap, Return) ->
    #{operations := Operations, names := #{map := Names}} = Multi,
    InOrder = lists:reverse(Operations),
    case {InOrder, lists:filtermap(fun refused/1, InOrder)} of
        {_, [Failure | _]} -> {error, Failure};
        {[], []} -> {ok, #{}};
        {_, []} ->
            Step = fun(Operation, Changes) ->
                           step(Operation, Changes, {Repo, Names, Wrap, Return})
                   end,
            Wrap(fun() -> lists:foldl(Step, #{}, InOrder) end)
    end.

refused({Name, {changeset, #{'valid?' := false} = Changeset, _}}) ->
    {true, {Name, Changeset, #{}}};
refused({Name, {error, Value}}) ->
    {true, {Name, Value, #{}}};
refused(_Operation) ->
    false.

step({_, {merge, Merge}}, Changes, {Repo, _, Wrap, Return} = Context) ->
    Multi = called(Merge, [Changes]),
    case 'Elixir.Ecto.Multi':'__apply__'(Multi, Repo, Wrap, Return) of
        {ok, More} ->
            merged(Changes, More, Context);
        {error, {Name, Value, More}} ->
            Return({Name, Value, merged(Changes, More, Context)})
    end;
step({_, {inspect, Options}}, Changes, _Context) ->
    Only = proplists:get_value(only, Options, maps:keys(Changes)),
    io:format("~p~n", [maps:with(lists:flatten([Only]), Changes)]),
    Changes;
step({Name, Operation}, Changes, {Repo, _, _, Return}) ->
    case operation(Operation, Repo, Changes) of
        {ok, Value} -> Changes#{Name => Value};
        {error, Value} -> Return({Name, Value, Changes});
        Other ->
            ecto_litefs_test_error:raise(
              'Elixir.RuntimeError',
              "~p of the Ecto.Multi answers {ok, _} or {error, _}, not ~p",
              [Name, Other])
    end.

operation({changeset, #{action := Action} = Changeset, Options}, Repo, _) ->
    Repo:Action(Changeset, Options);
operation({run, Run}, Repo, Changes) ->
    called(Run, [Repo, Changes]);
operation({put, Value}, _Repo, _Changes) ->
    {ok, Value};
operation({insert_all, Schema, Rows, Options}, Repo, _Changes) ->
    {ok, Repo:insert_all(Schema, Rows, Options)};
operation({update_all, Query, Updates, Options}, Repo, _Changes) ->
    {ok, Repo:update_all(Query, Updates, Options)};
operation({delete_all, Query, Options}, Repo, _Changes) ->
    {ok, Repo:delete_all(Query, Options)}.

called({Module, Function, Args}, First) ->
    apply(Module, Function, First ++ Args);
called(Fun, First) ->
    apply(Fun, First).

%% A name may not be in both, whether its operation has run yet or not.
merged(Changes, More, {_Repo, Names, _Wrap, _Return}) ->
    case maps:keys(maps:with(maps:keys(More), maps:merge(Names, Changes))) of
        [] -> maps:merge(Changes, More);
        Both ->
            ecto_litefs_test_error:raise(
              'Elixir.RuntimeError',
              "~p are in both the Ecto.Multi and the merged one", [Both])
    end.
