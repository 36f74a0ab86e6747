%% EctoLiteFS.status/1 and the events of the detector on real LiteFS, while all
%% is well and while a LiteFS hangs, is dead or hands over.
-module(status_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([all/0]).
-export([suite/0]).
-export([init_per_suite/1]).
-export([end_per_suite/1]).
-export([init_per_testcase/2]).
-export([end_per_testcase/2]).

-export([status_of_primary_and_replica/1]).
-export([frozen_primary_degrades_its_replica/1]).
-export([dead_mount_is_seen/1]).
-export([role_changes_of_a_promotion/1]).

%% Called on a node.
-export([timed/1]).

-define(REPO, 'Elixir.TestRepo').
-define(API, 'Elixir.EctoLiteFS').
-define(MAX_LAG, 2000).

all() ->
    [status_of_primary_and_replica,
     frozen_primary_degrades_its_replica,
     dead_mount_is_seen,
     role_changes_of_a_promotion].

suite() ->
    [{timetrap, {seconds, 120}}].

init_per_suite(Config) ->
    e2e_cluster:skip_unless_possible(Config).

end_per_suite(_Config) ->
    ok.

init_per_testcase(Case, Config) ->
    e2e_suite:start(Case, #{supervisor => [{max_lag, ?MAX_LAG}]}, Config).

end_per_testcase(_Case, Config) ->
    ok = e2e_suite:stop(Config),
    e2e_suite:print_logs_of_failure(Config).

status_of_primary_and_replica(Config) ->
    Cluster = e2e_suite:cluster(Config),
    Primary = e2e_cluster:erlang_node(Cluster, a),
    Healthy = #{mount => litefs, stream => up, degraded => false,
                reconnect_pending => false, last_error => nil,
                primary_node => Primary,
                forwards => #{sent => 0, running => 0, queued => 0}},
    [begin
         Status = await_status(Cluster, Name, fun is_healthy/1),
         #{lag_ms := Lag, since_ms := Since, source := Source} = Status,
         ?assertEqual(Healthy#{role => Role, primary_hostname => Hostname},
                      maps:with([role, primary_hostname | maps:keys(Healthy)],
                                Status)),
         ?assert(is_integer(Lag) andalso Since >= 0),
         ?assert(lists:member(Source, [stream, mount]))
     end || {Name, Role, Hostname} <- [{a, primary, <<"a">>},
                                       {b, replica, <<"a">>},
                                       {c, replica, <<"a">>}]],
    ?assertMatch(#{lag_ms := 0}, status(Cluster, a)),
    {ok, _Item} = e2e_cluster:insert(Cluster, b, <<"ann">>),
    ?assertMatch(#{last_error := nil}, status(Cluster, b)),
    ok = e2e_database:await_position(Cluster),
    {ok, Term} = e2e_cluster:await_term(Cluster, a),
    [same_position(Cluster, Name, Term) || Name <- litefs_cluster:names()],
    ok = counts_a_waiter(Cluster, b).

%% As the primary has its term, and LiteFS's file the position.
same_position(Cluster, Name, Term) ->
    {ok, File} = file:read_file(e2e_cluster:database(Cluster, Name) ++ "-pos"),
    [TxId, Checksum] = [binary_to_integer(Hex, 16)
                        || Hex <- string:lexemes(File, "/\n")],
    #{term := Seen, position := Position} = status(Cluster, Name),
    ?assertEqual({Name, Term}, {Name, Seen}),
    ?assertMatch(#{term := Term, txid := TxId, checksum := Checksum}, Position).

counts_a_waiter(Cluster, Name) ->
    #{waiters := 0, position := Position} = status(Cluster, Name),
    Never = Position#{txid := maps:get(txid, Position) + 1_000},
    Wait = e2e_cluster:in_background(fun() ->
        e2e_cluster:call(Cluster, Name, ?API, {await, [?REPO, Never, 3_000]})
    end),
    _ = await_status(Cluster, Name, fun(#{waiters := N}) -> N =:= 1 end),
    ?assertEqual({error, timeout}, e2e_cluster:await(Wait, 30_000)),
    ?assertMatch(#{waiters := 0}, status(Cluster, Name)),
    ok.

%% LiteFS of the primary is stopped. Its replica hears nothing more, and only
%% the lag says so; on the primary's own node each call into LiteFS hangs.
frozen_primary_degrades_its_replica(Config) ->
    Cluster = e2e_suite:cluster(Config),
    ok = e2e_cluster:call(Cluster, b, e2e_node, {watch_events, []}),
    ?assertMatch(#{degraded := false},
                 await_status(Cluster, b, fun is_healthy/1)),
    ok = litefs_node:freeze(e2e_cluster:litefs(Cluster, a)),
    #{lag_ms := Lag} = Degraded =
        await_status(Cluster, b, fun(#{degraded := Is}) -> Is end),
    ?assert(Lag > ?MAX_LAG),
    ?assertMatch(#{role := replica, mount := litefs, stream := up,
                   primary_hostname := <<"a">>}, Degraded),
    ?assertMatch(#{mount := timeout, lag_ms := nil, degraded := true},
                 await_status(Cluster, a,
                              fun(#{role := Role}) -> Role =:= unknown end)),
    [?assertMatch({Ms, {ok, #{}}} when Ms < 300, fastest(Cluster, Name))
     || Name <- [a, b]],
    #{lag := Told} = await_lag(Cluster, b, true),
    ?assert(Told > ?MAX_LAG),
    ok = litefs_node:thaw(e2e_cluster:litefs(Cluster, a)),
    _ = await_status(Cluster, b, fun is_healthy/1),
    %% Looked at each second until it is over.
    _ = await_lag(Cluster, b, false).

dead_mount_is_seen(Config) ->
    Cluster = e2e_suite:cluster(Config),
    _ = litefs_node:kill(e2e_cluster:litefs(Cluster, b)),
    Dead = await_status(Cluster, b, fun(#{mount := Mount, stream := Stream}) ->
                                            {Mount, Stream} =:= {dead, down}
                                    end),
    ?assertMatch(#{role := unknown, degraded := true, lag_ms := nil,
                   primary_hostname := nil}, Dead),
    ?assertEqual(e2e_cluster:erlang_node(Cluster, a),
                 maps:get(primary_node, Dead)),
    ?assertMatch({Ms, {ok, #{}}} when Ms < 300, fastest(Cluster, b)),
    ok = litefs_node:start(e2e_cluster:litefs(Cluster, b)),
    ?assertMatch(#{role := replica},
                 await_status(Cluster, b, fun is_healthy/1)).

%% What each node tells of it begins and ends with the right states, and each
%% event goes on from the one before it.
role_changes_of_a_promotion(Config) ->
    Cluster = e2e_suite:cluster(Config),
    Nodes = litefs_cluster:names(),
    _ = [ok = e2e_cluster:call(Cluster, Name, e2e_node, {watch_events, []})
         || Name <- Nodes],
    ok = litefs_cluster:hand_over(e2e_cluster:litefs(Cluster), b),
    [begin
         Changes = await_change(Cluster, Name, {Role, Hostname}),
         ?assertMatch([#{previous_role := Former} | _], Changes),
         ok = chained(Changes),
         ?assertEqual([#{repo => ?REPO,
                         node => e2e_cluster:erlang_node(Cluster, Name)}],
                      lists:usort([maps:with([repo, node], Change)
                                   || Change <- Changes])),
         Generations = [G || #{generation := G} <- Changes],
         ?assertEqual(Generations, lists:usort(Generations))
     end || {Name, Former, Role, Hostname} <-
                [{a, primary, replica, <<"b">>}, {b, replica, primary, nil},
                 {c, replica, replica, <<"b">>}]].

await_change(Cluster, Name, State) ->
    e2e_wait:until("the last change is that state", fun() ->
        Changes = changes(Cluster, Name),
        case [{Role, Host} || #{role := Role, hostname := Host} <- Changes] of
            [_ | _] = States ->
                lists:last(States) =:= State andalso {ok, Changes};
            [] ->
                none_yet
        end
    end).

changes(Cluster, Name) ->
    [begin
         ?assert(Duration > 0),
         Metadata
     end || {[ecto_litefs, role, change], #{duration := Duration}, Metadata}
                <- events(Cluster, Name)].

chained([#{role := Role} | [#{previous_role := Role} | _] = Rest]) ->
    chained(Rest);
chained([_Last]) ->
    ok.

%% The newest one that is, or is not, degraded.
await_lag(Cluster, Name, Degraded) ->
    e2e_wait:until("the lag was told", 40000, fun() ->
        Lags = [{Measurements, Is}
                || {[ecto_litefs, lag], Measurements,
                    #{repo := ?REPO, degraded := Is}}
                       <- events(Cluster, Name)],
        case lists:reverse(Lags) of
            [{Measurements, Degraded} | _] -> {ok, Measurements};
            Others -> Others
        end
    end).

events(Cluster, Name) ->
    e2e_cluster:call(Cluster, Name, e2e_node, {events, []}).

is_healthy(#{mount := Mount, stream := Stream, degraded := Degraded,
             role := Role}) ->
    {Mount, Stream, Degraded} =:= {litefs, up, false}
        andalso lists:member(Role, [primary, replica]).

await_status(Cluster, Name, IsIt) ->
    e2e_wait:until("the status is so", 30000, fun() ->
        Status = status(Cluster, Name),
        case IsIt(Status) of
            true -> {ok, Status};
            false -> Status
        end
    end).

status(Cluster, Name) ->
    {ok, Status} = e2e_cluster:call(Cluster, Name, ?API, {status, [?REPO]}),
    Status.

%% This machine has other work, so the best of five.
fastest(Cluster, Name) ->
    lists:min([e2e_cluster:call(Cluster, Name, ?MODULE, {timed, [?REPO]})
               || _ <- lists:seq(1, 5)]).

timed(Repo) ->
    Since = erlang:monotonic_time(millisecond),
    Status = ?API:status(Repo),
    {erlang:monotonic_time(millisecond) - Since, Status}.
