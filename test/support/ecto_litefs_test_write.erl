%% The eight write functions of the stand-in Repo: how Ecto turns a struct or a
%% changeset into a statement, and its failure into a value or an exception.
-module(ecto_litefs_test_write).

-export([run/4]).

-define(ERROR, ecto_litefs_test_error).

-spec run(module(), atom(), map(), [{atom(), term()}]) -> term().
run(Repo, 'insert!', Resource, Options) ->
    bang(insert, run(Repo, insert, Resource, Options));
run(Repo, 'update!', Resource, Options) ->
    bang(update, run(Repo, update, Resource, Options));
run(Repo, 'delete!', Resource, Options) ->
    bang(delete, run(Repo, delete, Resource, Options));
run(Repo, 'insert_or_update!', #{data := Item} = Changeset, Options) ->
    bang(insert_or_update(Item),
         run(Repo, insert_or_update, Changeset, Options));
run(Repo, insert_or_update, #{data := Item} = Changeset, Options) ->
    run(Repo, insert_or_update(Item), Changeset, Options);
run(Repo, Action, #{'__struct__' := 'Elixir.Ecto.Changeset'} = Changeset,
    Options) ->
    Prepared = Changeset#{action := Action, repo := Repo},
    changeset(Repo, Action, Prepared, Options);
run(Repo, insert, #{name := Name, value := Value} = Item, Options) ->
    Changeset = ecto_litefs_test_item:change(Item#{name := nil, value := nil}),
    Changes = #{name => Name, value => Value},
    run(Repo, insert, Changeset#{changes := Changes}, Options);
run(Repo, delete, Item, Options) ->
    run(Repo, delete, ecto_litefs_test_item:change(Item), Options).

insert_or_update(Item) ->
    case ecto_litefs_test_item:state(Item) of
        built -> insert;
        loaded -> update
    end.

bang(_, {ok, Item}) ->
    Item;
bang(Action, {error, Changeset}) ->
    ?ERROR:raise('Elixir.Ecto.InvalidChangesetError',
                 #{action => Action, changeset => Changeset}).

changeset(_Repo, _Action, #{'valid?' := false} = Changeset, _Options) ->
    {error, Changeset};
changeset(_Repo, update, #{changes := Changes, data := Item}, _Options)
  when Changes =:= #{} ->
    {ok, Item}; % and no hook runs
changeset(Repo, Action, #{prepare := []} = Changeset, _Options) ->
    statement(Repo, Action, Changeset);
changeset(Repo, Action, #{prepare := Prepare} = Changeset, Options) ->
    Transaction =
        fun() ->
                Prepared = lists:foldr(fun(Fun, C) -> Fun(C) end,
                                       Changeset#{prepare := []}, Prepare),
                case statement(Repo, Action, Prepared) of
                    {ok, Item} ->
                        Item;
                    {error, Error} ->
                        ecto_litefs_test_transaction:rollback(Repo, Error)
                end
        end,
    ecto_litefs_test_transaction:run(Repo, Transaction, Options).

%% A hook may have made it invalid.
statement(_Repo, _Action, #{'valid?' := false} = Changeset) ->
    {error, Changeset};
statement(Repo, Action, Changeset) ->
    try {ok, execute(Repo, Action, Changeset)}
    catch
        error:#{message := <<"UNIQUE constraint failed:", _/binary>>} ->
            unique_violation(Action, Changeset)
    end.

execute(Repo, insert, Changeset) ->
    Item = ecto_litefs_test_item:apply_changes(Changeset, loaded),
    #{name := Name, value := Value} = Item,
    {rowid, Id} = sql(Repo, "INSERT INTO items (name, value) VALUES (?, ?)",
                      [Name, Value]),
    Item#{id := Id};
execute(_Repo, update, #{changes := Changes, data := Item}) when Changes =:= #{} ->
    Item;
execute(Repo, update, Changeset) ->
    Item = ecto_litefs_test_item:apply_changes(Changeset, loaded),
    #{id := Id, name := Name, value := Value} = Item,
    one(Repo, Changeset, "UPDATE items SET name = ?, value = ? WHERE id = ? "
        "RETURNING id", [Name, Value, Id]),
    Item;
execute(Repo, delete, #{data := #{id := Id}} = Changeset) ->
    one(Repo, Changeset, "DELETE FROM items WHERE id = ? RETURNING id", [Id]),
    ecto_litefs_test_item:apply_changes(Changeset, deleted).

one(Repo, #{action := Action} = Changeset, Sql, Params) ->
    case sql(Repo, Sql, Params) of
        [_, {rows, [_]}] -> ok;
        [_, {rows, []}] ->
            ?ERROR:raise(
              'Elixir.Ecto.StaleEntryError',
              #{changeset => Changeset, action => Action,
                message => <<"attempted to change a stale struct">>})
    end.

sql(Repo, Sql, Params) ->
    ecto_litefs_test_repo:sql(Repo, Sql, [to_null(Param) || Param <- Params]).

to_null(nil) -> null;
to_null(Param) -> Param.

unique_violation(Action, #{constraints := []}) ->
    ?ERROR:raise('Elixir.Ecto.ConstraintError',
                 #{type => unique, constraint => <<"items_name_index">>,
                   action => Action,
                   message => <<"constraint error when attempting to write">>});
unique_violation(_Action, #{constraints := [Constraint | _]} = Changeset) ->
    #{type := Type, field := Field, constraint := Name,
      error_message := Message} = Constraint,
    Error = {Message, [{constraint, Type}, {constraint_name, Name}]},
    {error, ecto_litefs_test_item:add_error(Changeset, Field, Error)}.
