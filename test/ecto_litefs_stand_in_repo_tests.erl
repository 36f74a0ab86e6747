%% The stand-in Repo itself: where it must do what Ecto 3.13, ecto_sqlite3 and
%% Exqlite 0.29 were seen to do.
-module(ecto_litefs_stand_in_repo_tests).

-include_lib("eunit/include/eunit.hrl").

-import(ecto_litefs_test_fixture, [item/1, named/1, restart/2, stored/1]).

-define(REPO, 'Elixir.OtherRepo').
-define(STAND_IN, ecto_litefs_test_repo).
-define(RAISES(Struct, Call),
        ?assertError(#{'__struct__' := Struct, '__exception__' := true}, Call)).

repo_test_() ->
    ecto_litefs_test_fixture:each(?REPO, tests()).

tests() ->
    [{"transaction and transact", fun transactions/1},
     {"an inner transaction is a part of the outer", fun nested/1},
     {"a failed inner transaction fails the outer", fun nested_fails/1},
     {"COMMIT fails", fun commit_fails/1},
     {"hooks", fun hooks/1},
     {"insert_all of no rows", fun no_rows/1},
     {"query: results", fun query_results/1},
     {"query: errors", fun query_errors/1},
     {"query: the first statement only", fun query_first_statement/1},
     {"query_many is not there", fun query_many/1},
     {"one and exists?", fun reads/1},
     {"default options", fun default_options/1},
     {"read_only", fun read_only/1},
     {"lookup_meta", fun lookup_meta/1}].

%% -- transactions ------------------------------------------------------------

transactions(_) ->
    ?assertEqual({ok, 1}, ?REPO:transaction(fun() -> 1 end)),
    ?assertEqual({ok, ?REPO},
                 ?REPO:transaction(fun(Repo) -> Repo end,
                                   [{mode, immediate}, {other, 1}])),
    ?assertEqual({ok, true}, ?REPO:transaction(fun ?REPO:'in_transaction?'/0,
                                               [{mode, exclusive}])),
    ?assertNot(?REPO:'in_transaction?'()),
    ?assertEqual({ok, 1}, ?REPO:transact(fun() -> {ok, 1} end)),
    Failing = fun(Repo) -> {ok, _} = stored(Repo), {error, why} end,
    ?assertEqual({error, why}, ?REPO:transact(Failing)),
    Stored = fun(Then) -> fun() -> {ok, _} = stored(?REPO), Then() end end,
    ?RAISES('Elixir.ArgumentError', ?REPO:transact(Stored(fun() -> 1 end))),
    ?assertEqual({error, why},
                 ?REPO:transaction(Stored(fun() -> ?REPO:rollback(why) end))),
    ?assertExit(why, ?REPO:transaction(Stored(fun() -> exit(why) end))),
    ?assertEqual([], ?STAND_IN:rows(?REPO)),
    ?RAISES('Elixir.RuntimeError', ?REPO:rollback(why)).

nested(_) ->
    Inner = fun() -> ?REPO:transact(fun(Repo) -> stored(Repo) end) end,
    ?assertMatch({ok, {ok, #{name := <<"ann">>}}}, ?REPO:transaction(Inner)),
    ?assertMatch([_], ?STAND_IN:rows(?REPO)).

nested_fails(_) ->
    Rollback = fun() -> ?REPO:transaction(fun() -> ?REPO:rollback(why) end) end,
    ?assertEqual({error, rollback},
                 ?REPO:transaction(fun() -> {error, why} = Rollback() end)),
    Rescued = fun() -> catch ?REPO:transaction(fun() -> error(why) end) end,
    ?assertEqual({error, rollback},
                 ?REPO:transact(fun() -> Rescued(), {ok, 1} end)),
    Aborted = fun() ->
                      _ = Rollback(),
                      {error, Error} = ?REPO:query("SELECT 1"),
                      ?RAISES('Elixir.DBConnection.ConnectionError',
                              stored(?REPO)),
                      ?REPO:rollback(Error)
              end,
    ?assertMatch(
       {error, #{'__struct__' := 'Elixir.DBConnection.ConnectionError'}},
       ?REPO:transaction(Aborted)),
    ?assertMatch({ok, _}, ?REPO:query("SELECT 1")).

commit_fails(_) ->
    [{ok, _} = ?REPO:query(Sql)
     || Sql <- ["CREATE TABLE parents (id INTEGER PRIMARY KEY)",
                "CREATE TABLE children (parent INTEGER REFERENCES parents (id) "
                "DEFERRABLE INITIALLY DEFERRED)", "PRAGMA foreign_keys = ON"]],
    Orphan = fun() -> ?REPO:query("INSERT INTO children VALUES (1)") end,
    ?assertError(#{'__struct__' := 'Elixir.Exqlite.Error',
                   message := <<"FOREIGN KEY constraint failed">>,
                   statement := <<"COMMIT">>}, ?REPO:transact(Orphan)),
    ?assertNot(?REPO:'in_transaction?'()),
    ?assertMatch({ok, #{rows := [[0]]}},
                 ?REPO:query("SELECT count(*) FROM children")).

%% -- writes ------------------------------------------------------------------

hooks(_) ->
    {ok, Ann} = stored(?REPO),
    Hooked = fun(Item, Changes, Hook) ->
                     ecto_litefs_test_item:prepare_changes(
                       ecto_litefs_test_item:changeset(Item, Changes), Hook)
             end,
    Invalid = fun(C) -> ecto_litefs_test_item:add_error(C, name, {<<"no">>, []}) end,
    ?assertMatch({error, #{errors := [{name, {<<"no">>, []}}]}},
                 ?REPO:update(Hooked(Ann, #{value => 1}, Invalid))),
    ?assertEqual({ok, Ann},
                 ?REPO:update(Hooked(Ann, #{}, fun(_) -> error(called) end))),
    ?assertEqual([{<<"ann">>, null}], ?STAND_IN:rows(?REPO)).

no_rows(_) ->
    ?assertEqual({0, nil}, ?REPO:insert_all(items, [])),
    ?assertEqual({0, []}, ?REPO:insert_all(items, [], [{returning, true}])).

%% -- query -------------------------------------------------------------------

query_results(_) ->
    Insert = "INSERT INTO items (name, value) VALUES (?, ?)",
    [?assertMatch({Sql, {ok, #{'__struct__' := 'Elixir.Exqlite.Result',
                               command := execute, columns := Columns,
                               rows := Rows, num_rows := Count}}},
                  {Sql, ?REPO:query(Sql, Params)})
     || {Sql, Params, Columns, Rows, Count} <-
            [{Insert, [<<"ann">>, 1], [], nil, 1},
             {Insert ++ " RETURNING id", ["bob", nil], [], [[2]], 1},
             {string:lowercase(Insert), [cid, undefined], [], [], 0},
             {"UPDATE items SET value = 3 WHERE id < ?", [9], [], nil, 3},
             {"DELETE FROM items WHERE id = 9", [], [], nil, 0},
             {["SELECT name, ", "NULL AS none FROM items"], [],
              [<<"name">>, <<"none">>],
              [[<<"ann">>, nil], [<<"bob">>, nil], [<<"cid">>, nil]], 3},
             {"SELECT id FROM items WHERE id = 9", [], [<<"id">>], [], 0},
             {"SELECT ?", [{blob, <<0, 1>>}], [<<"?">>], [[<<0, 1>>]], 1},
             {"PRAGMA user_version = 1", [], [], [], 0}]],
    ?assertMatch(#{rows := [[1]]}, ?REPO:'query!'("SELECT 1")).

query_errors(_) ->
    [?assertEqual({error, #{'__struct__' => 'Elixir.Exqlite.Error',
                            '__exception__' => true,
                            statement => Sql, message => Message}},
                  ?REPO:query(Sql, Params, []))
     || {Sql, Params, Message} <-
            [{<<"SELEX 1">>, [], <<"near \"SELEX\": syntax error">>},
             {<<" -- nothing">>, [], <<"invalid_statement">>},
             {<<"SELECT ?">>, [#{}], <<"unsupported type: #{}">>}]],
    ?RAISES('Elixir.Exqlite.Error', ?REPO:'query!'("SELEX 1")).

query_first_statement(_) ->
    {ok, _} = ?REPO:query("INSERT INTO items (name) VALUES ('ann'); "
                          "INSERT INTO items (name) VALUES ('bob')"),
    ?assertEqual([{<<"ann">>, null}], ?STAND_IN:rows(?REPO)),
    ?assertMatch({ok, #{rows := [[1]]}}, ?REPO:query("SELECT 1; SELEX 2")).

query_many(_) ->
    ?RAISES('Elixir.RuntimeError', ?REPO:query_many("SELECT 1; SELECT 2")),
    ?RAISES('Elixir.RuntimeError', ?REPO:'query_many!'("SELECT 1", [], [])).

%% -- reads and options -------------------------------------------------------

reads(_) ->
    ?assertEqual({nil, false}, {?REPO:one(items), ?REPO:'exists?'(items)}),
    [{ok, _} = ?REPO:insert(item(Name)) || Name <- [<<"ann">>, <<"bob">>]],
    ok = ecto_litefs_test_count:reset(),
    ?assertMatch(#{name := <<"bob">>}, ?REPO:one(named(<<"bob">>))),
    ?assertEqual(1, ecto_litefs_test_count:count()),
    ?assert(?REPO:'exists?'(named(<<"bob">>))),
    ?assertEqual(1, ecto_litefs_test_count:count()),
    ?RAISES('Elixir.Ecto.MultipleResultsError', ?REPO:one(items)).

default_options(_) ->
    ?assertEqual(none, ?STAND_IN:last_options(?REPO, insert)),
    ok = ?STAND_IN:set_default_options(
            ?REPO, fun(Operation) -> [{a, Operation}, {b, 1}, {a, 2}] end),
    {ok, _} = ?REPO:insert(item(<<"ann">>), [{b, 3}]),
    _ = ?REPO:'exists?'(items, [{a, 4}]),
    {ok, _} = ?REPO:query("SELECT 1", [], [{c, 5}]),
    {ok, 1} = ?REPO:transaction(fun() -> 1 end),
    [?assertEqual({node(), Options}, ?STAND_IN:last_options(?REPO, Operation))
     || {Operation, Options} <- [{insert, [{a, insert}, {a, 2}, {b, 3}]},
                                 {all, [{b, 1}, {a, 4}]},
                                 {query, [{c, 5}]},
                                 {transaction,
                                  [{a, transaction}, {b, 1}, {a, 2}]}]].

read_only(Started) ->
    ok = restart(Started, #{read_only => true}),
    Refused = <<"attempt to write a readonly database">>,
    ?assertError(#{message := Refused}, ?REPO:insert(item(<<"ann">>))),
    ?assertMatch({error, #{message := Refused}},
                 ?REPO:query("DELETE FROM items")),
    [?assertEqual({ok, []},
                  ?REPO:transaction(fun() -> ?REPO:all(items) end, Options))
     || Options <- [[], [{mode, immediate}], [{mode, exclusive}]]],
    ?assertError(#{message := Refused},
                 ?REPO:transaction(fun() -> ?REPO:insert(item(<<"ann">>)) end,
                                   [{mode, immediate}])).

lookup_meta(Started) ->
    ok = restart(Started, #{pool_size => 3}),
    #{opts := Options} = Meta = 'Elixir.Ecto.Adapter':lookup_meta(?REPO),
    ?assertEqual(3, proplists:get_value(pool_size, Options)),
    ?assertEqual(Meta, 'Elixir.Ecto.Adapter':lookup_meta(whereis(?REPO))),
    ?RAISES('Elixir.RuntimeError', 'Elixir.Ecto.Adapter':lookup_meta(nobody)),
    ?RAISES('Elixir.RuntimeError', 'Elixir.Ecto.Adapter':lookup_meta(self())),
    nobody = begin ?REPO:put_dynamic_repo(nobody), ?REPO:get_dynamic_repo() end,
    ?RAISES('Elixir.RuntimeError', ?REPO:query("SELECT 1")),
    nobody = ?REPO:put_dynamic_repo(?REPO).
