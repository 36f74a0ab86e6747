%% What a replica does, as the README says it, with one database and without
%% another node: a model in the place of this library. It is loaded under the
%% names of EctoLiteFS, EctoLiteFS.Repo and EctoLiteFS.Middleware, so that the
%% same application runs with it.
%%
%% The calling process knows where it would be:
%%   here     on the replica
%%   reading  in a transaction that stays there
%%   primary  in what was forwarded
%% Of its other keys `ops_user` goes along, because the option `propagate` names
%% it, and `ops_tenant` does not.
-module(ecto_litefs_test_replica).

-export([default_options/1]).

%% EctoLiteFS
-export([transaction/3]).
-export([run_on_primary/3]).

%% EctoLiteFS.Repo
-export([transaction/5]).
-export([query/6]).

%% EctoLiteFS.Middleware
-export(['__ecto_middleware_handles_bulk__'/0]).
-export([process/2]).

-type options() :: [{atom(), term()}].
-type work() :: fun() | {module(), atom(), [term()]}.

-define(PLACE, ecto_litefs_test_place).
-define(SQLITE, 'Elixir.Exqlite.Error').
-define(REFUSED, #{'__struct__' := ?SQLITE,
                   message := <<"attempt to write a readonly database">>}).
-define(WRITES, [insert, 'insert!', update, 'update!', delete, 'delete!',
                 insert_or_update, 'insert_or_update!',
                 insert_all, update_all, delete_all]).

%% Those of the Repo, on every node.
-spec default_options(atom()) -> options().
default_options(_Operation) ->
    [Option || Key <- [ops_tenant, ops_user], {_, _} = Option <- [get(Key)]].

%%% Single operations

-spec '__ecto_middleware_handles_bulk__'() -> true.
'__ecto_middleware_handles_bulk__'() ->
    true.

-spec process(term(), map()) -> {halt, term()}.
process(_Resource, #{repo := Repo, action := Action, args := Args}) ->
    case {lists:member(Action, ?WRITES), place()} of
        {true, reading} -> refuse(in_transaction, Action, Repo);
        {true, here} ->
            {Before, [Options]} = lists:split(length(Args) - 1, Args),
            {halt, on_primary(Repo, Options,
                              fun(O) -> Repo:super(Action, Before ++ [O]) end)};
        _ -> {halt, Repo:super(Action, Args)}
    end.

-spec run_on_primary(module(), work(), options()) -> term().
run_on_primary(Repo, Work, _Options) ->
    Run = work(Work),
    case place() of
        here -> on_primary(Repo, [], fun(_) -> Run() end);
        reading -> refuse(in_transaction, run_on_primary, Repo);
        primary -> Run()
    end.

%%% Transactions

-spec transaction(module(), work() | map(), options()) -> term().
transaction(Repo, Work, Options) ->
    transaction(Repo, transaction, Work, Options,
                fun(W, O) -> Repo:transaction(W, O) end).

-spec transaction(module(), atom(), work() | map(), options(), fun()) -> term().
transaction(Repo, Function, Work, Options, Super) ->
    Begin = fun(O) -> Super(work(Work), O) end,
    Locally = fun() -> Begin(deferred(Options)) end,
    Read = fun() -> refusals(Function, Repo, Locally) end,
    Reads = proplists:get_bool(read_only, Options) orelse reads(Work),
    case {place(), Reads} of
        {here, true} -> query_only(Repo, fun() -> at(reading, Read) end);
        {here, false} -> on_primary(Repo, Options, Begin);
        {reading, true} -> Read();
        {reading, false} -> refuse(in_transaction, Function, Repo);
        {primary, _} -> Begin(Options)
    end.

%% SQLite's query_only refuses a BEGIN IMMEDIATE, which LiteFS does not.
deferred(Options) -> lists:keystore(mode, 1, Options, {mode, deferred}).

work({Module, Function, Args}) -> fun() -> apply(Module, Function, Args) end;
work(Work) -> Work.

%% ecto_litefs_test_steps gives each operation a name that says what it does.
reads(#{operations := Operations}) ->
    lists:all(fun({{reads, _}, _}) -> true; (_) -> false end, Operations);
reads(_FunOrMfa) ->
    false.

%%% SQL

-spec query(module(), atom(), iodata(), list(), options(), fun()) -> term().
query(Repo, Function, Sql, Params, Options, Super) ->
    Run = fun() -> Super(Sql, Params, lists:keydelete(on, 1, Options)) end,
    On = proplists:get_value(on, Options, auto),
    case {place(), On} of
        {primary, _} -> Run();
        {here, local} -> query_only(Repo, Run);
        {reading, local} -> Run();
        _ -> routed(On, Repo, Function, Sql, Run)
    end.

routed(On, Repo, Function, Sql, Run) ->
    case {lists:member(Sql, ecto_litefs_test_statements:controls()), place()} of
        {true, _} -> refuse(transaction_statement, Function, Repo);
        {false, here} -> Run();
        {false, reading} when On =:= primary ->
            refuse(in_transaction, Function, Repo);
        {false, reading} ->
            case ecto_litefs_test_statements:'write?'(Sql) of
                true -> write(Function, Repo, Run);
                false -> read(Function, Repo, Run)
            end
    end.

read(Function, Repo, Run) ->
    case refusals(Function, Repo, Run) of
        {error, ?REFUSED} -> refuse(in_transaction, Function, Repo);
        Value -> Value
    end.

%% What changed nothing here, or failed, might do something on the primary.
write(Function, Repo, Run) ->
    try Run() of
        {error, #{'__struct__' := ?SQLITE}} ->
            refuse(in_transaction, Function, Repo);
        {ok, #{num_rows := 0}} -> refuse(in_transaction, Function, Repo);
        #{num_rows := 0} -> refuse(in_transaction, Function, Repo);
        Value -> Value
    catch
        error:#{'__struct__' := ?SQLITE} ->
            refuse(in_transaction, Function, Repo)
    end.

%%% Help

place() ->
    case get(?PLACE) of
        undefined -> here;
        Place -> Place
    end.

at(Place, Fun) ->
    Before = put(?PLACE, Place),
    try Fun()
    after
        put(?PLACE, Before)
    end.

%% The options of the call itself go along.
on_primary(Repo, Options, Call) ->
    Default = [Option || {Key, _} = Option <- Repo:default_options(any),
                         not lists:keymember(Key, 1, Options)],
    Tenant = erase(ops_tenant),
    try at(primary, fun() -> Call(Default ++ Options) end)
    after
        put(ops_tenant, Tenant)
    end.

%% As LiteFS refuses what a replica writes.
query_only(Repo, Fun) ->
    ok = ecto_litefs_test_repo:sql(Repo, "PRAGMA query_only = 1", []),
    try Fun()
    after
        ok = ecto_litefs_test_repo:sql(Repo, "PRAGMA query_only = 0", [])
    end.

refusals(Function, Repo, Fun) ->
    try Fun()
    catch
        error:?REFUSED -> refuse(in_transaction, Function, Repo)
    end.

-spec refuse(atom(), atom(), module()) -> no_return().
refuse(Reason, Function, Repo) ->
    ecto_litefs_test_error:raise(
      'Elixir.EctoLiteFS.Error',
      #{reason => Reason, action => Function, repo => Repo, node => nil,
        outcome => not_executed}).
