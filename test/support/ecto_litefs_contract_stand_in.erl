%% The words of the contract for the stand-ins.
-module(ecto_litefs_contract_stand_in).

-behaviour(ecto_litefs_contract_world).

-export([item/1, stored/2, changeset/2, unique/1, prepare/2]).
-export([table/0, rows/1, named/1, select/1, hooked/2]).
-export([checkout/2]).
-export([set_middleware/2, reset_count/0, count/0]).

-define(ITEM, ecto_litefs_test_item).

-spec item(map()) -> ?ITEM:item().
item(Fields) -> ?ITEM:new(Fields).

-spec stored(module(), binary()) -> ?ITEM:item().
stored(Repo, Name) ->
    [Item] = [Item || #{name := N} = Item <- ecto_litefs_test_repo:all(Repo),
                      N =:= Name],
    Item.

-spec changeset(?ITEM:item(), map()) -> ?ITEM:changeset().
changeset(Item, Params) -> ?ITEM:changeset(Item, Params).

-spec unique(?ITEM:changeset()) -> ?ITEM:changeset().
unique(Changeset) -> ?ITEM:unique_constraint(Changeset).

-spec prepare(?ITEM:changeset(), fun((map()) -> map())) -> ?ITEM:changeset().
prepare(Changeset, Fun) -> ?ITEM:prepare_changes(Changeset, Fun).

-spec table() -> items.
table() -> items.

-spec rows([map()]) -> [term()].
rows(Rows) -> [items, Rows].

-spec named(term()) -> ecto_litefs_test_bulk:query().
named(Name) -> ecto_litefs_test_bulk:named(Name).

-spec select(ecto_litefs_test_bulk:query()) -> ecto_litefs_test_bulk:query().
select(Query) -> ecto_litefs_test_bulk:select(Query).

-spec hooked(binary(), fun(() -> term())) -> fun(() -> binary()).
hooked(Name, Fun) -> fun() -> _ = Fun(), Name end.

-spec checkout(module(), fun(() -> Result)) -> Result.
checkout(Repo, Fun) ->
    ecto_litefs_test_pool:run(Repo, fun(_Connection) -> Fun() end).

-spec set_middleware(module(), [atom()]) -> ok.
set_middleware(Repo, Names) ->
    ecto_litefs_test_repo:set_middleware(
      Repo, [middleware(Name) || Name <- Names]).

middleware(us) -> 'Elixir.EctoLiteFS.Middleware';
middleware(count) -> ecto_litefs_test_count;
middleware(count_all) -> ecto_litefs_test_count_all;
middleware(rename) -> ecto_litefs_test_rename.

-spec reset_count() -> ok.
reset_count() -> ecto_litefs_test_count:reset().

-spec count() -> non_neg_integer().
count() -> ecto_litefs_test_count:count().
