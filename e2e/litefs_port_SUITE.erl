%% The port program on databases of a real LiteFS: killed within its requests,
%% locked out, and sent where no database is. README.md says what each case
%% proves.
-module(litefs_port_SUITE).

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

-export([killed_within_each_request/1]).
-export([locked_by_the_repo/1]).
-export([locked_at_the_first_row/1]).
-export([a_directory/1]).
-export([frozen_in_a_write/1]).

-define(REPO, 'Elixir.TestRepo').
-define(API, 'Elixir.EctoLiteFS').
-define(PORT, ecto_litefs_port).
-define(KILL, ecto_litefs_test_kills).
-define(LOCK, e2e_lock).

-define(DATABASES, 20).
-define(KILLS, 64).          % of each; five of eight are certainly in time

-define(FREEZES, 30).

%% The real Consul is for the cases of cluster_SUITE.
all() ->
    case os:getenv("CONSUL") of
        false -> [{group, all}];
        _Path -> []
    end.

%% On one cluster.
groups() ->
    [{all, [], [killed_within_each_request,
                locked_by_the_repo,
                locked_at_the_first_row,
                a_directory,
                frozen_in_a_write]}].

%% Seconds, and minutes where others want the same two cores.
suite() ->
    [{timetrap, {minutes, 5}}].

init_per_suite(Config) ->
    e2e_cluster:skip_unless_possible(Config).

end_per_suite(_Config) ->
    ok.

init_per_group(all, Config) ->
    e2e_suite:start(all, #{}, Config).

end_per_group(all, Config) ->
    e2e_suite:stop(Config).

init_per_testcase(_Case, Config) ->
    ok = e2e_suite:empty(e2e_suite:cluster(Config)),
    Config.

end_per_testcase(_Case, Config) ->
    e2e_suite:print_logs_of_failure(Config).

%% Half of the databases have a WAL. After each kill another connection of the
%% VM writes at once, because LiteFS has the locks of the dead no more.
killed_within_each_request(Config) ->
    Cluster = e2e_suite:cluster(Config),
    Runs = [e2e_cluster:in_background(fun() ->
                e2e_cluster:call(Cluster, a, ?KILL,
                                 {run, [options(N, Cluster)]}, infinity)
            end) || N <- lists:seq(1, ?DATABASES)],
    Counts = [e2e_cluster:await(Run, 290_000) || Run <- Runs],
    [Killed, Done, Us] = [[maps:get(What, Each) || Each <- Counts]
                          || What <- [killed, done, slowest_us]],
    ct:pal("~b requests killed in the program, ~b done before; a write after "
           "it took ~b us at most",
           [lists:sum(Killed), lists:sum(Done), lists:max(Us)]),
    ?assertEqual(?DATABASES * ?KILLS, lists:sum(Killed ++ Done)),
    ?assert(lists:sum(Killed) >= 1000),
    [?assertEqual(running, e2e_cluster:exit_status(Cluster, Name))
     || Name <- litefs_cluster:names()],
    [ok = everywhere(Cluster, N) || N <- lists:seq(1, ?DATABASES)],
    {ok, #{value := 1}} = e2e_cluster:insert(Cluster, a, <<"here">>),
    {ok, #{value := 1}} = e2e_cluster:insert(Cluster, b, <<"forwarded">>).

options(N, Cluster) ->
    Mode = lists:nth(N rem 2 + 1, [wal, delete]),
    #{repo => list_to_atom("Elixir.Killed" ++ integer_to_list(N)),
      database => killed(N, Cluster, a), journal_mode => Mode,
      kinds => ?KILL:kinds() -- not_with(Mode), first => N, count => ?KILLS,
      spin_us => 4_000}.

%% What LiteFS v0.5.14 does not survive: of a program that dies in its COMMIT it
%% ships the frames, which SQLite has not entered into the WAL's index. Each
%% write then fails, and when one can be made again all replicas exit, with
%% another checksum.
not_with(wal) -> [write_running];
not_with(delete) -> [].

killed(N, Cluster, Name) ->
    Dir = filename:dirname(e2e_cluster:database(Cluster, Name)),
    filename:join(Dir, lists:concat(["killed", N, ".db"])).

%% All nodes have the same content of it.
everywhere(Cluster, N) ->
    true = e2e_wait:until("all nodes have it", 30_000, fun() ->
        Seen = [file:read_file(killed(N, Cluster, Name) ++ "-pos")
                || Name <- litefs_cluster:names()],
        case lists:usort(Seen) of
            [{ok, _Position}] -> true;
            _Others -> Seen
        end
    end),
    ok.

%% By a transaction that has written: the row can be read, and is written when
%% it is over.
locked_by_the_repo(Config) ->
    Cluster = e2e_suite:cluster(Config),
    {ok, Row} = port(Cluster, read_row, []),
    Node = e2e_cluster:erlang_node(Cluster, a),
    Transaction = e2e_cluster:in_background(fun() ->
        e2e_cluster:repo(Cluster, a, transaction, [fun() ->
            {ok, Item} = e2e_node:insert(<<"held">>),
            ok = e2e_node:hold(Node),
            Item
        end])
    end),
    true = e2e_wait:until("it has written", fun() ->
        e2e_cluster:call(Cluster, a, e2e_node, {held, []})
    end),
    {Us, Answer} = timer:tc(fun() -> port(Cluster, write_row, [Row]) end),
    ?assertMatch({error, {busy, 5, _}}, Answer),
    ?assert(Us < 1_500_000),
    ?assertEqual({ok, Row}, port(Cluster, read_row, [])),
    ok = e2e_cluster:call(Cluster, a, e2e_node, {release, []}),
    {returned, {ok, #{}}} = e2e_cluster:await(Transaction, 30_000),
    ?assertEqual(ok, port(Cluster, write_row, [Row])),
    ?assertEqual({ok, Row}, port(Cluster, read_row, [])),
    ok = e2e_cluster:call(Cluster, a, ?PORT, {close, [?REPO]}),
    ?assertEqual(1, e2e_cluster:await_row(Cluster, b, <<"held">>)).

port(Cluster, Function, Args) ->
    e2e_cluster:call(Cluster, a, ?PORT, {Function, [?REPO | Args] ++ [1_000]}).

%% A primary without a row cannot write one: it has no term and no position, and
%% both when it can. It waits for longer than an attempt takes.
locked_at_the_first_row(Config) ->
    Cluster = e2e_suite:cluster(Config),
    ok = e2e_cluster:call(Cluster, a, ecto_litefs_test_repo,
                          {sql, [?REPO, "DROP TABLE _ecto_litefs_primary", []]}),
    ok = e2e_cluster:call(Cluster, a, e2e_reader,
                          {hold_write, [e2e_cluster:database(Cluster, a),
                                        ?LOCK]}),
    ok = e2e_cluster:restart_supervisor(Cluster, a, []),
    true = e2e_wait:until("it is primary", fun() ->
        e2e_cluster:role(Cluster, a) =:= primary
    end),
    ?assertEqual(none, e2e_cluster:call(Cluster, a, ecto_litefs_tracking,
                                        {await_term, [?REPO, 2_500]})),
    ?assertMatch(#{role := primary, term := nil, position := nil},
                 status(Cluster)),
    ok = e2e_cluster:call(Cluster, a, e2e_reader, {release, [?LOCK]}),
    {ok, Term} = e2e_cluster:await_term(Cluster, a),
    ?assertMatch({ok, #{term := Term}}, port(Cluster, read_row, [])),
    ?assertMatch(#{term := Term, position := #{term := Term}}, status(Cluster)),
    {ok, #{value := 1}} = e2e_cluster:insert(Cluster, b, <<"unlocked">>).

status(Cluster) ->
    {ok, Status} = e2e_cluster:call(Cluster, a, ?API, {status, [?REPO]}),
    Status.

%% The mount's own. Writes and forwards go on.
a_directory(Config) ->
    Cluster = e2e_suite:cluster(Config),
    Directory = filename:dirname(e2e_cluster:database(Cluster, a)),
    {ok, Row} = port(Cluster, read_row, []),
    ok = e2e_cluster:restart_supervisor(
           Cluster, a, [{database, list_to_binary(Directory)}]),
    true = e2e_wait:until("that is the last error", fun() ->
        case status(Cluster) of
            #{last_error := #{what := {tracking, {not_a_file, 0, _}}}} -> true;
            Other -> Other
        end
    end),
    ?assertEqual(none, e2e_cluster:await_term(Cluster, a)),
    ?assertMatch({error, {not_a_file, 0, _}}, port(Cluster, read_row, [])),
    ?assertMatch({error, {not_a_file, 0, _}}, port(Cluster, write_row, [Row])),
    {ok, #{value := 1}} = e2e_cluster:insert(Cluster, a, <<"here">>),
    {ok, #{value := 1}} = e2e_cluster:insert(Cluster, b, <<"forwarded">>),
    ok = e2e_cluster:restart_supervisor(Cluster, a, []),
    e2e_cluster:await_role(Cluster, a, primary).

%% For longer than the request may take. The program is told to end, and its COMMIT
%% with it; killed there it would have left a database that nobody can write.
frozen_in_a_write(Config) ->
    Cluster = e2e_suite:cluster(Config),
    ok = e2e_cluster:restart_supervisor(Cluster, a, []),
    {ok, _Term} = e2e_cluster:await_term(Cluster, a),
    {ok, Row} = port(Cluster, read_row, []),
    Answers = [frozen_write(N, Row, Cluster) || N <- lists:seq(1, ?FREEZES)],
    Hung = length([hung || {error, timeout} <- Answers]),
    ct:pal("~b of ~b writes hung", [Hung, ?FREEZES]),
    ?assert(Hung >= ?FREEZES div 3),
    ok = e2e_cluster:call(Cluster, a, ?PORT, {close, [?REPO]}),
    {ok, #{value := 1}} = e2e_cluster:insert(Cluster, b, <<"forwarded">>),
    ok = e2e_database:await_position(Cluster).

%% LiteFS stops some milliseconds after it was told to, in the middle of the write
%% or before it.
frozen_write(N, Row, Cluster) ->
    true = e2e_wait:until("a program writes", fun() ->
        case port(Cluster, write_row, [Row]) of
            ok -> true;
            Other -> Other
        end
    end),
    LiteFS = e2e_cluster:litefs(Cluster, a),
    Write = e2e_cluster:in_background(fun() ->
        timer:sleep(rand:uniform(5) - 1),
        e2e_cluster:call(Cluster, a, ?PORT, {write_row, [?REPO, Row, 200]})
    end),
    ok = litefs_node:freeze(LiteFS),
    Answer = e2e_cluster:await(Write, 10_000),
    ok = litefs_node:thaw(LiteFS),
    Name = <<"frozen", (integer_to_binary(N))/binary>>,
    ?assertMatch({ok, #{value := 1}}, e2e_cluster:insert(Cluster, a, Name)),
    Answer.
