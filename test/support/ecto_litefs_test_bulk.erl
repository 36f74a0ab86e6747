%% The bulk functions of the stand-in Repo: one statement each, as Ecto makes
%% them. A query is of the items that have a name.
-module(ecto_litefs_test_bulk).

-export([named/1]).
-export([select/1]).
-export([insert_all/2]).
-export([update_all/2]).
-export([delete_all/2]).

-export_type([query/0]).

-type query() :: #{'__struct__' := atom(),
                   name := binary() | fun(() -> binary()),
                   select := boolean()}.
-type result() :: {non_neg_integer(), nil | [map()]}.

-spec named(binary() | fun(() -> binary())) -> query().
named(Name) ->
    #{'__struct__' => 'Elixir.Ecto.Query', name => Name, select => false}.

%% The rows are answered, as by select: item.
-spec select(query()) -> query().
select(Query) ->
    Query#{select := true}.

-spec insert_all(module(), [term()]) -> result().
insert_all(_Repo, [_Schema, [], Options]) ->
    returned(proplists:is_defined(returning, Options), []);
insert_all(Repo, [_Schema, Rows, Options]) ->
    Values = lists:join(", ", ["(?, ?)" || _ <- Rows]),
    Params = [maps:get(Key, Row) || Row <- Rows, Key <- [name, value]],
    Found = found(Repo, ["INSERT INTO items (name, value) VALUES ", Values,
                         on_conflict(Options)], Params),
    returned(proplists:is_defined(returning, Options), Found).

on_conflict(Options) ->
    case proplists:get_value(on_conflict, Options, raise) of
        raise -> "";
        nothing -> " ON CONFLICT DO NOTHING"
    end.

-spec update_all(module(), [term()]) -> result().
update_all(Repo, [#{name := Name, select := Select}, Updates, _Options]) ->
    [{set, Fields}] = Updates,
    {Columns, Values} = lists:unzip(Fields),
    Set = lists:join(", ", [[atom_to_list(C), " = ?"] || C <- Columns]),
    returned(Select, found(Repo, ["UPDATE items SET ", Set, " WHERE name = ?"],
                           Values ++ [Name])).

-spec delete_all(module(), [term()]) -> result().
delete_all(Repo, [#{name := Name, select := Select}, _Options]) ->
    returned(Select, found(Repo, "DELETE FROM items WHERE name = ?", [Name])).

found(Repo, Sql, Params) ->
    [_, {rows, Rows}] =
        ecto_litefs_test_repo:sql(Repo, [Sql, " RETURNING id, name, value"],
                                  [to_null(dumped(Param)) || Param <- Params]),
    [ecto_litefs_test_item:loaded(Id, Name, Value)
     || {Id, Name, Value} <- Rows].

returned(true, Found) -> {length(Found), Found};
returned(false, Found) -> {length(Found), nil}.

%% A fun stands for what Ecto keeps one in: a dynamic/2, or a value whose type
%% has code of its own.
dumped(Fun) when is_function(Fun, 0) -> Fun();
dumped(Value) -> Value.

to_null(nil) -> null;
to_null(Param) -> Param.
