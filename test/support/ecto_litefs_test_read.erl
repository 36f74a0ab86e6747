%% The reads of the stand-in Repo: of the rows that a query of
%% ecto_litefs_test_bulk names, or of all that a schema has.
-module(ecto_litefs_test_read).

-export([get/2]).
-export([all/2]).
-export([one/2]).
-export(['exists?'/2]).

-type item() :: ecto_litefs_test_item:item().
-type queryable() :: module() | ecto_litefs_test_bulk:query().

-spec get(module(), integer()) -> item() | nil.
get(Repo, Id) ->
    case found(Repo, "id = ?", [Id]) of
        [] -> nil;
        [Item] -> Item
    end.

-spec all(module(), queryable()) -> [item()].
all(Repo, #{'__struct__' := 'Elixir.Ecto.Query', name := Name}) ->
    found(Repo, "name = ?", [Name]);
all(Repo, _Schema) ->
    found(Repo, "true", []).

-spec one(module(), queryable()) -> item() | nil.
one(Repo, Queryable) ->
    case all(Repo, Queryable) of
        [] -> nil;
        [Item] -> Item;
        Items ->
            ecto_litefs_test_error:raise('Elixir.Ecto.MultipleResultsError',
                                         "one result at most, but there are ~b",
                                         [length(Items)])
    end.

-spec 'exists?'(module(), queryable()) -> boolean().
'exists?'(Repo, Queryable) ->
    all(Repo, Queryable) =/= [].

found(Repo, Condition, Params) ->
    [_, {rows, Rows}] =
        ecto_litefs_test_repo:sql(
          Repo, ["SELECT id, name, value FROM items WHERE ", Condition,
                 " ORDER BY id"], Params),
    [ecto_litefs_test_item:loaded(Id, Name, Value)
     || {Id, Name, Value} <- Rows].
