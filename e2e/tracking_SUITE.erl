%% The tracking row on real LiteFS: when it is written, how often, and what a
%% node that sees no claim makes of it. README.md says what each case proves.
-module(tracking_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([all/0]).
-export([suite/0]).
-export([init_per_suite/1]).
-export([end_per_suite/1]).
-export([init_per_testcase/2]).
-export([end_per_testcase/2]).

-export([promotion_is_one_write/1]).
-export([restart_of_the_supervisor_is_none/1]).
-export([node_without_connections_finds_the_primary/1]).
-export([many_writes_find_it_at_once/1]).
-export([row_names_a_node_that_is_gone/1]).
-export([row_names_no_node/1]).
-export([invalidated_row_is_read_anew/1]).
-export([row_names_the_node_that_reads_it/1]).
-export([database_that_is_none/1]).
-export([port_killed_before_a_promotion/1]).
-export([litefs_restarted/1]).
-export([repos_without_a_module_are_quiet/1]).

-define(REPO, 'Elixir.TestRepo').
-define(TRACKER, 'Elixir.EctoLiteFS.Tracker').
-define(PROGRAM, ecto_litefs_test_program).

%% The real Consul is for the cases of cluster_SUITE.
all() ->
    case os:getenv("CONSUL") of
        false ->
            [promotion_is_one_write,
             restart_of_the_supervisor_is_none,
             node_without_connections_finds_the_primary,
             many_writes_find_it_at_once,
             row_names_a_node_that_is_gone,
             row_names_no_node,
             invalidated_row_is_read_anew,
     row_names_the_node_that_reads_it,
             database_that_is_none,
             port_killed_before_a_promotion,
             litefs_restarted,
             repos_without_a_module_are_quiet];
        _Path ->
            []
    end.

suite() ->
    [{timetrap, {seconds, 60}}].

init_per_suite(Config) ->
    e2e_cluster:skip_unless_possible(Config).

end_per_suite(_Config) ->
    ok.

init_per_testcase(Case, Config) ->
    e2e_suite:start(Case, #{supervisor => [{primary_wait, 3000}]}, Config).

end_per_testcase(_Case, Config) ->
    ok = e2e_suite:print_logs_of_failure(Config),
    e2e_suite:stop(Config).

%%% When it is written

promotion_is_one_write(Config) ->
    Cluster = e2e_suite:cluster(Config),
    Before = e2e_database:position(Cluster, a),
    {ok, First} = e2e_cluster:await_term(Cluster, a),
    ok = everywhere_names(Cluster, a, First),
    ok = litefs_cluster:hand_over(e2e_cluster:litefs(Cluster), b),
    ok = e2e_cluster:await_role(Cluster, b, primary),
    {ok, Second} = e2e_cluster:await_term(Cluster, b),
    ?assertNotEqual(First, Second),
    ok = everywhere_names(Cluster, b, Second),
    ?assertEqual(Before + 1, e2e_database:position(Cluster, b)),
    ok = e2e_cluster:await_role(Cluster, a, replica),
    ?assertEqual(none, e2e_cluster:await_term(Cluster, a)).

%% As we read it, and as 1.0 does.
everywhere_names(Cluster, Name, Term) ->
    ok = e2e_database:await_position(Cluster),
    Node = atom_to_binary(e2e_cluster:erlang_node(Cluster, Name)),
    [begin
         ?assertMatch({ok, #{node := Node, term := Term}},
                      row(Cluster, Reader)),
         {ok, #{started_at := StartedAt}} = row(Cluster, Reader),
         ?assert(abs(erlang:system_time(millisecond) - StartedAt) < 60000),
         ?assertMatch([{1, Node, UpdatedAt}] when is_integer(UpdatedAt),
                      sql(Cluster, Reader,
                          "SELECT id, node_name, updated_at FROM "
                          "_ecto_litefs_primary", []))
     end || Reader <- litefs_cluster:names()],
    ok.

restart_of_the_supervisor_is_none(Config) ->
    Cluster = e2e_suite:cluster(Config),
    {ok, Term} = e2e_cluster:await_term(Cluster, a),
    Before = e2e_database:position(Cluster, a),
    [begin
         ok = e2e_cluster:restart_supervisor(Cluster, a, []),
         ok = e2e_cluster:await_role(Cluster, a, primary),
         ?assertEqual({ok, Term}, e2e_cluster:await_term(Cluster, a))
     end || _ <- [1, 2, 3]],
    ?assertEqual(Before, e2e_database:position(Cluster, a)),
    {ok, #{value := 1}} = e2e_cluster:insert(Cluster, b, <<"after">>),
    ?assertEqual(Before + 1, e2e_database:position(Cluster, a)).

%%% Who is found by it

node_without_connections_finds_the_primary(Config) ->
    Cluster = e2e_suite:cluster(Config),
    ok = alone(Cluster, b),
    ?assertMatch({{returned, {ok, #{value := 1}}}, [a]},
                 e2e_cluster:traced(Cluster, b, insert,
                                    [e2e_node:stamped(<<"found">>)])),
    ok = alone(Cluster, c),
    A = e2e_cluster:erlang_node(Cluster, a),
    ?assertEqual({ok, A}, get_primary(Cluster, c, [])).

many_writes_find_it_at_once(Config) ->
    Cluster = e2e_suite:cluster(Config),
    ok = alone(Cluster, b),
    Writes = e2e_cluster:call(Cluster, b, e2e_node, {insert_at_once, [200, 1]},
                              30000),
    ?assertEqual(200, length([ok || {returned, {ok, #{value := 1}}, _, _}
                                        <- Writes])).

row_names_a_node_that_is_gone(Config) ->
    Cluster = e2e_suite:cluster(Config),
    ok = name(Cluster, <<"gone@127.0.0.9">>),
    ok = alone(Cluster, b),
    not_found(Cluster, b),
    A = e2e_cluster:erlang_node(Cluster, a),
    ok = name(Cluster, atom_to_binary(A)),
    true = e2e_wait:until("the row is read anew", fun() ->
        get_primary(Cluster, b, [{force, true}]) =:= {ok, A}
    end),
    {ok, #{value := 1}} = e2e_cluster:insert(Cluster, b, <<"found">>),
    %% where there is a claim the row is not asked
    ok = name(Cluster, <<"gone@127.0.0.9">>),
    {ok, #{value := 1}} = e2e_cluster:insert(Cluster, b, <<"claim">>).

%% What is no name becomes no atom.
row_names_no_node(Config) ->
    Cluster = e2e_suite:cluster(Config),
    ok = alone(Cluster, b),
    [First | Hostile] =
        [<<"'; drop table items; --">>, <<"no_host">>, <<"@host">>,
         <<"a@b@c">>, <<"new1@host\n">>, <<"new2 @host">>, <<"../new3@host">>,
         <<"n\303\244w4@host">>, binary:copy(<<"x">>, 1000),
         <<(binary:copy(<<"x">>, 250))/binary, "@hostname">>,
         binary:copy(<<"y">>, 4096)],
    ok = name(Cluster, First),
    ?assertEqual({ok, nil}, get_primary(Cluster, b, [{force, true}])),
    Atoms = atoms(Cluster, b),
    [begin
         ok = name(Cluster, Name),
         ok = await_named(Cluster, b, Name),
         ?assertEqual({ok, nil}, get_primary(Cluster, b, [{force, true}]))
     end || Name <- Hostile],
    ?assertEqual(Atoms, atoms(Cluster, b)),
    not_found(Cluster, b).

%% Until the node reads that name, or that it is too long for one.
await_named(Cluster, Reader, Name) ->
    true = e2e_wait:until("the row is read anew", fun() ->
        case e2e_cluster:call(Cluster, Reader, ecto_litefs_tracking,
                              {row, [?REPO, true, 5000]}) of
            {ok, #{node := Name}} -> true;
            {error, {bad_row, 0, _}} -> byte_size(Name) > 1020;
            Other -> {read, Other}
        end
    end),
    ok.

atoms(Cluster, Name) ->
    e2e_cluster:call(Cluster, Name, erlang, {system_info, [atom_count]}).

%% The row is good for cache_ttl, 5 s, and what was found by it for a second.
invalidated_row_is_read_anew(Config) ->
    Cluster = e2e_suite:cluster(Config),
    ok = name(Cluster, <<"gone@127.0.0.9">>),
    ok = alone(Cluster, b),
    ?assertEqual({ok, nil}, get_primary(Cluster, b, [{force, true}])),
    A = e2e_cluster:erlang_node(Cluster, a),
    ok = name(Cluster, atom_to_binary(A)),
    ?assertEqual({ok, nil}, get_primary(Cluster, b, [])),
    ok = e2e_cluster:call(Cluster, b, ?TRACKER, {invalidate_cache, [?REPO]}),
    ?assertEqual({ok, A}, get_primary(Cluster, b, [])).

row_names_the_node_that_reads_it(Config) ->
    Cluster = e2e_suite:cluster(Config),
    ok = name(Cluster, atom_to_binary(e2e_cluster:erlang_node(Cluster, b))),
    ok = alone(Cluster, b),
    not_found(Cluster, b).

%% A write is not executed when its time is over, and a question takes a second.
not_found(Cluster, Name) ->
    {Us, Primary} = timer:tc(fun() -> get_primary(Cluster, Name, []) end),
    ?assertEqual({ok, nil}, Primary),
    ?assert(Us < 1_500_000),
    {Wait, Answer} = timer:tc(fun() ->
        e2e_cluster:insert(Cluster, Name, <<"nowhere">>)
    end),
    ?assertEqual({error, primary_unavailable}, Answer),
    ?assert(Wait < 4_500_000).

%%% What fails

database_that_is_none(Config) ->
    Cluster = e2e_suite:cluster(Config),
    LogDir = proplists:get_value(log_dir, Config),
    Broken = filename:join(LogDir, "broken.db"),
    ok = file:write_file(Broken, binary:copy(<<"secret">>, 4096)),
    [begin
         Option = {database, list_to_binary(filename:absname(Path))},
         ok = e2e_cluster:restart_supervisor(Cluster, a, [Option]),
         ok = e2e_cluster:await_role(Cluster, a, primary),
         ?assertEqual(none, e2e_cluster:await_term(Cluster, a)),
         true = e2e_wait:until("it is logged", fun() ->
             logged(LogDir, a, Advice)
         end),
         Row = list_to_binary(filename:basename(Path)),
         {ok, #{value := 1}} = e2e_cluster:insert(Cluster, b, Row),
         {ok, #{value := 1}} = e2e_cluster:insert(Cluster, a,
                                                  <<Row/binary, "2">>)
     end || {Path, Advice} <- [{Broken, "tracking: false"},
                               {filename:join(LogDir, "missing.db"),
                                "the option database:"}]],
    ok = e2e_cluster:restart_supervisor(Cluster, a, [{tracking, false}]),
    ok = e2e_cluster:await_role(Cluster, a, primary),
    ?assertEqual({ok, 0}, e2e_cluster:await_term(Cluster, a)).

logged(LogDir, Name, Text) ->
    Log = filename:join(LogDir, lists:concat(["beam_", Name, ".log"])),
    {ok, Lines} = file:read_file(Log),
    string:find(Lines, Text) =/= nomatch.

port_killed_before_a_promotion(Config) ->
    Cluster = e2e_suite:cluster(Config),
    [begin
         {ok, #{}} = row(Cluster, Name), % it has a program
         ok = e2e_port:kill(Cluster, Name, ?REPO),
         ok = litefs_cluster:hand_over(e2e_cluster:litefs(Cluster), Name),
         ok = e2e_cluster:await_role(Cluster, Name, primary),
         {ok, Term} = e2e_cluster:await_term(Cluster, Name),
         ok = everywhere_names(Cluster, Name, Term),
         ok = e2e_port:kill(Cluster, Name, ?REPO),
         ?assertEqual({ok, Term}, e2e_cluster:await_term(Cluster, Name))
     end || Name <- [b, c]].

%% The program lets go of the dead mount, and opens the new one.
litefs_restarted(Config) ->
    Cluster = e2e_suite:cluster(Config),
    C = e2e_cluster:litefs(Cluster, c),
    {ok, #{term := Term}} = row(Cluster, c),
    Pid = e2e_port:program(Cluster, c, ?REPO),
    ?assertNotEqual([], ?PROGRAM:descriptors(Pid)),
    _ = litefs_node:kill(C),
    true = e2e_wait:until("the program has let go", fun() ->
        case ?PROGRAM:descriptors(Pid) of
            [] -> true;
            Open -> Open
        end
    end),
    true = e2e_wait:until("LiteFS can start again", fun() ->
        e2e_cluster:open_files(Cluster, c) =:= []
    end),
    ok = litefs_node:start(C),
    ok = e2e_cluster:await_role(Cluster, c, replica),
    true = e2e_wait:until("the row is read from the new mount", fun() ->
        case row(Cluster, c) of
            {ok, #{term := Term}} -> true;
            Other -> Other
        end
    end),
    ?assertEqual(Pid, e2e_port:program(Cluster, c, ?REPO)).

repos_without_a_module_are_quiet(Config) ->
    Cluster = e2e_suite:cluster(Config),
    Repos = [list_to_atom("Elixir.Repo" ++ integer_to_list(N))
             || N <- lists:seq(1, 10)],
    ok = e2e_cluster:call(Cluster, a, e2e_node, {add_supervisors, [Repos]}),
    [begin
         true = e2e_wait:until("its role is known", fun() ->
             e2e_cluster:call(Cluster, a, ecto_litefs_status, {role, [Repo]})
                 =:= primary
         end),
         ?assertEqual(none, e2e_cluster:call(Cluster, a, ecto_litefs_tracking,
                                             {await_term, [Repo, 5000]})),
         ?assertEqual(none, e2e_cluster:call(Cluster, a, ecto_litefs_tracking,
                                             {database, [Repo]}))
     end || Repo <- Repos],
    LogDir = proplists:get_value(log_dir, Config),
    ?assertNot(logged(LogDir, a, "tracking row")),
    ?assertNot(logged(LogDir, a, "port program")).

%%% What the cases share

%% No connection to another node, and none that makes itself.
alone(Cluster, Name) ->
    [ok = e2e_cluster:call(Cluster, N, application,
                           {set_env, [kernel, dist_auto_connect, never]})
     || N <- litefs_cluster:names()],
    Nodes = e2e_cluster:call(Cluster, Name, erlang, {nodes, []}),
    [e2e_cluster:call(Cluster, Name, erlang, {disconnect_node, [Node]})
     || Node <- Nodes],
    true = e2e_wait:until("nobody claims anything there", fun() ->
        e2e_cluster:call(Cluster, Name, ecto_litefs_claim,
                         {members, [?REPO, litefs]}) =:= []
    end),
    ?assertEqual([], e2e_cluster:call(Cluster, Name, erlang, {nodes, []})),
    ok.

get_primary(Cluster, Name, Options) ->
    e2e_cluster:call(Cluster, Name, ?TRACKER, {get_primary, [?REPO, Options]}).

row(Cluster, Name) ->
    e2e_cluster:call(Cluster, Name, ecto_litefs_tracking, {read, [?REPO, 5000]}).

%% On the primary; until all nodes have it.
name(Cluster, Node) ->
    _ = sql(Cluster, a, "UPDATE _ecto_litefs_primary SET node_name = ?1",
            [Node]),
    e2e_database:await_position(Cluster).

sql(Cluster, Name, Sql, Params) ->
    case e2e_cluster:call(Cluster, Name, ecto_litefs_test_repo,
                          {sql, [?REPO, Sql, Params]}) of
        [_Columns, {rows, Rows}] -> Rows;
        Other -> Other
    end.
