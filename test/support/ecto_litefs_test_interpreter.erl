%% Does what ecto_litefs_test_ops says, on a node, and tells what came of each
%% operation: its value or its exception, as an application sees them.
-module(ecto_litefs_test_interpreter).

-export([run/2]).

%% Called by name, and by ecto_litefs_test_steps.
-export([transaction/3]).
-export([call/3]).
-export([resource/3]).
-export([queryable/1]).
-export([rows/1]).

-type op() :: ecto_litefs_test_ops:op().
-type ending() :: ecto_litefs_test_ops:ending().
-type result() :: {returned | error | exit | throw, term()}.

-define(ITEM, ecto_litefs_test_item).
-define(API, 'Elixir.EctoLiteFS').

-spec run(module(), [op()]) -> [result()].
run(Repo, Ops) ->
    [caught(Op, Repo) || Op <- Ops].

%% A rollback goes on to its transaction.
caught(Op, Repo) ->
    try {returned, perform(Op, Repo)}
    catch
        throw:{ecto_litefs_test_transaction, _, _} = To -> throw(To);
        error:Reason:Stack -> true = expected(Reason, Stack), {error, Reason};
        exit:Reason -> {exit, Reason};
        throw:Value -> {throw, Value}
    end.

%% Others are mistakes, of this module or of the library, and end the run. Ecto
%% has no clause for a merged Multi that was rolled back.
expected(#{'__exception__' := true}, _Stack) -> true;
expected({case_clause, {error, _}}, _Stack) -> true;
expected(Reason, Stack) ->
    lists:member(Reason, ecto_litefs_test_ops:crashes())
        orelse erlang:raise(error, Reason, Stack).

%%% Operations

perform({write, Function, Resource, Modifiers, Options}, Repo) ->
    Repo:Function(resource(Resource, Modifiers, Repo), Options);
perform({insert_all, Rows, Options}, Repo) ->
    Repo:insert_all(items, rows(Rows), Options);
perform({update_all, Query, Value, Options}, Repo) ->
    Repo:update_all(queryable(Query), [{set, [{value, Value}]}], Options);
perform({delete_all, Query, Options}, Repo) ->
    Repo:delete_all(queryable(Query), Options);
perform({get, Id}, Repo) ->
    Repo:get(items, Id);
perform({sql, Function, {Sql, Params}, Options}, Repo) ->
    Repo:Function(Sql, Params, Options);
perform({transaction, Api, Form, Options, Ops, Ending}, Repo) ->
    transact(Api, work(Form, transaction, [Ops, Ending, Repo]), Options, Repo);
perform({multi, Api, Options, Steps}, Repo) ->
    transact(Api, ecto_litefs_test_steps:multi(Steps, Repo), Options, Repo);
perform({run_on_primary, Form, Options, Ops, Ending}, Repo) ->
    ?API:run_on_primary(Repo, work(Form, call, [Ops, Ending, Repo]), Options);
perform({with, Key, Option, Ops}, Repo) ->
    with(Key, Option, fun() -> run(Repo, Ops) end);
perform({in_other_repo, Ops}, Repo) ->
    Repo = Repo:put_dynamic_repo(ecto_litefs_test_state:other(Repo)),
    try run(Repo, Ops)
    after
        Repo:put_dynamic_repo(Repo)
    end;
perform({rollback, Value}, Repo) ->
    Repo:rollback(Value);
perform('in_transaction?', Repo) ->
    Repo:'in_transaction?'();
perform({Read, Queryable}, Repo) ->
    Repo:Read(queryable(Queryable)).

transact('EctoLiteFS.transaction', Work, Options, Repo) ->
    ?API:transaction(Repo, Work, Options);
transact(Function, Work, Options, Repo) ->
    Repo:Function(Work, Options).

with(Key, Option, Fun) ->
    Name = case Key of user -> ops_user; tenant -> ops_tenant end,
    Before = put(Name, Option),
    try Fun()
    after
        put(Name, Before)
    end.

%%% Work

work(fun0, Name, Args) -> fun() -> apply(?MODULE, Name, Args) end;
work(fun1, Name, Args) -> fun(_Repo) -> apply(?MODULE, Name, Args) end;
work(mfa, Name, Args) -> {?MODULE, Name, Args}.

%% With the options that it runs with, but for those that may differ.
-spec transaction([op()], ending(), module()) -> term().
transaction(Ops, Ending, Repo) ->
    Pool = Repo:get_dynamic_repo(),
    {_Node, Options} = ecto_litefs_test_repo:last_options(Pool, transaction),
    Seen = [Option || {Key, _} = Option <- lists:sort(Options), Key =/= mode],
    ended(Ending, Seen ++ run(Repo, Ops), Repo).

-spec call([op()], ending(), module()) -> term().
call(Ops, Ending, Repo) ->
    ended(Ending, run(Repo, Ops), Repo).

ended({value, Value}, Results, _Repo) -> carrying(Results, Value);
ended({ok, Value}, Results, _Repo) -> {ok, carrying(Results, Value)};
ended({error, Value}, Results, _Repo) -> {error, carrying(Results, Value)};
ended({rollback, Value}, Results, Repo) ->
    Repo:rollback(carrying(Results, Value));
ended({raise, Message}, Results, _Repo) ->
    ecto_litefs_test_error:raise('Elixir.RuntimeError',
                                 #{message => Message, results => Results});
ended({exit, Value}, Results, _Repo) -> exit(carrying(Results, Value));
ended({throw, Value}, Results, _Repo) -> throw(carrying(Results, Value));
ended({crash, Reason}, _Results, _Repo) -> error(Reason);
ended({last, Op}, _Results, Repo) -> perform(Op, Repo).

carrying([], Value) -> Value;
carrying(Results, Value) -> {Value, Results}.

%%% What is given to the Repo

-spec resource(ecto_litefs_test_ops:resource(),
               [ecto_litefs_test_ops:modifier()], module()) -> map().
resource(Resource, Modifiers, Repo) ->
    lists:foldl(fun(Modifier, Given) -> modified(Modifier, Given, Repo) end,
                given(Resource, Repo), Modifiers).

given({struct, Name, Value}, _Repo) ->
    ?ITEM:new(#{name => Name, value => Value});
given({new, Name, Value}, _Repo) ->
    ?ITEM:changeset(?ITEM:new(), #{name => Name, value => Value});
given({row, Name}, Repo) ->
    row(Name, Repo);
given({stored, Name, Changes}, Repo) ->
    ?ITEM:changeset(row(Name, Repo), maps:from_list(Changes));
given({stale, Name, Changes}, _Repo) ->
    ?ITEM:changeset(stale(Name), maps:from_list(Changes)).

row(Name, Repo) ->
    case Repo:one(queryable({named, Name})) of
        nil -> stale(Name);
        Item -> Item
    end.

stale(Name) -> ?ITEM:loaded(1000, Name, 0).

modified(unique, Changeset, _Repo) ->
    ?ITEM:unique_constraint(Changeset);
modified({hook, Ops, Ending}, Changeset, Repo) ->
    Hook = fun(Now) -> hooked(Ops, Ending, Now, Repo) end,
    ?ITEM:prepare_changes(Changeset, Hook).

%% What the operations gave becomes the row's value.
hooked(Ops, Ending, #{changes := Changes} = Changeset, Repo) ->
    Results = run(Repo, Ops),
    case ended(Ending, [], Repo) of
        {error, _} -> ?ITEM:add_error(Changeset, name, {<<"of a hook">>, []});
        _ when Results =:= [] -> Changeset;
        _ -> Changeset#{changes := Changes#{value => erlang:phash2(Results)}}
    end.

-spec queryable(ecto_litefs_test_ops:queryable()) -> term().
queryable(items) -> items;
queryable({named, Name}) -> ecto_litefs_test_bulk:named(Name);
queryable({selected, Name}) ->
    ecto_litefs_test_bulk:select(ecto_litefs_test_bulk:named(Name)).

-spec rows([{binary() | nil, integer() | nil}]) -> [map()].
rows(Rows) ->
    [#{name => Name, value => Value} || {Name, Value} <- Rows].
