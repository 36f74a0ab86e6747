%% The transactions of the stand-in Repo, as Ecto and DBConnection make them:
%% an inner one is a part of the outer one, and when it has failed, nothing of
%% the outer one is committed.
-module(ecto_litefs_test_transaction).

-export([transact/3]).
-export([run/3]).
-export([rollback/2]).
-export(['in_transaction?'/1]).
-export([connected/2]).

-type work() :: fun(() -> answer()) | fun((module()) -> answer())
              | 'Elixir.Ecto.Multi':t().
-type answer() :: {ok, term()} | {error, term()}.

%% Ecto.Repo.transact/2, of a fun or an Ecto.Multi.
-spec transact(module(), work(), [{atom(), term()}]) ->
          answer() | {error, Name :: term(), Value :: term(), Changes :: map()}.
transact(Repo, Work, Given) ->
    Options = ecto_litefs_test_options:merged(Repo, transaction, Given),
    case Work of
        _ when is_function(Work, 0) ->
            run(Repo, fun() -> answered(Repo, Work()) end, Options);
        _ when is_function(Work, 1) ->
            run(Repo, fun() -> answered(Repo, Work(Repo)) end, Options);
        #{'__struct__' := 'Elixir.Ecto.Multi'} ->
            multi(Repo, Work, Options)
    end.

answered(_Repo, {ok, Value}) ->
    Value;
answered(Repo, {error, Reason}) ->
    rollback(Repo, Reason);
answered(_Repo, Other) ->
    ecto_litefs_test_error:raise(
      'Elixir.ArgumentError',
      "the fun of a transaction answers {ok, _} or {error, _}, not ~p",
      [Other]).

multi(Repo, Multi, Options) ->
    Wrap = fun(Fun) -> run(Repo, Fun, Options) end,
    Return = fun(Failure) -> rollback(Repo, Failure) end,
    case 'Elixir.Ecto.Multi':'__apply__'(Multi, Repo, Wrap, Return) of
        {ok, Changes} ->
            {ok, Changes};
        {error, {Name, Value, Changes}} ->
            {error, Name, Value, Changes};
        {error, Reason} ->
            ecto_litefs_test_error:raise(
              'Elixir.RuntimeError',
              "rolled back with ~p, and not by the Ecto.Multi itself", [Reason])
    end.

%% What is below Ecto's own functions: the adapter's transaction.
-spec run(module(), fun(() -> term()), [{atom(), term()}]) -> answer().
run(Repo, Fun, Options) ->
    Pool = pool(Repo),
    Mode = proplists:get_value(mode, Options, deferred),
    case status(Pool) of
        none ->
            ecto_litefs_test_pool:run(
              Pool, fun(Connection) -> outer(Pool, Connection, Fun, Mode) end);
        _ ->
            inner(Pool, Fun)
    end.

outer(Pool, Connection, Fun, Mode) ->
    control(Pool, Connection, begin_sql(Mode)),
    set_status(Pool, ok),
    try concluded(Pool, Fun()) of
        Value ->
            control(Pool, Connection, "COMMIT"),
            {ok, Value}
    catch
        throw:{?MODULE, Pool, Reason} ->
            control(Pool, Connection, "ROLLBACK TRANSACTION"),
            {error, Reason};
        Class:Reason:Stack ->
            _ = (catch control(Pool, Connection, "ROLLBACK TRANSACTION")),
            erlang:raise(Class, Reason, Stack)
    after
        erase({?MODULE, Pool})
    end.

begin_sql(Mode) ->
    case Mode of
        deferred -> "BEGIN TRANSACTION";
        immediate -> "BEGIN IMMEDIATE TRANSACTION";
        exclusive -> "BEGIN EXCLUSIVE TRANSACTION"
    end.

%% Exqlite gives up a connection on which one of these has failed, so that an
%% open transaction ends with it.
control(Pool, Connection, Sql) ->
    try ecto_litefs_test_sqlite:execute(Connection, Sql, [])
    catch
        error:Error ->
            ok = ecto_litefs_test_pool:disconnect(Pool),
            error(Error)
    end.

inner(Pool, Fun) ->
    try {ok, concluded(Pool, Fun())}
    catch
        throw:{?MODULE, Pool, Reason} ->
            set_status(Pool, aborted),
            {error, Reason};
        Class:Reason:Stack ->
            set_status(Pool, aborted),
            erlang:raise(Class, Reason, Stack)
    end.

%% Whoever goes on after an inner one has failed is told at the end.
concluded(Pool, Value) ->
    case status(Pool) of
        ok -> Value;
        aborted -> throw({?MODULE, Pool, rollback})
    end.

-spec rollback(module(), term()) -> no_return().
rollback(Repo, Value) ->
    case 'in_transaction?'(Repo) of
        true ->
            throw({?MODULE, pool(Repo), Value});
        false ->
            ecto_litefs_test_error:raise(
              'Elixir.RuntimeError',
              "cannot call rollback outside of transaction", [])
    end.

-spec 'in_transaction?'(module()) -> boolean().
'in_transaction?'(Repo) ->
    status(pool(Repo)) =/= none.

%% Calls Fun with the connection of the transaction, or with a free one.
-spec connected(module(),
                fun((ecto_litefs_test_sqlite:connection()) -> Result)) ->
          Result.
connected(Repo, Fun) ->
    Pool = pool(Repo),
    case status(Pool) of
        aborted ->
            ecto_litefs_test_error:raise(
              'Elixir.DBConnection.ConnectionError',
              #{message => <<"transaction rolling back">>,
                severity => error, reason => error});
        _ ->
            ecto_litefs_test_pool:run(Pool, Fun)
    end.

%% A name and a process id of the same pool mean the same.
pool(Repo) ->
    ecto_litefs_test_pool:name(ecto_litefs_test_repo:get_dynamic_repo(Repo)).

status(Pool) ->
    case get({?MODULE, Pool}) of
        undefined -> none;
        Status -> Status
    end.

set_status(Pool, Status) ->
    put({?MODULE, Pool}, Status),
    ok.
