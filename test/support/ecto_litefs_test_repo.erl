%% A stand-in for a Repo that uses Ecto, ecto_sqlite3 and EctoMiddleware.Repo,
%% on real SQLite (Debian's erlang-p1-sqlite3). One connection, that is the
%% pool; everything else answers, raises and locks as Ecto does.
%%
%% A Repo module is two lines (see 'Elixir.TestRepo'):
%%
%%   -module('Elixir.TestRepo').
%%   -include("ecto_litefs_test_repo.hrl").
%%
%% To use one, on each node:
%%
%%   {ok, Pid} = ecto_litefs_test_repo:start('Elixir.TestRepo',
%%                                           #{database => "/mnt/litefs/db"}),
%%   ok = ecto_litefs_test_repo:create_table('Elixir.TestRepo'), % on a primary
%%   Changeset = ecto_litefs_test_item:changeset(
%%                 ecto_litefs_test_item:new(), #{name => <<"ann">>}),
%%   {ok, Item} = 'Elixir.TestRepo':insert(Changeset),
%%   [Item] = 'Elixir.TestRepo':all(ecto_litefs_test_item),
%%   ok = ecto_litefs_test_repo:stop('Elixir.TestRepo').
%%
%% Options: database (required), journal_mode (wal | delete, default: as the
%% file is; set on the primary only, LiteFS refuses it elsewhere),
%% busy_timeout (ms, default 5000), name (the Repo's; another one is a database
%% for put_dynamic_repo/1). `rows(Repo)` reads {Name, Value} pairs past
%% Ecto; `sql(Repo, SQL, Params)` runs any statement on the connection.
%% `set_middleware(Repo, Modules)` replaces ['Elixir.EctoLiteFS.Middleware'].
-module(ecto_litefs_test_repo).

-behaviour(gen_server).

-export([start/2]).
-export([start_link/2]).
-export([stop/1]).
-export([create_table/1]).
-export([rows/1]).
-export([sql/3]).
-export([set_middleware/2]).
-export([middleware/1]).
-export([opened/1]).

%% What a Repo module consists of.
-export([call/3]).
-export([write/3]).
-export([get/2]).
-export([all/1]).
-export([transaction/3]).
-export([rollback/2]).
-export(['in_transaction?'/1]).
-export([disconnect_all/1]).
-export([get_dynamic_repo/1]).
-export([put_dynamic_repo/2]).

-export([init/1]).
-export([handle_call/3]).
-export([handle_cast/2]).
-export([handle_info/2]).
-export([terminate/2]).

-define(TIMEOUT, 60000).
-define(MIDDLEWARE, ['Elixir.EctoLiteFS.Middleware']).

-type options() :: #{database := file:name_all(),
                     journal_mode => wal | delete,
                     busy_timeout => non_neg_integer(),
                     name => atom()}.

-spec start(module(), options()) -> {ok, pid()} | {error, term()}.
start(Repo, Options) ->
    gen_server:start({local, name(Repo, Options)}, ?MODULE, Options, []).

-spec start_link(module(), options()) -> {ok, pid()} | {error, term()}.
start_link(Repo, Options) ->
    gen_server:start_link({local, name(Repo, Options)}, ?MODULE, Options, []).

name(_Repo, #{name := Name}) -> Name;
name(Repo, #{}) -> Repo.

-spec stop(module()) -> ok.
stop(Repo) ->
    gen_server:stop(Repo).

-spec create_table(module()) -> ok.
create_table(Repo) ->
    ok = sql(Repo, "CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY "
             "AUTOINCREMENT, name TEXT NOT NULL, value INTEGER)", []),
    ok = sql(Repo, "CREATE UNIQUE INDEX IF NOT EXISTS items_name_index "
             "ON items (name)", []).

-spec rows(module()) -> [{binary(), integer() | null}].
rows(Repo) ->
    [_, {rows, Rows}] =
        sql(Repo, "SELECT name, value FROM items ORDER BY name", []),
    Rows.

-spec sql(module(), iodata(), [term()]) -> term().
sql(Repo, Sql, Params) ->
    connected(Repo, fun(Db) -> query(Db, Sql, Params) end).

-spec set_middleware(module(), [module()]) -> ok.
set_middleware(Repo, Modules) ->
    persistent_term:put({?MODULE, Repo}, Modules).

-spec middleware(module()) -> [module()].
middleware(Repo) ->
    persistent_term:get({?MODULE, Repo}, ?MIDDLEWARE).

%% How often the database was opened: disconnect_all/1 makes it grow.
-spec opened(module()) -> non_neg_integer().
opened(Repo) ->
    gen_server:call(Repo, opened, ?TIMEOUT).

%%% The Repo's functions

%% A Repo function in the clothes of EctoMiddleware.Repo: the chain first, and
%% in its middle the function itself.
-spec call(module(), atom(), [term()]) -> term().
call(Repo, Action, [Resource | Rest] = Args) ->
    Super = fun(Resource1, _Resolution) ->
                    Repo:super(Action, [Resource1 | Rest])
            end,
    Resolution = #{'__struct__' => 'Elixir.EctoMiddleware.Resolution',
                   repo => Repo, action => Action, args => Args,
                   middleware => middleware(Repo, Action, Resource),
                   entity => Resource,
                   before_input => Resource, before_output => nil,
                   after_input => nil, after_output => nil,
                   private => #{'__super__' => Super,
                                '__pipeline_id__' => make_ref()}},
    {Result, _} = 'Elixir.EctoMiddleware.Engine':yield(Resource, Resolution),
    Result.

middleware(Repo, Action, Resource) ->
    'Elixir.EctoMiddleware.Engine':reject_non_bulk_middleware(
      Repo:middleware(Action, Resource), Action).

-spec write(module(), atom(), [term()]) -> term().
write(Repo, insert_all, Args) -> ecto_litefs_test_bulk:insert_all(Repo, Args);
write(Repo, update_all, Args) -> ecto_litefs_test_bulk:update_all(Repo, Args);
write(Repo, delete_all, Args) -> ecto_litefs_test_bulk:delete_all(Repo, Args);
write(Repo, Action, [Resource | _]) ->
    ecto_litefs_test_write:run(Repo, Action, Resource).

-spec get(module(), integer()) -> ecto_litefs_test_item:item() | nil.
get(Repo, Id) ->
    case sql(Repo, "SELECT id, name, value FROM items WHERE id = ?", [Id]) of
        [_, {rows, []}] -> nil;
        [_, {rows, [{Id, Name, Value}]}] ->
            ecto_litefs_test_item:loaded(Id, Name, Value)
    end.

-spec all(module()) -> [ecto_litefs_test_item:item()].
all(Repo) ->
    [_, {rows, Rows}] =
        sql(Repo, "SELECT id, name, value FROM items ORDER BY id", []),
    [ecto_litefs_test_item:loaded(Id, Name, Value) || {Id, Name, Value} <- Rows].

-spec transaction(module(), fun(() -> term()), list()) ->
          {ok, term()} | {error, term()}.
transaction(Repo, Fun, Options) ->
    case 'in_transaction?'(Repo) of
        true -> {ok, Fun()};
        false -> connected(Repo, fun(Db) -> transact(Repo, Db, Fun, Options) end)
    end.

-spec rollback(module(), term()) -> no_return().
rollback(Repo, Value) ->
    throw({?MODULE, rollback, Repo, Value}).

-spec 'in_transaction?'(module()) -> boolean().
'in_transaction?'(Repo) ->
    get({?MODULE, transaction, get_dynamic_repo(Repo)}) =:= true.

-spec get_dynamic_repo(module()) -> atom() | pid().
get_dynamic_repo(Repo) ->
    case get({?MODULE, dynamic_repo, Repo}) of
        undefined -> Repo;
        Name -> Name
    end.

-spec put_dynamic_repo(module(), atom() | pid()) -> atom() | pid().
put_dynamic_repo(Repo, Name) ->
    Before = get_dynamic_repo(Repo),
    put({?MODULE, dynamic_repo, Repo}, Name),
    Before.

-spec disconnect_all(module()) -> ok.
disconnect_all(Repo) ->
    gen_server:call(Repo, disconnect_all, ?TIMEOUT).

transact(Repo, Db, Fun, Options) ->
    query(Db, begin_sql(proplists:get_value(mode, Options, deferred)), []),
    Key = {?MODULE, transaction, get_dynamic_repo(Repo)},
    put(Key, true),
    try
        Value = Fun(),
        query(Db, "COMMIT", []),
        {ok, Value}
    catch
        throw:{?MODULE, rollback, Repo, Reason} ->
            sqlite3:sql_exec_timeout(Db, "ROLLBACK", ?TIMEOUT),
            {error, Reason};
        Class:Reason:Stack ->
            sqlite3:sql_exec_timeout(Db, "ROLLBACK", ?TIMEOUT),
            erlang:raise(Class, Reason, Stack)
    after
        erase(Key)
    end.

begin_sql(deferred) -> "BEGIN";
begin_sql(immediate) -> "BEGIN IMMEDIATE".

%% The connection is checked out for the time of Fun; within a transaction the
%% process has it already.
connected(Repo, Fun) ->
    Pool = get_dynamic_repo(Repo),
    Key = {?MODULE, connection, Pool},
    case get(Key) of
        undefined ->
            Db = checkout(Pool),
            put(Key, Db),
            try Fun(Db) after erase(Key), gen_server:cast(Pool, {checkin, self()})
            end;
        Db ->
            Fun(Db)
    end.

checkout(Pool) ->
    case gen_server:call(Pool, checkout, ?TIMEOUT) of
        {ok, Db} ->
            Db;
        {error, Message} ->
            error(#{'__struct__' => 'Elixir.DBConnection.ConnectionError',
                    '__exception__' => true, message => Message})
    end.

query(Db, Sql, Params) ->
    Statement = iolist_to_binary(Sql),
    case sqlite3:sql_exec_timeout(Db, Statement, Params, ?TIMEOUT) of
        {error, _Code, Message} -> raise(Statement, Message);
        [_Columns, _Rows, {error, _Code, Message}] -> raise(Statement, Message);
        Result -> Result
    end.

raise(Statement, Message) ->
    error(#{'__struct__' => 'Elixir.Exqlite.Error', '__exception__' => true,
            statement => Statement, message => list_to_binary(Message)}).

%%% The pool: one connection, opened when first needed

-spec init(options()) -> {ok, map()}.
init(Options) ->
    process_flag(trap_exit, true),
    {ok, #{options => Options, db => none, holder => none, stale => false,
           waiting => queue:new(), opened => 0}}.

handle_call(checkout, From, #{holder := none} = State) ->
    {noreply, lend(From, State)};
handle_call(checkout, From, #{waiting := Waiting} = State) ->
    {noreply, State#{waiting := queue:in(From, Waiting)}};
handle_call(disconnect_all, _From, #{holder := none} = State) ->
    {reply, ok, close(State)};
handle_call(disconnect_all, _From, State) ->
    {reply, ok, State#{stale := true}};
handle_call(opened, _From, #{opened := Opened} = State) ->
    {reply, Opened, State}.

handle_cast({checkin, Pid}, #{holder := {Pid, Monitor}} = State) ->
    demonitor(Monitor, [flush]),
    {noreply, next(State)};
handle_cast({checkin, _}, State) ->
    {noreply, State}.

%% A holder that died may have left a transaction open.
handle_info({'DOWN', Monitor, _, Pid, _}, #{holder := {Pid, Monitor}} = State) ->
    {noreply, next(State#{stale := true})};
handle_info({'EXIT', Db, _}, #{db := Db} = State) ->
    {noreply, State#{db := none}};
handle_info(_, State) ->
    {noreply, State}.

terminate(_Reason, State) ->
    close(State).

next(#{stale := true} = State) ->
    next(close(State#{stale := false}));
next(#{waiting := Waiting} = State) ->
    case queue:out(Waiting) of
        {empty, _} -> State#{holder := none};
        {{value, From}, Rest} -> lend(From, State#{waiting := Rest})
    end.

lend({Pid, _} = From, State) ->
    case open(State) of
        {ok, #{db := Db} = State1} ->
            gen_server:reply(From, {ok, Db}),
            State1#{holder := {Pid, monitor(process, Pid)}};
        {error, Message} ->
            gen_server:reply(From, {error, Message}),
            next(State)
    end.

open(#{db := none, options := Options, opened := Opened} = State) ->
    File = maps:get(database, Options),
    case sqlite3:start_link(anonymous, [{file, binary_to_list(iolist_to_binary(File))}]) of
        {ok, Db} ->
            set(Db, "busy_timeout", maps:get(busy_timeout, Options, 5000)),
            [set(Db, "journal_mode", Mode)
             || #{journal_mode := Mode} <- [Options]],
            {ok, State#{db := Db, opened := Opened + 1}};
        {error, Reason} ->
            {error, iolist_to_binary(io_lib:format("~p", [Reason]))}
    end;
open(State) ->
    {ok, State}.

set(Db, Pragma, Value) ->
    Sql = io_lib:format("PRAGMA ~s = ~p", [Pragma, Value]),
    sqlite3:sql_exec_timeout(Db, iolist_to_binary(Sql), ?TIMEOUT).

close(#{db := none} = State) ->
    State;
close(#{db := Db} = State) ->
    sqlite3:close_timeout(Db, ?TIMEOUT),
    State#{db := none}.
