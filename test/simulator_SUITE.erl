%% The basic cases of forwarding and failover without FUSE: three BEAM nodes,
%% each on its own directory of the simulator. What LiteFS itself does with
%% the data is e2e's business.
-module(simulator_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([all/0]).
-export([suite/0]).
-export([init_per_testcase/2]).
-export([end_per_testcase/2]).

-export([first_node_is_primary_and_the_others_follow/1]).
-export([write_on_primary_is_local/1]).
-export([write_on_replica_is_forwarded/1]).
-export([stopped_primary_write_waits_and_succeeds/1]).
-export([promoted_replica_takes_the_writes/1]).
-export([rejoined_old_primary_forwards/1]).
-export([no_primary_fails_within_primary_wait/1]).

-define(PRIMARY_WAIT_MS, 3000).

all() ->
    [first_node_is_primary_and_the_others_follow,
     write_on_primary_is_local,
     write_on_replica_is_forwarded,
     stopped_primary_write_waits_and_succeeds,
     promoted_replica_takes_the_writes,
     rejoined_old_primary_forwards,
     no_primary_fails_within_primary_wait].

suite() ->
    [{timetrap, {seconds, 60}}].

init_per_testcase(Case, Config) ->
    Dir = filename:join(proplists:get_value(priv_dir, Config), Case),
    ok = filelib:ensure_dir(filename:join(Dir, "x")),
    Names = [<<"a">>, <<"b">>, <<"c">>],
    {ok, Sim} = litefs_simulator:start(#{directory => Dir, nodes => Names}),
    Nodes = [start_node(Sim, Name, Dir) || Name <- [a, b, c]],
    ok = ecto_litefs_test_node:connect(Nodes),
    [A | _] = Nodes,
    await_role(A, primary),
    ok = ecto_litefs_test_node:create_table(A),
    [{sim, Sim}, {nodes, Nodes} | Config].

end_per_testcase(_Case, Config) ->
    [ecto_litefs_test_node:stop(Node)
     || Node <- proplists:get_value(nodes, Config)],
    litefs_simulator:stop(proplists:get_value(sim, Config)).

start_node(Sim, Name, Dir) ->
    Options = (litefs_simulator:node(Sim, atom_to_binary(Name)))
        #{mount => plain, primary_wait => ?PRIMARY_WAIT_MS},
    ecto_litefs_test_node:start(Name, Dir, Options).

first_node_is_primary_and_the_others_follow(Config) ->
    {_Sim, [_A, B, C]} = cluster(Config),
    await_role(B, replica),
    await_role(C, replica).

write_on_primary_is_local(Config) ->
    {_Sim, [A, B, C]} = cluster(Config),
    ?assertEqual(name(A), insert(A, <<"ann">>)),
    ?assertEqual([[<<"ann">>]], lists:usort([rows(N) || N <- [A, B, C]])).

write_on_replica_is_forwarded(Config) ->
    {_Sim, [A, B, C]} = cluster(Config),
    ?assertEqual(name(A), insert(B, <<"ann">>)),
    ?assertEqual(name(A), insert(C, <<"bob">>)),
    ?assertEqual([<<"ann">>, <<"bob">>], rows(B)).

stopped_primary_write_waits_and_succeeds(Config) ->
    {Sim, [_A, B, C]} = cluster(Config),
    ok = litefs_simulator:stop_node(Sim, <<"a">>),
    ?assertEqual(name(B), insert(C, <<"ann">>)),
    ?assertEqual([<<"ann">>], rows(C)).

promoted_replica_takes_the_writes(Config) ->
    {Sim, [A, B, C]} = cluster(Config),
    ok = litefs_simulator:promote(Sim, <<"c">>),
    [?assertEqual(name(C), insert(Node, Text))
     || {Node, Text} <- [{A, <<"ann">>}, {B, <<"bob">>}, {C, <<"cid">>}]].

rejoined_old_primary_forwards(Config) ->
    {Sim, [A, B, _C]} = cluster(Config),
    ok = litefs_simulator:stop_node(Sim, <<"a">>),
    await_role(B, primary),
    ok = litefs_simulator:start_node(Sim, <<"a">>),
    await_role(A, replica),
    ?assertEqual(name(B), insert(A, <<"ann">>)).

no_primary_fails_within_primary_wait(Config) ->
    {Sim, [_A, B, _C] = Nodes} = cluster(Config),
    [ok = litefs_simulator:stop_node(Sim, Name)
     || Name <- [<<"c">>, <<"b">>, <<"a">>]],
    await_role(B, unknown),
    Start = erlang:monotonic_time(millisecond),
    ?assertEqual({nowhere, {error, primary_unavailable}},
                 ecto_litefs_test_node:insert(B, <<"ann">>)),
    Ms = erlang:monotonic_time(millisecond) - Start,
    ?assert(Ms >= ?PRIMARY_WAIT_MS),
    ?assert(Ms < ?PRIMARY_WAIT_MS + 1000),
    [?assertEqual([], rows(Node)) || Node <- Nodes].

cluster(Config) ->
    {proplists:get_value(sim, Config), proplists:get_value(nodes, Config)}.

name(Node) -> ecto_litefs_test_node:name(Node).

rows(Node) -> ecto_litefs_test_node:rows(Node).

insert(Node, Text) ->
    {RanOn, {ok, #{name := Text}}} = ecto_litefs_test_node:insert(Node, Text),
    RanOn.

await_role(Node, Role) ->
    ecto_litefs_test_wait:until(
      Role, fun() -> ecto_litefs_test_node:role(Node) end, 10000).
