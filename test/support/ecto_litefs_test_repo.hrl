%% The body of a stand-in Repo module: what `use Ecto.Repo` and
%% `use EctoMiddleware.Repo` generate, and with ECTO_LITEFS_REPO defined what
%% `use EctoLiteFS.Repo` makes of it. The Repo is the module itself.
-export([start_link/1]).
-export([insert/1, insert/2, 'insert!'/1, 'insert!'/2]).
-export([update/1, update/2, 'update!'/1, 'update!'/2]).
-export([delete/1, delete/2, 'delete!'/1, 'delete!'/2]).
-export([insert_or_update/1, insert_or_update/2]).
-export(['insert_or_update!'/1, 'insert_or_update!'/2]).
-export([insert_all/2, insert_all/3, update_all/2, update_all/3]).
-export([delete_all/1, delete_all/2]).
-export([get/2, get/3, all/1, all/2, one/1, one/2, 'exists?'/1, 'exists?'/2]).
-export([transaction/1, transaction/2, transact/1, transact/2]).
-export([rollback/1, 'in_transaction?'/0]).
-export([query/1, query/2, query/3, 'query!'/1, 'query!'/2, 'query!'/3]).
-export([query_many/1, query_many/2, query_many/3]).
-export(['query_many!'/1, 'query_many!'/2, 'query_many!'/3]).
-export([get_dynamic_repo/0, put_dynamic_repo/1, default_options/1]).
-export([disconnect_all/1, config/0, middleware/2, super/2]).

start_link(Options) -> ecto_litefs_test_repo:start_link(?MODULE, Options).

insert(R) -> insert(R, []).
insert(R, O) -> ecto_litefs_test_repo:call(?MODULE, insert, [R, O]).
'insert!'(R) -> 'insert!'(R, []).
'insert!'(R, O) -> ecto_litefs_test_repo:call(?MODULE, 'insert!', [R, O]).
update(R) -> update(R, []).
update(R, O) -> ecto_litefs_test_repo:call(?MODULE, update, [R, O]).
'update!'(R) -> 'update!'(R, []).
'update!'(R, O) -> ecto_litefs_test_repo:call(?MODULE, 'update!', [R, O]).
delete(R) -> delete(R, []).
delete(R, O) -> ecto_litefs_test_repo:call(?MODULE, delete, [R, O]).
'delete!'(R) -> 'delete!'(R, []).
'delete!'(R, O) -> ecto_litefs_test_repo:call(?MODULE, 'delete!', [R, O]).
insert_or_update(R) -> insert_or_update(R, []).
insert_or_update(R, O) ->
    ecto_litefs_test_repo:call(?MODULE, insert_or_update, [R, O]).
'insert_or_update!'(R) -> 'insert_or_update!'(R, []).
'insert_or_update!'(R, O) ->
    ecto_litefs_test_repo:call(?MODULE, 'insert_or_update!', [R, O]).

insert_all(Schema, Rows) -> insert_all(Schema, Rows, []).
insert_all(Schema, Rows, O) ->
    ecto_litefs_test_repo:call(?MODULE, insert_all, [Schema, Rows, O]).
update_all(Query, Updates) -> update_all(Query, Updates, []).
update_all(Query, Updates, O) ->
    ecto_litefs_test_repo:call(?MODULE, update_all, [Query, Updates, O]).
delete_all(Query) -> delete_all(Query, []).
delete_all(Query, O) ->
    ecto_litefs_test_repo:call(?MODULE, delete_all, [Query, O]).

get(Schema, Id) -> get(Schema, Id, []).
get(Schema, Id, O) ->
    ecto_litefs_test_repo:call(?MODULE, get, [Schema, Id, O]).
all(Query) -> all(Query, []).
all(Query, O) -> ecto_litefs_test_repo:call(?MODULE, all, [Query, O]).
one(Query) -> one(Query, []).
one(Query, O) -> ecto_litefs_test_repo:call(?MODULE, one, [Query, O]).
'exists?'(Query) -> 'exists?'(Query, []).
'exists?'(Query, O) -> ecto_litefs_test_repo:'exists?'(?MODULE, Query, O).

super(Action, Args) -> ecto_litefs_test_repo:super(?MODULE, Action, Args).

transaction(Work) -> transaction(Work, []).
transact(Work) -> transact(Work, []).
query(Sql) -> query(Sql, []).
query(Sql, Params) -> query(Sql, Params, []).
'query!'(Sql) -> 'query!'(Sql, []).
'query!'(Sql, Params) -> 'query!'(Sql, Params, []).
query_many(Sql) -> query_many(Sql, []).
query_many(Sql, Params) -> query_many(Sql, Params, []).
'query_many!'(Sql) -> 'query_many!'(Sql, []).
'query_many!'(Sql, Params) -> 'query_many!'(Sql, Params, []).

-ifdef(ECTO_LITEFS_REPO).
transaction(Work, O) ->
    'Elixir.EctoLiteFS.Repo':transaction(?MODULE, transaction, Work, O,
                                         fun ecto_transaction/2).
transact(Work, O) ->
    'Elixir.EctoLiteFS.Repo':transaction(?MODULE, transact, Work, O,
                                         fun ecto_transact/2).
query(Sql, Params, O) ->
    'Elixir.EctoLiteFS.Repo':query(?MODULE, query, Sql, Params, O,
                                   fun ecto_query/3).
'query!'(Sql, Params, O) ->
    'Elixir.EctoLiteFS.Repo':query(?MODULE, 'query!', Sql, Params, O,
                                   fun 'ecto_query!'/3).
query_many(Sql, Params, O) ->
    'Elixir.EctoLiteFS.Repo':query(?MODULE, query_many, Sql, Params, O,
                                   fun ecto_query_many/3).
'query_many!'(Sql, Params, O) ->
    'Elixir.EctoLiteFS.Repo':query(?MODULE, 'query_many!', Sql, Params, O,
                                   fun ecto_query_many/3).
-else.
transaction(Work, O) -> ecto_transaction(Work, O).
transact(Work, O) -> ecto_transact(Work, O).
query(Sql, Params, O) -> ecto_query(Sql, Params, O).
'query!'(Sql, Params, O) -> 'ecto_query!'(Sql, Params, O).
query_many(Sql, Params, O) -> ecto_query_many(Sql, Params, O).
'query_many!'(Sql, Params, O) -> ecto_query_many(Sql, Params, O).
-endif.

%% As in Ecto 3.13, where it is the Repo's own transact/2 of another fun.
ecto_transaction(Fun, O) when is_function(Fun, 0) ->
    transact(fun() -> {ok, Fun()} end, O);
ecto_transaction(Fun, O) when is_function(Fun, 1) ->
    transact(fun(Repo) -> {ok, Fun(Repo)} end, O);
ecto_transaction(#{'__struct__' := 'Elixir.Ecto.Multi'} = Multi, O) ->
    transact(Multi, O).
ecto_transact(Work, O) ->
    ecto_litefs_test_transaction:transact(?MODULE, Work, O).
ecto_query(Sql, Params, O) ->
    ecto_litefs_test_query:query(?MODULE, Sql, Params, O).
'ecto_query!'(Sql, Params, O) ->
    ecto_litefs_test_query:'query!'(?MODULE, Sql, Params, O).
ecto_query_many(Sql, Params, O) ->
    ecto_litefs_test_query:query_many(?MODULE, Sql, Params, O).

rollback(Value) -> ecto_litefs_test_transaction:rollback(?MODULE, Value).
'in_transaction?'() ->
    ecto_litefs_test_transaction:'in_transaction?'(?MODULE).
get_dynamic_repo() -> ecto_litefs_test_repo:get_dynamic_repo(?MODULE).
put_dynamic_repo(Name) ->
    ecto_litefs_test_repo:put_dynamic_repo(?MODULE, Name).
default_options(Operation) ->
    ecto_litefs_test_options:default(?MODULE, Operation).
disconnect_all(_Interval) -> ecto_litefs_test_pool:disconnect_all(?MODULE).
config() ->
    [{otp_app, ecto_litefs} | application:get_env(ecto_litefs, ?MODULE, [])].
middleware(_Action, _Resource) -> ecto_litefs_test_repo:middleware(?MODULE).
