%% The whole path on real LiteFS: three LiteFS nodes, a BEAM node on each, and
%% the faults that a write must survive. README.md says what each case proves.
%%
%% With the variable CONSUL the failover cases run on the real Consul.
-module(cluster_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([all/0]).
-export([suite/0]).
-export([init_per_suite/1]).
-export([end_per_suite/1]).
-export([init_per_testcase/2]).
-export([end_per_testcase/2]).

-export([cluster_status_three_nodes/1]).
-export([write_on_primary_is_local_and_replicates/1]).
-export([write_on_replica_is_forwarded/1]).
-export([bulk_on_replica_is_forwarded/1]).
-export([changeset_error_and_constraint_error_come_back/1]).
-export([primary_stopped_cleanly_write_waits_and_succeeds/1]).
-export([primary_killed_write_waits_and_succeeds/1]).
-export([promoted_replica_takes_the_writes/1]).
-export([rejoined_old_primary_forwards/1]).
-export([frozen_litefs_write_ends_at_its_deadline/1]).
-export([frozen_beam_primary_is_replaced/1]).
-export([two_claims_after_heal/1]).
-export([no_primary_fails_within_primary_wait/1]).
-export([reads_never_leave_the_node/1]).
-export([litefs_restarted_under_the_repo_reconnects/1]).
-export([repo_opened_before_the_mount_never_writes_under_it/1]).
-export([promoted_under_load_calls_no_lost_row_done/1]).
-export([mount_thread_stuck/1]).

-define(REPO, 'Elixir.TestRepo').
-define(ITEM, ecto_litefs_test_item).

%% From LiteFS's own isPrimary:true to the end of a write that waited for it.
-define(HANDOVER_US, 100000).

all() ->
    case os:getenv("CONSUL") of
        false -> on_stub() ++ failover();
        _Path -> failover()
    end.

failover() ->
    [primary_stopped_cleanly_write_waits_and_succeeds,
     primary_killed_write_waits_and_succeeds,
     promoted_replica_takes_the_writes,
     rejoined_old_primary_forwards].

on_stub() ->
    [cluster_status_three_nodes,
     write_on_primary_is_local_and_replicates,
     write_on_replica_is_forwarded,
     bulk_on_replica_is_forwarded,
     changeset_error_and_constraint_error_come_back,
     reads_never_leave_the_node,
     frozen_litefs_write_ends_at_its_deadline,
     frozen_beam_primary_is_replaced,
     two_claims_after_heal,
     no_primary_fails_within_primary_wait,
     litefs_restarted_under_the_repo_reconnects,
     repo_opened_before_the_mount_never_writes_under_it,
     promoted_under_load_calls_no_lost_row_done,
     mount_thread_stuck].

suite() ->
    [{timetrap, {seconds, 120}}].

init_per_suite(Config) ->
    e2e_cluster:skip_unless_possible(Config).

end_per_suite(_Config) ->
    ok.

init_per_testcase(Case, Config) ->
    e2e_suite:start(Case, options(Case), Config).

end_per_testcase(_Case, Config) ->
    ok = e2e_suite:stop(Config),
    e2e_suite:print_logs_of_failure(Config).

%% LiteFS's own default; the other cases use 100 ms. Where the time to the write
%% itself is measured nobody waits for this node's LiteFS, which connects to the
%% new primary so much later.
options(primary_stopped_cleanly_write_waits_and_succeeds) ->
    #{litefs => #{reconnect_delay => "1s"},
      supervisor => [{await, false}]};
%% Consul may take twice its TTL of 10 s.
options(primary_killed_write_waits_and_succeeds) ->
    #{supervisor => [{primary_wait, 40000}, {await, false}]};
options(promoted_replica_takes_the_writes) ->
    #{supervisor => [{await, false}]};
options(promoted_under_load_calls_no_lost_row_done) ->
    #{supervisor => [{await, false}]};
options(frozen_litefs_write_ends_at_its_deadline) ->
    #{supervisor => [{primary_wait, 2000}, {erpc_timeout, 1000}]};
options(frozen_beam_primary_is_replaced) ->
    #{supervisor => [{erpc_timeout, 1000}]};
options(no_primary_fails_within_primary_wait) ->
    #{supervisor => [{primary_wait, 1000}]};
options(bulk_on_replica_is_forwarded) ->
    #{supervisor => [{max_forward_bytes, 4096}]};
options(repo_opened_before_the_mount_never_writes_under_it) ->
    #{repos => [a, b]};
options(_Case) ->
    #{}.

%%% What works while nothing fails

cluster_status_three_nodes(Config) ->
    Cluster = cluster(Config),
    Primary = e2e_cluster:erlang_node(Cluster, a),
    [begin
         Say = fun(Function) ->
             e2e_cluster:call(Cluster, Name, 'Elixir.EctoLiteFS',
                              {Function, [?REPO]})
         end,
         Snapshot = e2e_cluster:call(Cluster, Name, ecto_litefs_status,
                                     {snapshot, [?REPO]}),
         ?assertEqual({ok, Primary}, Say(get_primary)),
         ?assertEqual(Name =:= a, Say('is_primary?')),
         ?assertEqual(true, Say('tracker_ready?')),
         ?assertMatch(#{role := Role, mount := litefs, stream := up,
                        settled := true, reconnect := false}, Snapshot),
         ?assertEqual([Primary], claims(Cluster, Name))
     end || {Name, Role} <- [{a, primary}, {b, replica}, {c, replica}]].

%% With the distribution cut, so that nothing could help the primary.
write_on_primary_is_local_and_replicates(Config) ->
    Cluster = cluster(Config),
    ok = e2e_cluster:isolate(Cluster, a),
    ?assertEqual([], e2e_cluster:call(Cluster, a, erlang, {nodes, []})),
    {ok, #{value := 1}} = e2e_cluster:insert(Cluster, a, <<"local">>),
    [?assertEqual(1, e2e_cluster:await_row(Cluster, Name, <<"local">>))
     || Name <- litefs_cluster:names()],
    e2e_cluster:reconnect(Cluster, a).

write_on_replica_is_forwarded(Config) ->
    Cluster = cluster(Config),
    {ok, Ann} = repo(Cluster, b, insert, [new(<<"ann">>)]),
    Bob = repo(Cluster, c, 'insert!', [new(<<"bob">>)]),
    {ok, Cid} = repo(Cluster, c, insert_or_update, [new(<<"cid">>)]),
    Dot = repo(Cluster, b, 'insert_or_update!', [new(<<"dot">>)]),
    [?assertMatch(#{value := 1}, Item) || Item <- [Ann, Bob, Cid, Dot]],
    {ok, Ann2} = repo(Cluster, c, update, [change(Ann, 10)]),
    Bob2 = repo(Cluster, b, 'update!', [change(Bob, 20)]),
    {ok, Cid2} = repo(Cluster, b, insert_or_update, [change(Cid, 30)]),
    Dot2 = repo(Cluster, c, 'insert_or_update!', [change(Dot, 40)]),
    ?assertMatch([#{value := 10}, #{value := 20}, #{value := 30},
                  #{value := 40}], [Ann2, Bob2, Cid2, Dot2]),
    ?assertEqual(#{<<"ann">> => 10, <<"bob">> => 20, <<"cid">> => 30,
                   <<"dot">> => 40}, e2e_cluster:rows(Cluster, a)),
    {ok, Gone} = repo(Cluster, c, delete, [Ann2]),
    ?assertEqual(deleted, ?ITEM:state(Gone)),
    ?assertEqual(deleted, ?ITEM:state(repo(Cluster, b, 'delete!', [Bob2]))),
    e2e_cluster:await_rows(Cluster, [<<"cid">>, <<"dot">>]).

%% Each is one statement, and one transaction of LiteFS's.
bulk_on_replica_is_forwarded(Config) ->
    Cluster = cluster(Config),
    Rows = [#{name => Name, value => 0}
            || Name <- [<<"ann">>, <<"bob">>, <<"cid">>]],
    ?assertEqual({3, nil}, repo(Cluster, b, insert_all, [items, Rows])),
    ?assertMatch({2, [#{name := <<"dot">>}, #{name := <<"eve">>}]},
                 repo(Cluster, c, insert_all,
                      [items, [#{name => Name, value => 4}
                               || Name <- [<<"dot">>, <<"ann">>, <<"eve">>]],
                       [{on_conflict, nothing}, {returning, [name]}]])),
    Ann = ecto_litefs_test_bulk:named(<<"ann">>),
    ?assertEqual({1, nil}, repo(Cluster, c, update_all,
                                [Ann, [{set, [{value, 7}]}]])),
    ?assertEqual({1, nil}, repo(Cluster, b, delete_all,
                                [ecto_litefs_test_bulk:named(<<"bob">>)])),
    Written = #{<<"ann">> => 7, <<"cid">> => 0, <<"dot">> => 4,
                <<"eve">> => 4},
    ?assertEqual(Written, e2e_cluster:rows(Cluster, a)),
    Taken = [items, [#{name => <<"fay">>, value => 1}, hd(Rows)]],
    TooMany = [items, [#{name => integer_to_binary(N), value => N}
                       || N <- lists:seq(1, 1000)]],
    [begin
         ?assertMatch({raised, #{'__struct__' := 'Elixir.Exqlite.Error'}, _, _},
                      timed(Cluster, Name, insert_all, Taken)),
         ?assertMatch({raised, #{reason := {payload_too_large, _, 4096},
                                 outcome := not_executed}, _, _},
                      timed(Cluster, Name, insert_all, TooMany))
     end || Name <- [b, c]],
    ?assertEqual(Written, e2e_cluster:rows(Cluster, a)),
    e2e_database:await_table(Cluster, Written).

%% What a replica answers is what the primary answers.
changeset_error_and_constraint_error_come_back(Config) ->
    Cluster = cluster(Config),
    {ok, Taken} = e2e_cluster:insert(Cluster, a, <<"taken">>),
    {ok, Deleted} = e2e_cluster:insert(Cluster, a, <<"deleted">>),
    {ok, _} = repo(Cluster, a, delete, [Deleted]),
    Invalid = ?ITEM:changeset(?ITEM:new(), #{}),
    Declared = ?ITEM:unique_constraint(?ITEM:changeset(
                 ?ITEM:new(), #{name => <<"taken">>})),
    Undeclared = ?ITEM:changeset(?ITEM:new(), #{name => <<"taken">>}),
    Stale = change(Deleted, 5),
    Calls = [{insert, Invalid}, {'insert!', Invalid}, {insert, Declared},
             {'insert!', Declared}, {insert, Undeclared},
             {'insert!', Undeclared}, {update, Stale}, {'update!', Stale},
             {delete, Deleted}, {insert_or_update, Declared}],
    Answers = [answer(Cluster, a, Call) || Call <- Calls],
    ?assertMatch(
       [{returned, {error, #{'valid?' := false}}},
        {raised, #{'__struct__' := 'Elixir.Ecto.InvalidChangesetError'}},
        {returned, {error, #{errors := [{name, _}]}}},
        {raised, #{'__struct__' := 'Elixir.Ecto.InvalidChangesetError'}},
        {raised, #{'__struct__' := 'Elixir.Ecto.ConstraintError'}},
        {raised, #{'__struct__' := 'Elixir.Ecto.ConstraintError'}},
        {raised, #{'__struct__' := 'Elixir.Ecto.StaleEntryError'}},
        {raised, #{'__struct__' := 'Elixir.Ecto.StaleEntryError'}},
        {raised, #{'__struct__' := 'Elixir.Ecto.StaleEntryError'}},
        {returned, {error, #{errors := [{name, _}]}}}], Answers),
    [?assertEqual(Answers, [answer(Cluster, Name, Call) || Call <- Calls])
     || Name <- [b, c]],
    ?assertEqual(#{<<"taken">> => maps:get(value, Taken)},
                 e2e_cluster:rows(Cluster, a)).

%% All that they could ask is frozen, so that a read that asks would hang.
reads_never_leave_the_node(Config) ->
    Cluster = cluster(Config),
    {ok, #{id := Id}} = e2e_cluster:insert(Cluster, a, <<"read">>),
    1 = e2e_cluster:await_row(Cluster, c, <<"read">>),
    [begin
         ok = e2e_cluster:freeze_beam(Cluster, Name),
         ok = litefs_node:freeze(e2e_cluster:litefs(Cluster, Name))
     end || Name <- [a, b]],
    Read = fun(Function, Args) ->
        {returned, Value, From, To} =
            e2e_cluster:call(Cluster, c, e2e_node,
                             {timed, [?REPO, Function, Args]}),
        ?assert(To - From < 500000),
        Value
    end,
    ?assertMatch([#{name := <<"read">>}], Read(all, [?ITEM])),
    ?assertMatch(#{name := <<"read">>}, Read(get, [?ITEM, Id])),
    [{ok, [_]} = Read(transaction, [fun() -> ?REPO:all(?ITEM) end])
     || _ <- lists:seq(1, 20)].

%%% Failover

primary_stopped_cleanly_write_waits_and_succeeds(Config) ->
    Cluster = cluster(Config),
    Watchers = watch(Cluster, [b, c]),
    Stop = e2e_cluster:in_background(fun() ->
        litefs_node:stop(e2e_cluster:litefs(Cluster, a))
    end),
    true = e2e_wait:until("the old primary knows that it is none", fun() ->
        role(Cluster, a) =/= primary
    end),
    {returned, {ok, #{value := Writer}}, From, To} =
        timed_insert(Cluster, c, <<"waited">>),
    {New, At} = first_primary(Watchers, 0),
    ?assert(From < At),
    figure("clean stop, reconnect-delay 1 s", At, To),
    ?assertEqual(number(New), Writer),
    ?assert(To - At =< ?HANDOVER_US),
    _Status = e2e_cluster:await(Stop, 20000),
    1 = maps:size(e2e_cluster:rows(Cluster, New)),
    unwatch(Watchers).

%% The write sets out at once, while the BEAM node of the dead LiteFS may still
%% take itself for the primary. What it did there is refused or not known; and
%% what sets out after that waits.
primary_killed_write_waits_and_succeeds(Config) ->
    Cluster = cluster(Config),
    {ok, _} = e2e_cluster:insert(Cluster, c, <<"before">>),
    Watchers = watch(Cluster, [b, c]),
    _ = litefs_node:kill(e2e_cluster:litefs(Cluster, a)),
    AtOnce = e2e_cluster:in_background(fun() ->
        timed_insert(Cluster, b, <<"at once">>)
    end),
    true = e2e_wait:until("the old primary knows that it is none", fun() ->
        role(Cluster, a) =/= primary
    end),
    {returned, {ok, #{value := Writer}}, From, To} =
        timed_insert(Cluster, c, <<"waited">>),
    {New, At} = first_primary(Watchers, 0),
    ?assert(From < At),
    figure("kill", At, To),
    ?assertEqual(number(New), Writer),
    [?assertEqual(Writer, e2e_cluster:await_row(Cluster, Name, <<"waited">>))
     || Name <- [b, c]],
    ?assert(ended_well({b, e2e_cluster:await(AtOnce, 60000)})),
    unwatch(Watchers).

%% A write sets out on `c` every 20 ms. What runs on the old primary in the
%% moment of a promotion may hang with its LiteFS; of what waits, the first is
%% done as soon as there is a primary again, and the others queue up behind it
%% for the one connection.
promoted_replica_takes_the_writes(Config) ->
    Cluster = cluster(Config),
    Watchers = watch(Cluster, litefs_cluster:names()),
    StopFile = filename:join(proplists:get_value(log_dir, Config), "stop"),
    Writer = e2e_cluster:in_background(fun() ->
        e2e_cluster:call(Cluster, c, e2e_node,
                         {write_every, [20, StopFile, "row"]}, infinity)
    end),
    Promotions = [promote(Cluster, Watchers, Name)
                  || Name <- [b, a, b, a, b, a, c]],
    ok = file:write_file(StopFile, <<>>),
    Written = e2e_cluster:await(Writer, 60000),
    Waited = lists:append([after_promotion(Promotion, Written)
                           || Promotion <- Promotions]),
    ct:pal("~b writes waited, the slowest till ~b us after isPrimary:true",
           [length(Waited), lists:max([0 | Waited])]),
    Own = litefs_http:primary_since(proplists:get_value(c, Watchers), 0),
    ?assertEqual([], [Row || Row <- Written,
                             not (ended_well(Row) orelse local(Row, Own))]),
    {ok, #{value := 3}} = e2e_cluster:insert(Cluster, c, <<"own">>),
    unwatch(Watchers).

%% From LiteFS's own isPrimary:true to the first write done by that node; and
%% to the end of each that had set out after the old primary had stepped down.
after_promotion({Name, Demoted, At}, Written) ->
    Number = number(Name),
    Back = lists:min([To || {_, {returned, {ok, #{value := Writer}}, _, To}}
                                <- Written, Writer =:= Number, To > At]),
    figure(["promotion of ", atom_to_list(Name)], At, Back),
    Back - At =< ?HANDOVER_US orelse print_writes(At, Written),
    ?assert(Back - At =< ?HANDOVER_US),
    [To - At || {_, {returned, {ok, _}, From, To}} <- Written,
                From > Demoted + 2000, From < At].

%% Those that ran in the half second after it, in microseconds from it.
print_writes(At, Written) ->
    Near = [{From - At, To - At, How, What}
            || {_, {How, What, From, To}} <- Written,
               To > At, From < At + 500000],
    ct:pal("~p", [lists:sort(Near)]).

%% LiteFS may take a promotion for the end of a write that runs: unknown.
ended_well({_Name, {returned, {ok, _Item}, _, _}}) -> true;
ended_well({_Name, {returned, {error, {erpc, timeout, _}}, _, _}}) -> true;
ended_well(_Row) -> false.

%% Where its own node had become the primary, also if nobody had ordered that,
%% a write is as LiteFS answers it.
local({_Name, {raised, #{'__struct__' := 'Elixir.Exqlite.Error'}, _, To}},
      {ok, PrimaryAt}) ->
    To > PrimaryAt;
local(_Row, _Own) ->
    false.

%% Ends when all three are whole again: a statement that the promotion caught
%% waits for SQLite's busy_timeout, and LiteFS for that statement; and after a
%% LiteFS that had to be started again its events must be followed.
promote(Cluster, Watchers, Name) ->
    LiteFS = e2e_cluster:litefs(Cluster),
    Old = litefs_cluster:await_primary(LiteFS),
    Ordered = e2e_wait:us(),
    ok = litefs_cluster:hand_over(LiteFS, Name),
    {Name, At} = first_primary([lists:keyfind(Name, 1, Watchers)], Ordered),
    _Exits = e2e_load:settle(Cluster, Old),
    lists:foreach(fun(N) -> await_whole(Cluster, N) end,
                  litefs_cluster:names()),
    {Old, Watcher} = lists:keyfind(Old, 1, Watchers),
    Demoted = case litefs_http:demoted_since(Watcher, Ordered) of
                  {ok, Us} -> Us;
                  none -> At % its LiteFS ended without a word
              end,
    {Name, Demoted, At}.

await_whole(Cluster, Name) ->
    #{} = e2e_cluster:rows(Cluster, Name),
    true = e2e_wait:until("the events are followed", fun() ->
        #{stream := Stream} = e2e_cluster:call(Cluster, Name,
                                               ecto_litefs_status,
                                               {snapshot, [?REPO]}),
        Stream =:= up
    end).

rejoined_old_primary_forwards(Config) ->
    Cluster = cluster(Config),
    Old = e2e_cluster:litefs(Cluster, a),
    {ok, _} = e2e_cluster:insert(Cluster, a, <<"before">>),
    1 = e2e_cluster:await_row(Cluster, b, <<"before">>),
    1 = e2e_cluster:await_row(Cluster, c, <<"before">>),
    _ = litefs_node:kill(Old),
    New = litefs_cluster:await_primary(e2e_cluster:litefs(Cluster), [b, c]),
    {ok, _} = e2e_cluster:insert(Cluster, New, <<"meanwhile">>),
    ok = litefs_node:unmount(Old),
    ok = litefs_node:start(Old),
    ok = e2e_cluster:await_role(Cluster, a, replica),
    {ok, #{value := Writer}} = e2e_cluster:insert(Cluster, a, <<"after">>),
    ?assertEqual(number(New), Writer),
    e2e_cluster:await_rows(Cluster, [<<"before">>, <<"meanwhile">>,
                                     <<"after">>]).

%%% Nodes that hang

%% primary_wait bounds the search for a primary, erpc_timeout the call to it.
frozen_litefs_write_ends_at_its_deadline(Config) ->
    Cluster = cluster(Config),
    ok = litefs_node:freeze(e2e_cluster:litefs(Cluster, a)),
    A = e2e_cluster:erlang_node(Cluster, a),
    First = timed_insert(Cluster, c, <<"first">>),
    ?assertMatch({returned, {error, Reason}, _, _}
                   when Reason =:= {erpc, timeout, A};
                        Reason =:= primary_unavailable, First),
    Second = e2e_cluster:call(Cluster, b, e2e_node, {timed, [
        ?REPO, 'insert!', [new(<<"second">>)]]}),
    ?assertMatch({raised, #{'__struct__' := 'Elixir.EctoLiteFS.Error'}, _, _},
                 Second),
    [begin
         ct:pal("ended after ~b ms", [(To - From) div 1000]),
         ?assert(To - From < 3300000)
     end || {_, _, From, To} <- [First, Second]],
    ok = litefs_node:thaw(e2e_cluster:litefs(Cluster, a)),
    _ = litefs_cluster:await_primary(e2e_cluster:litefs(Cluster)),
    await_insert(Cluster, c, <<"thawed">>).

%% `c` has talked to it before: what it sends is a call, and no first question,
%% which would be *not executed*.
frozen_beam_primary_is_replaced(Config) ->
    Cluster = cluster(Config),
    A = e2e_cluster:erlang_node(Cluster, a),
    {ok, #{value := 1}} = e2e_cluster:insert(Cluster, c, <<"before">>),
    ok = e2e_cluster:freeze_beam(Cluster, a),
    ?assertMatch({returned, {error, {erpc, timeout, A}}, _, _},
                 timed_insert(Cluster, c, <<"to the frozen">>)),
    ok = litefs_cluster:promote(e2e_cluster:litefs(Cluster), b),
    b = litefs_cluster:await_primary(e2e_cluster:litefs(Cluster), [b]),
    ok = e2e_cluster:await_role(Cluster, b, primary),
    {returned, {ok, #{value := 2}}, From, To} =
        timed_insert(Cluster, c, <<"to the new">>),
    ct:pal("beside a frozen claim: ~b ms", [(To - From) div 1000]),
    ?assert(To - From < 1000000),
    {returned, {ok, #{value := 2}}, From2, To2} =
        timed_insert(Cluster, c, <<"to the new again">>),
    ct:pal("the next one: ~b ms", [(To2 - From2) div 1000]),
    ?assert(To2 - From2 < 100000),
    ok = e2e_cluster:thaw_beam(Cluster, a),
    ok = e2e_cluster:await_role(Cluster, a, replica),
    ?assertMatch({ok, #{value := 2}},
                 e2e_cluster:insert(Cluster, a, <<"from the thawed">>)).

%% `a` is cut off from the elections and from the BEAM nodes, `b` becomes
%% primary beside it. When the BEAM nodes meet again both claim, both are
%% primary as far as their LiteFS knows, and the newer one is right.
two_claims_after_heal(Config) ->
    Cluster = cluster(Config),
    LiteFS = e2e_cluster:litefs(Cluster),
    Stub = litefs_cluster:elector(LiteFS),
    ok = e2e_cluster:isolate(Cluster, a),
    ok = consul_stub:set_mode(Stub, a, hang),
    true = e2e_wait:until("the lease has run out", fun() ->
        consul_stub:holder(Stub) =:= none
    end),
    B = e2e_cluster:litefs(Cluster, b),
    _ = litefs_node:stop(B),
    ok = litefs_node:unmount(B),
    ok = litefs_node:start(B),
    ok = e2e_cluster:await_roles(Cluster, [{a, primary}, {b, primary}]),
    ok = e2e_cluster:reconnect(Cluster, a),
    true = e2e_wait:until("c sees two claims", fun() ->
        length(claims(Cluster, c)) =:= 2
    end),
    Rows = [iolist_to_binary(io_lib:format("row ~b", [N]))
            || N <- lists:seq(1, 10)],
    [?assertMatch({ok, #{value := 2}}, e2e_cluster:insert(Cluster, c, Row))
     || Row <- Rows],
    ok = consul_stub:set_mode(Stub, a, serve),
    b = litefs_cluster:await_primary(LiteFS, [b]),
    litefs_cluster:await_replicas(LiteFS, b),
    e2e_cluster:await_rows(Cluster, Rows).

no_primary_fails_within_primary_wait(Config) ->
    Cluster = cluster(Config),
    Stub = litefs_cluster:elector(e2e_cluster:litefs(Cluster)),
    ok = consul_stub:set_mode(Stub, all, fail),
    true = e2e_wait:until("nobody claims", fun() ->
        lists:append([claims(Cluster, Name)
                      || Name <- litefs_cluster:names()]) =:= []
    end),
    {returned, {error, primary_unavailable}, From, To} =
        timed_insert(Cluster, b, <<"nowhere">>),
    ?assert(To - From >= 1000000),
    ?assert(To - From < 1300000),
    {raised, #{'__struct__' := 'Elixir.EctoLiteFS.Error',
               reason := primary_unavailable, outcome := not_executed}, _, _} =
        e2e_cluster:call(Cluster, a, e2e_node,
                         {timed, [?REPO, 'insert!', [new(<<"nowhere">>)]]}),
    restart_supervisor(Cluster, c, [{primary_wait, 0}]),
    {returned, {error, primary_unavailable}, From0, To0} =
        timed_insert(Cluster, c, <<"nowhere">>),
    ?assert(To0 - From0 < 100000),
    ok = consul_stub:set_mode(Stub, all, serve),
    New = litefs_cluster:await_primary(e2e_cluster:litefs(Cluster)),
    {ok, #{value := Value}} = e2e_cluster:insert(Cluster, b, <<"there">>),
    ?assertEqual(number(New), Value),
    e2e_cluster:await_rows(Cluster, [<<"there">>]).

%%% The mount under the Repo

%% What the library and the Repo hold open would keep the dead mount busy, and
%% LiteFS could not take it away when it starts again.
litefs_restarted_under_the_repo_reconnects(Config) ->
    Cluster = cluster(Config),
    {ok, _} = e2e_cluster:insert(Cluster, c, <<"before">>),
    1 = e2e_cluster:await_row(Cluster, c, <<"before">>),
    Opened = opened(Cluster, c),
    C = e2e_cluster:litefs(Cluster, c),
    _ = litefs_node:kill(C),
    ok = e2e_cluster:await_role(Cluster, c, unknown),
    true = e2e_wait:until("nothing holds the dead mount", fun() ->
        e2e_cluster:open_files(Cluster, c) =:= []
            orelse e2e_cluster:open_files(Cluster, c)
    end),
    ok = litefs_node:start(C),
    ?assertEqual(1, litefs_node:layers(litefs_node:mount_dir(C))),
    ok = e2e_cluster:await_role(Cluster, c, replica),
    {ok, #{value := 1}} = e2e_cluster:insert(Cluster, c, <<"after">>),
    1 = e2e_cluster:await_row(Cluster, c, <<"after">>),
    ?assert(opened(Cluster, c) > Opened),
    ok = litefs_cluster:promote(e2e_cluster:litefs(Cluster), c),
    ok = e2e_cluster:await_role(Cluster, c, primary),
    {ok, #{value := 3}} = e2e_cluster:insert(Cluster, c, <<"own">>),
    e2e_cluster:await_rows(Cluster, [<<"before">>, <<"after">>, <<"own">>]).

%% The Repo of `c` opens its database while the directory is a plain one, in
%% which a write would succeed, and disappear under the mount.
repo_opened_before_the_mount_never_writes_under_it(Config) ->
    Cluster = cluster(Config),
    C = e2e_cluster:litefs(Cluster, c),
    0 = litefs_node:stop(C),
    ok = e2e_cluster:start_repo(Cluster, c),
    ok = e2e_cluster:call(Cluster, c, ecto_litefs_test_repo,
                          {create_table, [?REPO]}),
    ?assertEqual(unknown, role(Cluster, c)),
    ok = e2e_cluster:connect(Cluster),
    {ok, #{value := 1}} = e2e_cluster:insert(Cluster, c, <<"unmounted">>),
    ok = litefs_node:start(C),
    {ok, #{value := 1}} = e2e_cluster:insert(Cluster, c, <<"mounted">>),
    ok = e2e_cluster:await_role(Cluster, c, replica),
    ok = litefs_cluster:promote(e2e_cluster:litefs(Cluster), c),
    ok = e2e_cluster:await_role(Cluster, c, primary),
    {ok, #{value := 3}} = e2e_cluster:insert(Cluster, c, <<"own">>),
    e2e_cluster:await_rows(Cluster, [<<"unmounted">>, <<"mounted">>,
                                     <<"own">>]),
    _ = litefs_node:kill(C),
    ok = litefs_node:unmount(C),
    ok = e2e_cluster:call(Cluster, c, ?REPO, {disconnect_all, [0]}),
    ?assertEqual(#{}, e2e_cluster:rows(Cluster, c)).

%% LiteFS stops inside a system call that the library made, and everything
%% but that one thread goes on. Ten Repos, because each restart takes the time
%% after which a look at the directory counts as hanging. SQLite would hang at
%% init:stop too, when it closes the database, so that is done before.
mount_thread_stuck(Config) ->
    Cluster = cluster(Config),
    Repos = [list_to_atom("Elixir.Repo" ++ integer_to_list(N))
             || N <- lists:seq(1, 10)],
    On = fun(Module, Call) ->
        e2e_cluster:call(Cluster, c, Module, Call, 60000)
    end,
    ok = On(e2e_node, {add_supervisors, [Repos]}),
    ok = On(?REPO, {disconnect_all, [0]}),
    ok = litefs_node:freeze(e2e_cluster:litefs(Cluster, c)),
    unknown = On(ecto_litefs_status, {check, [?REPO, 500]}),
    Threads = On(e2e_node, {threads, []}),
    Restarts = e2e_cluster:in_background(fun() ->
        On(e2e_node, {renew_supervisors, [Repos, 10]})
    end),
    Delays = On(e2e_node, {scheduler_delays_us, [100, 100]}),
    100 = e2e_cluster:await(Restarts, 60000),
    ct:pal("schedulers answered within ~b us", [lists:max(Delays)]),
    ?assert(lists:max(Delays) < 10000),
    After = On(e2e_node, {threads, []}),
    ct:pal("~b threads before, ~b after 100 restarts", [Threads, After]),
    ?assert(After =< Threads + 1),
    ?assertEqual(unknown, role(Cluster, c)),
    ok = e2e_cluster:stop_beam(Cluster, c, 5000).

%%% Promotions under load

promoted_under_load_calls_no_lost_row_done(Config) ->
    e2e_load:promotions(cluster(Config), 20).

%%% What the cases share

cluster(Config) ->
    e2e_suite:cluster(Config).

repo(Cluster, Name, Function, Args) ->
    e2e_cluster:call(Cluster, Name, ?REPO, {Function, Args}).

new(Name) ->
    e2e_node:stamped(Name).

change(Item, Value) ->
    ?ITEM:changeset(Item, #{value => Value}).

answer(Cluster, Name, {Function, Resource}) ->
    {How, What, _From, _To} = timed(Cluster, Name, Function, [Resource]),
    {How, What}.

timed(Cluster, Name, Function, Args) ->
    e2e_cluster:call(Cluster, Name, e2e_node,
                     {timed, [?REPO, Function, Args]}).

timed_insert(Cluster, Name, Row) ->
    e2e_cluster:call(Cluster, Name, e2e_node,
                     {timed, [e2e_node, insert, [Row]]}, 60000).

await_insert(Cluster, Name, Row) ->
    {ok, _} = e2e_wait:until("a write succeeds", fun() ->
        case e2e_cluster:insert(Cluster, Name, Row) of
            {ok, Item} -> {ok, {ok, Item}};
            Error -> Error
        end
    end).

role(Cluster, Name) ->
    e2e_cluster:role(Cluster, Name).

claims(Cluster, Name) ->
    [node(Pid) || Pid <- e2e_cluster:call(Cluster, Name, ecto_litefs_claim,
                                          {members, [?REPO, litefs]})].

opened(Cluster, Name) ->
    e2e_cluster:call(Cluster, Name, ecto_litefs_test_repo, {opened, [?REPO]}).

restart_supervisor(Cluster, Name, Options) ->
    e2e_cluster:restart_supervisor(Cluster, Name, Options).

number(Name) ->
    e2e_cluster:number(Name).

watch(Cluster, Names) ->
    Watchers = [{Name, litefs_http:watch(litefs_node:port(
                         e2e_cluster:litefs(Cluster, Name)))}
                || Name <- Names],
    true = e2e_wait:until("every event stream has begun", fun() ->
        lists:all(fun({_Name, Watcher}) ->
            litefs_http:events(Watcher) =/= []
        end, Watchers)
    end),
    Watchers.

unwatch(Watchers) ->
    lists:foreach(fun({_Name, Watcher}) -> litefs_http:unwatch(Watcher) end,
                  Watchers).

%% Which of them first said after Since that it is primary, and when.
first_primary(Watchers, Since) ->
    e2e_wait:until("one of them says that it is primary", 45000, fun() ->
        Said = [{At, Name} || {Name, Watcher} <- Watchers,
                              {ok, At} <- [litefs_http:primary_since(Watcher,
                                                                     Since)]],
        case lists:sort(Said) of
            [{At, Name} | _] -> {ok, {Name, At}};
            [] -> false
        end
    end).

%% Also on the terminal, where rebar3 shows nothing of ct:pal/2.
figure(What, At, To) ->
    Figure = io_lib:format("~s: ~.1f ms from isPrimary:true to the write's "
                           "return", [What, (To - At) / 1000]),
    ok = io:format(user, "~n~s~n", [Figure]),
    ct:log("~s", [Figure]).
