%% Raw SQL of a Repo with the line `use EctoLiteFS.Repo`, on real LiteFS: what
%% LiteFS refuses on a replica in each journal mode, and what VACUUM and PRAGMA
%% journal_mode do to a cluster. README.md says what each case proves.
-module(sql_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([all/0]).
-export([groups/0]).
-export([suite/0]).
-export([init_per_suite/1]).
-export([end_per_suite/1]).
-export([init_per_group/2]).
-export([end_per_group/2]).
-export([init_per_testcase/2]).
-export([end_per_testcase/2]).

-export([writes_are_refused_here_and_forwarded/1]).
-export([reads_stay/1]).
-export([writes_on_old_data_run_on_the_primary/1]).
-export([transaction_statements_raise/1]).
-export([vacuum_shrinks_the_database_everywhere/1]).
-export([journal_mode_wal_is_forwarded/1]).
-export([journal_mode_from_wal_ends_the_replicas/1]).
-export([journal_mode_memory_hides_writes_from_litefs/1]).

-define(REPO, 'Elixir.FullRepo').

%% The real Consul is for the cases of cluster_SUITE.
all() ->
    case os:getenv("CONSUL") of
        false -> [{group, wal}, {group, delete} | on_their_own()];
        _Path -> []
    end.

%% With a cluster of their own each.
on_their_own() ->
    [journal_mode_wal_is_forwarded,
     journal_mode_from_wal_ends_the_replicas,
     journal_mode_memory_hides_writes_from_litefs].

groups() ->
    Cases = [writes_are_refused_here_and_forwarded,
             reads_stay,
             writes_on_old_data_run_on_the_primary,
             transaction_statements_raise,
             vacuum_shrinks_the_database_everywhere],
    [{wal, [], Cases}, {delete, [], Cases}].

suite() ->
    [{timetrap, {seconds, 120}}].

init_per_suite(Config) ->
    e2e_cluster:skip_unless_possible(Config).

end_per_suite(_Config) ->
    ok.

init_per_group(Mode, Config) ->
    [{mode, Mode} | start(Mode, Mode, Config)].

end_per_group(_Mode, Config) ->
    e2e_suite:stop(Config).

init_per_testcase(Case = journal_mode_wal_is_forwarded, Config) ->
    start(Case, delete, Config);
init_per_testcase(Case, Config) ->
    e2e_suite:begin_case(lists:member(Case, on_their_own()),
                         fun() -> start(Case, wal, Config) end, Config).

end_per_testcase(Case, Config) ->
    e2e_suite:end_case(lists:member(Case, on_their_own()), Config).

start(Name, Mode, Config) ->
    e2e_suite:start(Name, #{repo => ?REPO, journal_mode => Mode}, Config).

%%% What is forwarded

%% The next one waits until this node has caught up: LiteFS refuses only what
%% finds something to change here.
writes_are_refused_here_and_forwarded(Config) ->
    Cluster = e2e_suite:cluster(Config),
    Refusal = e2e_database:refusal(proplists:get_value(mode, Config)),
    [begin
         Before = e2e_database:position(Cluster, b),
         ?assertEqual({{error, Refusal}, []}, sql(Cluster, b, Sql, local)),
         ?assertEqual(Before, e2e_database:position(Cluster, b)),
         ?assertEqual({Answer, [a]}, sql(Cluster, b, Sql, auto)),
         ?assertEqual(Before + 1, e2e_database:position(Cluster, a)),
         ok = e2e_database:await_position(Cluster)
     end || {Sql, Answer} <- writes()],
    [begin
         ?assertEqual(#{<<"bob">> => 4}, e2e_cluster:rows(Cluster, Name)),
         ?assertEqual([[7]], here(Cluster, Name, "PRAGMA user_version")),
         ?assertEqual([[<<"tags">>]],
                      here(Cluster, Name, "SELECT name FROM sqlite_master "
                           "WHERE name IN ('notes', 'tags')"))
     end || Name <- litefs_cluster:names()].

%% With its rows, and how many rows it answers or has changed.
writes() ->
    [{"INSERT INTO items (name, value) VALUES ('ann', 1)", {nil, 1}},
     {"INSERT INTO items (name, value) VALUES ('bob', 2) "
      "RETURNING name, value", {[[<<"bob">>, 2]], 1}},
     {"UPDATE items SET value = 3", {nil, 2}},
     {"UPDATE items SET value = 4 WHERE name = 'bob' RETURNING value",
      {[[4]], 1}},
     {"DELETE FROM items WHERE name = 'ann'", {nil, 1}},
     {"CREATE TABLE notes (id INTEGER PRIMARY KEY)", {[], 0}},
     {"CREATE TABLE IF NOT EXISTS tags (id INTEGER PRIMARY KEY)", {[], 0}},
     {"DROP TABLE notes", {[], 0}},
     {"PRAGMA user_version = 7", {[], 0}},
     {"VACUUM", {[], 0}}].

%% Temporary tables are not in LiteFS.
reads_stay(Config) ->
    Cluster = e2e_suite:cluster(Config),
    {ok, _} = e2e_cluster:insert(Cluster, b, <<"ann">>),
    1 = e2e_cluster:await_row(Cluster, b, <<"ann">>),
    Before = e2e_database:position(Cluster, a),
    Read = "SELECT name, value FROM items",
    ?assertEqual([[<<"ann">>, 1]], here(Cluster, b, Read)),
    ?assertMatch([[0, <<"id">> | _], [1, <<"name">> | _], [2, <<"value">> | _]],
                 here(Cluster, b, "PRAGMA table_info(items)")),
    ?assertMatch([_ | _], here(Cluster, b, "EXPLAIN DELETE FROM items")),
    ?assertEqual([], here(Cluster, b, "CREATE TEMPORARY TABLE own (id)")),
    ?assertEqual(nil, here(Cluster, b, "INSERT INTO own VALUES (5)")),
    ?assertEqual([[5]], here(Cluster, b, "SELECT id FROM own")),
    ?assertEqual({{[[<<"ann">>, 1]], 1}, [a]},
                 sql(Cluster, b, Read, primary)),
    ?assertEqual(Before, e2e_database:position(Cluster, a)).

%% A replica that has not seen the last write yet: LiteFS refuses nothing, as
%% there is nothing to change, or the row that was deleted is in the way.
writes_on_old_data_run_on_the_primary(Config) ->
    Cluster = e2e_suite:cluster(Config),
    [begin
         {ok, _} = e2e_cluster:insert(Cluster, b, <<"ann">>),
         [?assertMatch({{_, 1}, [a]}, sql(Cluster, b, Sql, auto))
          || Sql <- ["UPDATE items SET value = 7 WHERE name = 'ann'",
                     "DELETE FROM items WHERE value = 7",
                     "INSERT INTO items (name, value) VALUES ('ann', 8)",
                     "WITH old AS (SELECT 8 AS value) DELETE FROM items "
                     "WHERE value IN (SELECT value FROM old)"]]
     end || _ <- lists:seq(1, 50)],
    ?assertEqual(#{}, e2e_cluster:rows(Cluster, a)),
    Existing = "CREATE TABLE IF NOT EXISTS items (id)",
    ?assertEqual({{[], 0}, [a]}, sql(Cluster, b, Existing, auto)).

transaction_statements_raise(Config) ->
    Cluster = e2e_suite:cluster(Config),
    [?assertMatch({{raised, #{'__struct__' := 'Elixir.EctoLiteFS.Error',
                              reason := transaction_statement,
                              outcome := not_executed}}, []},
                  e2e_cluster:traced(Cluster, b, query, [Sql]))
     || Sql <- ["BEGIN", "begin immediate", "COMMIT", "END", "ROLLBACK",
                "SAVEPOINT here", "RELEASE here"]],
    {ok, #{value := 1}} = e2e_cluster:insert(Cluster, b, <<"ann">>),
    e2e_cluster:await_rows(Cluster, [<<"ann">>]).

%%% VACUUM

%% From a replica, and on the primary itself.
vacuum_shrinks_the_database_everywhere(Config) ->
    Cluster = e2e_suite:cluster(Config),
    [begin
         fill_and_empty(Cluster),
         Full = [pages(Cluster, Name) || Name <- litefs_cluster:names()],
         Forwards = case From of a -> []; b -> [a] end,
         ?assertEqual({{[], 0}, Forwards}, sql(Cluster, From, "VACUUM", auto)),
         ok = e2e_database:await_position(Cluster),
         Small = [pages(Cluster, Name) || Name <- litefs_cluster:names()],
         ?assertMatch({[F, F, F], [S, S, S]} when S < F - 50, {Full, Small}),
         ?assertEqual([[<<"ok">>]], here(Cluster, b, "PRAGMA integrity_check"))
     end || From <- [b, a]],
    {ok, _} = e2e_cluster:insert(Cluster, c, <<"ann">>),
    e2e_cluster:await_rows(Cluster, [<<"ann">>]).

fill_and_empty(Cluster) ->
    Rows = [#{name => <<N:32, 0:4000/unit:8>>, value => N}
            || N <- lists:seq(1, 100)],
    {returned, {100, nil}} =
        e2e_cluster:repo(Cluster, c, insert_all, [items, Rows]),
    ok = e2e_suite:empty(Cluster),
    ok = e2e_database:await_position(Cluster).

pages(Cluster, Name) ->
    [[Pages]] = here(Cluster, Name, "PRAGMA page_count"),
    Pages.

%%% PRAGMA journal_mode, which belongs to the database

journal_mode_wal_is_forwarded(Config) ->
    Cluster = e2e_suite:cluster(Config),
    Wal = "PRAGMA journal_mode = wal",
    ?assertEqual({{error, e2e_database:refusal(delete)}, []},
                 sql(Cluster, b, Wal, local)),
    ?assertEqual({{[[<<"wal">>]], 1}, [a]}, sql(Cluster, b, Wal, auto)),
    ok = e2e_database:await_position(Cluster),
    {ok, _} = e2e_cluster:insert(Cluster, c, <<"ann">>),
    ok = e2e_cluster:await_rows(Cluster, [<<"ann">>]),
    [?assertEqual([[<<"wal">>]], here(Cluster, Name, "PRAGMA journal_mode"))
     || Name <- litefs_cluster:names()],
    ?assertEqual({{[[<<"wal">>]], 1}, []}, sql(Cluster, b, Wal, auto)).

%% A fault of LiteFS 0.5.14: it computes a wrong checksum, at which each replica
%% ends. The statement runs on the primary itself, with no help of ours.
journal_mode_from_wal_ends_the_replicas(Config) ->
    Cluster = e2e_suite:cluster(Config),
    ?assertEqual({{[[<<"delete">>]], 1}, []},
                 sql(Cluster, a, "PRAGMA journal_mode = delete", auto)),
    [begin
         Replica = e2e_cluster:litefs(Cluster, Name),
         true = e2e_wait:until("the replica's LiteFS has ended", fun() ->
             not litefs_node:running(Replica)
         end),
         ?assertEqual(99, litefs_node:last_exit(Replica))
     end || Name <- [b, c]].

%% From then on LiteFS does not see what this connection of the primary commits.
%% A replica does not send it there.
journal_mode_memory_hides_writes_from_litefs(Config) ->
    Cluster = e2e_suite:cluster(Config),
    Memory = "PRAGMA journal_mode = memory",
    [?assertMatch({{raised, #{reason := journal_mode,
                              outcome := not_executed}}, []},
                  e2e_cluster:traced(Cluster, b, query, [Memory, [], Options]))
     || Options <- [[], [{on, primary}]]],
    ?assertEqual({{[[<<"memory">>]], 1}, []}, sql(Cluster, a, Memory, auto)),
    Before = e2e_database:position(Cluster, a),
    {ok, #{value := 1}} = e2e_cluster:insert(Cluster, c, <<"hidden">>),
    ?assertEqual(#{<<"hidden">> => 1}, e2e_cluster:rows(Cluster, a)),
    ?assertEqual(Before, e2e_database:position(Cluster, a)).

%%% What the cases share

%% Its rows and their number, or the text of its error; and where it went.
sql(Cluster, Name, Sql, On) ->
    Options = case On of auto -> []; _ -> [{on, On}] end,
    {{returned, Answer}, Forwards} =
        e2e_cluster:traced(Cluster, Name, query, [Sql, [], Options]),
    case Answer of
        {ok, #{rows := Rows, num_rows := Count}} -> {{Rows, Count}, Forwards};
        {error, #{message := Text}} -> {{error, Text}, Forwards}
    end.

%% The rows of one that has to run on this node.
here(Cluster, Name, Sql) ->
    {{Rows, _Count}, []} = sql(Cluster, Name, Sql, auto),
    Rows.
