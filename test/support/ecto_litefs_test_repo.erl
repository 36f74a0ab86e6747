%% A stand-in for a Repo that uses Ecto, ecto_sqlite3 and EctoMiddleware.Repo,
%% on real SQLite (Debian's erlang-p1-sqlite3); it answers, raises and locks as
%% Ecto does.
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
%% busy_timeout (ms, default 5000), read_only (true: it cannot write, as on a
%% replica), pool_size (default 1), queue_timeout (how long one waits for a
%% connection, ms, default 60000), name (the Repo's; another one is a database
%% for put_dynamic_repo/1). `rows(Repo)` reads {Name, Value} pairs past
%% Ecto; `sql(Repo, SQL, Params)` runs any statement on the connection.
%% `set_middleware(Repo, Modules)` replaces ['Elixir.EctoLiteFS.Middleware'],
%% and `set_default_options(Repo, Fun)` what Repo:default_options/1 answers.
%% `last_options(Repo, Operation)` tells with which options an operation
%% (transaction, insert, all, query, ...) ran last on this node.
-module(ecto_litefs_test_repo).

-export([start/2]).
-export([start_link/2]).
-export([stop/1]).
-export([create_table/1]).
-export([rows/1]).
-export([sql/3]).
-export([set_middleware/2]).
-export([middleware/1]).
-export([set_default_options/2]).
-export([last_options/2]).
-export([opened/1]).

%% What a Repo module consists of.
-export([call/3]).
-export([super/3]).
-export(['exists?'/3]).
-export([all/1]).
-export([get_dynamic_repo/1]).
-export([put_dynamic_repo/2]).

-define(MIDDLEWARE, ['Elixir.EctoLiteFS.Middleware']).

-spec start(module(), ecto_litefs_test_pool:options()) ->
          {ok, pid()} | {error, term()}.
start(Repo, Options) ->
    ecto_litefs_test_pool:start(Repo, Options).

-spec start_link(module(), ecto_litefs_test_pool:options()) ->
          {ok, pid()} | {error, term()}.
start_link(Repo, Options) ->
    ecto_litefs_test_pool:start_link(Repo, Options).

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
    ecto_litefs_test_transaction:connected(
      Repo, fun(Connection) ->
                    ecto_litefs_test_sqlite:execute(Connection, Sql, Params)
            end).

-spec set_middleware(module(), [module()]) -> ok.
set_middleware(Repo, Modules) ->
    persistent_term:put({?MODULE, Repo}, Modules).

-spec middleware(module()) -> [module()].
middleware(Repo) ->
    persistent_term:get({?MODULE, Repo}, ?MIDDLEWARE).

-spec set_default_options(module(), fun((atom()) -> [{atom(), term()}])) -> ok.
set_default_options(Repo, Fun) ->
    ecto_litefs_test_options:set_default(Repo, Fun).

-spec last_options(module(), atom()) -> {node(), [{atom(), term()}]} | none.
last_options(Repo, Operation) ->
    ecto_litefs_test_options:last(Repo, Operation).

%% How often the database was opened: disconnect_all/1 makes it grow.
-spec opened(module()) -> non_neg_integer().
opened(Repo) ->
    ecto_litefs_test_pool:opened(Repo).

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

%% What is below the middleware: Ecto's own function.
-spec super(module(), atom(), [term()]) -> term().
super(Repo, Action, Args) ->
    {Arguments, [Given]} = lists:split(length(Args) - 1, Args),
    Options = ecto_litefs_test_options:merged(Repo, operation(Action), Given),
    run(Repo, Action, Arguments, Options).

%% The name that default_options/1 is asked by.
operation('insert!') -> insert;
operation('update!') -> update;
operation('delete!') -> delete;
operation('insert_or_update!') -> insert_or_update;
operation(get) -> all;
operation(one) -> all;
operation(Action) -> Action.

run(Repo, get, [_Schema, Id], _Options) ->
    ecto_litefs_test_read:get(Repo, Id);
run(Repo, all, [Queryable], _Options) ->
    ecto_litefs_test_read:all(Repo, Queryable);
run(Repo, one, [Queryable], _Options) ->
    ecto_litefs_test_read:one(Repo, Queryable);
run(Repo, insert_all, Args, Options) ->
    ecto_litefs_test_bulk:insert_all(Repo, Args ++ [Options]);
run(Repo, update_all, Args, Options) ->
    ecto_litefs_test_bulk:update_all(Repo, Args ++ [Options]);
run(Repo, delete_all, Args, Options) ->
    ecto_litefs_test_bulk:delete_all(Repo, Args ++ [Options]);
run(Repo, Action, [Resource], Options) ->
    ecto_litefs_test_write:run(Repo, Action, Resource, Options).

%% EctoMiddleware does not know it.
-spec 'exists?'(module(), module() | ecto_litefs_test_bulk:query(),
                [{atom(), term()}]) -> boolean().
'exists?'(Repo, Queryable, Given) ->
    _ = ecto_litefs_test_options:merged(Repo, all, Given),
    ecto_litefs_test_read:'exists?'(Repo, Queryable).

%% Past the middleware.
-spec all(module()) -> [ecto_litefs_test_item:item()].
all(Repo) ->
    ecto_litefs_test_read:all(Repo, items).

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
