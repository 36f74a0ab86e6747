%% The harness by itself: do LiteFS, the stub and the signals do what the
%% cases of cluster_SUITE rest on?
-module(litefs_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([all/0]).
-export([suite/0]).
-export([init_per_suite/1]).
-export([end_per_suite/1]).
-export([init_per_testcase/2]).
-export([end_per_testcase/2]).

-export([clean_stop_elects_another/1]).
-export([kill_elects_another_and_restart_rejoins/1]).
-export([promotion_is_seen_in_the_events/1]).
-export([expired_lease_is_noticed/1]).
-export([frozen_primary_is_not_replaced/1]).
-export([failing_elector_leaves_no_primary/1]).
-export([cut_off_primary_goes_on_beside_a_new_one/1]).

all() ->
    case os:getenv("CONSUL") of
        false -> with_any_elector() ++ with_the_stub();
        _Path -> with_any_elector()
    end.

with_any_elector() ->
    [clean_stop_elects_another,
     kill_elects_another_and_restart_rejoins,
     promotion_is_seen_in_the_events].

with_the_stub() ->
    [expired_lease_is_noticed,
     frozen_primary_is_not_replaced,
     failing_elector_leaves_no_primary,
     cut_off_primary_goes_on_beside_a_new_one].

suite() ->
    [{timetrap, {seconds, 60}}].

init_per_suite(Config) ->
    e2e_cluster:skip_unless_possible(Config).

end_per_suite(_Config) ->
    ok.

init_per_testcase(Case, Config) ->
    LogDir = filename:join(proplists:get_value(priv_dir, Config), Case),
    [{cluster, litefs_cluster:start(#{log_dir => LogDir})} | Config].

end_per_testcase(_Case, Config) ->
    litefs_cluster:destroy(proplists:get_value(cluster, Config)).

clean_stop_elects_another(Config) ->
    {Cluster, A} = cluster(Config),
    ?assertEqual(0, litefs_node:stop(A)),
    ?assertEqual(0, litefs_node:layers(litefs_node:mount_dir(A))),
    New = litefs_cluster:await_primary(Cluster, [b, c]),
    litefs_cluster:await_replicas(Cluster, New).

kill_elects_another_and_restart_rejoins(Config) ->
    {Cluster, A} = cluster(Config),
    ?assertEqual(128 + 9, litefs_node:kill(A)),
    ?assertEqual(1, litefs_node:layers(litefs_node:mount_dir(A))),
    New = litefs_cluster:await_primary(Cluster, [b, c]),
    ok = litefs_node:unmount(A),
    ok = litefs_node:start(A),
    litefs_cluster:await_replicas(Cluster, New),
    ?assertEqual([New], litefs_cluster:primary(Cluster)).

promotion_is_seen_in_the_events(Config) ->
    {Cluster, _A} = cluster(Config),
    B = litefs_cluster:node(Cluster, b),
    Watcher = litefs_http:watch(litefs_node:port(B)),
    e2e_wait:until("the stream's first event", fun() ->
        litefs_http:events(Watcher) =/= []
    end),
    Before = e2e_wait:us(),
    ?assertEqual(none, litefs_http:primary_since(Watcher, 0)),
    ok = litefs_cluster:promote(Cluster, b),
    b = litefs_cluster:await_primary(Cluster, [b]),
    At = e2e_wait:until("the event", fun() ->
        litefs_http:primary_since(Watcher, Before)
    end),
    ?assert(At - Before < 1000000),
    litefs_http:unwatch(Watcher).

expired_lease_is_noticed(Config) ->
    {Cluster, A} = cluster(Config),
    Watcher = litefs_http:watch(litefs_node:port(A)),
    e2e_wait:until("the stream's first event", fun() ->
        litefs_http:events(Watcher) =/= []
    end),
    ok = consul_stub:expire(litefs_cluster:elector(Cluster)),
    _ = e2e_wait:until("the primary steps down", fun() ->
        litefs_http:demoted_since(Watcher, 0)
    end),
    _ = litefs_cluster:await_primary(Cluster),
    litefs_http:unwatch(Watcher).

%% Its lease runs out meanwhile, but no one asks: replicas stay attached.
frozen_primary_is_not_replaced(Config) ->
    {Cluster, A} = cluster(Config),
    ok = litefs_node:freeze(A),
    e2e_wait:until("the lease has run out", fun() ->
        consul_stub:holder(litefs_cluster:elector(Cluster)) =:= none
    end),
    ?assertEqual([], litefs_cluster:primary(Cluster)),
    ok = litefs_node:thaw(A),
    _ = litefs_cluster:await_primary(Cluster).

failing_elector_leaves_no_primary(Config) ->
    {Cluster, _A} = cluster(Config),
    Stub = litefs_cluster:elector(Cluster),
    ok = consul_stub:set_mode(Stub, all, fail),
    e2e_wait:until("the primary steps down", fun() ->
        litefs_cluster:primary(Cluster) =:= []
    end),
    ok = consul_stub:set_mode(Stub, all, serve),
    _ = litefs_cluster:await_primary(Cluster).

%% Its renewal hangs, so that it does not know that the lease has gone.
cut_off_primary_goes_on_beside_a_new_one(Config) ->
    {Cluster, _A} = cluster(Config),
    Stub = litefs_cluster:elector(Cluster),
    ok = consul_stub:set_mode(Stub, a, hang),
    e2e_wait:until("the lease has run out", fun() ->
        consul_stub:holder(Stub) =:= none
    end),
    B = litefs_cluster:node(Cluster, b),
    _ = litefs_node:stop(B),
    ok = litefs_node:start(B),
    e2e_wait:until("two primaries", fun() ->
        litefs_cluster:primary(Cluster) =:= [a, b]
    end),
    ok = consul_stub:set_mode(Stub, a, serve),
    b = litefs_cluster:await_primary(Cluster, [b]),
    litefs_cluster:await_replicas(Cluster, b).

cluster(Config) ->
    Cluster = proplists:get_value(cluster, Config),
    {Cluster, litefs_cluster:node(Cluster, a)}.
