%% The body of a stand-in Repo module: what `use Ecto.Repo` and
%% `use EctoMiddleware.Repo` generate. The Repo is the module itself.
-export([start_link/1]).
-export([insert/1, insert/2, 'insert!'/1, 'insert!'/2]).
-export([update/1, update/2, 'update!'/1, 'update!'/2]).
-export([delete/1, delete/2, 'delete!'/1, 'delete!'/2]).
-export([insert_or_update/1, insert_or_update/2]).
-export(['insert_or_update!'/1, 'insert_or_update!'/2]).
-export([insert_all/2, insert_all/3, update_all/2, update_all/3]).
-export([delete_all/1, delete_all/2]).
-export([get/2, get/3, all/1, all/2]).
-export([transaction/1, transaction/2, rollback/1, 'in_transaction?'/0]).
-export([get_dynamic_repo/0, put_dynamic_repo/1]).
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
all(Schema) -> all(Schema, []).
all(Schema, O) -> ecto_litefs_test_repo:call(?MODULE, all, [Schema, O]).

%% What is below the middleware: Ecto's own function.
super(get, [_Schema, Id, _]) -> ecto_litefs_test_repo:get(?MODULE, Id);
super(all, [_Schema, _]) -> ecto_litefs_test_repo:all(?MODULE);
super(Action, Args) -> ecto_litefs_test_repo:write(?MODULE, Action, Args).

transaction(Fun) -> transaction(Fun, []).
transaction(Fun, O) -> ecto_litefs_test_repo:transaction(?MODULE, Fun, O).
rollback(Value) -> ecto_litefs_test_repo:rollback(?MODULE, Value).
'in_transaction?'() -> ecto_litefs_test_repo:'in_transaction?'(?MODULE).
get_dynamic_repo() -> ecto_litefs_test_repo:get_dynamic_repo(?MODULE).
put_dynamic_repo(Name) ->
    ecto_litefs_test_repo:put_dynamic_repo(?MODULE, Name).
disconnect_all(_Interval) -> ecto_litefs_test_repo:disconnect_all(?MODULE).
config() -> [{otp_app, ecto_litefs}].
middleware(_Action, _Resource) -> ecto_litefs_test_repo:middleware(?MODULE).
