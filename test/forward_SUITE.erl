%% Forwarding between three real BEAM nodes, each with a database file of its
%% own on a plain directory, so that a row shows where a call ran. Roles are
%% said by hand. Mode `plain` with a stream that nobody serves: there a write
%% waits for a primary.
-module(forward_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_testcase/2, end_per_testcase/2]).
-export([claim_is_found/1,
         waits_until_a_primary_appears/1,
         waits_until_this_node_is_primary/1,
         wait_ends/1,
         answers_at_once_without_litefs/1,
         false_claim_is_retried/1,
         several_claims_one_primary/1,
         several_claims_the_newest_wins/1,
         several_claims_after_a_restart/1,
         frozen_claim_is_skipped/1,
         frozen_primary_ends_at_the_timeout/1,
         cut_before_is_connected_again/1,
         frozen_at_first_contact_is_not_executed/1,
         cut_during_is_claimed/1,
         killed_before_is_replaced/1,
         killed_during_is_unknown/1,
         unreachable_host_does_not_block/1,
         supervisor_gone_on_the_caller/1,
         supervisor_gone_on_the_primary/1,
         demoted_before_the_write_is_retried/1,
         demoted_after_the_write_is_unknown/1,
         refused_on_the_primary_is_an_exception/1,
         refused_after_a_commit_is_not_retried/1,
         refused_after_the_call_is_not_retried/1,
         refused_after_a_transaction_is_not_retried/1,
         refused_below_middleware_is_retried/1,
         refused_bulk_is_retried/1,
         refused_bulk_in_middleware_is_not_retried/1,
         bulk_timeout_is_unknown/1,
         bulk_demoted_after_the_write_is_unknown/1,
         fun_in_bulk_runs_on_the_primary/1,
         fun_in_bulk_of_another_build/1,
         fun_in_bulk_of_no_module/1,
         largest_payload/1,
         executor_refuses/1,
         super_of_another_build/1,
         super_of_no_module/1,
         we_are_another_build/1,
         remote_stack/1,
         logger_lines_stay_on_the_primary/1,
         telemetry_of_a_done_call/1,
         telemetry_of_each_attempt/1,
         telemetry_of_an_exception/1,
         pg_killed_while_a_write_waits/1,
         pg_killed_during_a_call/1,
         pg_killed_again_and_again/1,
         application_stopped/1,
         dynamic_repo_goes_along/1,
         dynamic_repo_goes_along_below_middleware/1,
         dynamic_repo_pid_is_refused/1,
         several_repos/1,
         many_callers/1]).

%% Called on a node.
-export([false_claim/1, read_only/2, process/2, record/3, leader/1,
         log/2, log_handler/0, named_insert/2, where/1,
         dynamic_insert/3, forward_super/1, hold/1, bulk_update/1,
         '__ecto_middleware_handles_bulk__'/0]).

-define(REPO, 'Elixir.TestRepo').
-define(OTHER, 'Elixir.OtherRepo').
-define(PEER, ecto_litefs_test_peer).
-define(BUILD, ecto_litefs_test_build).
-define(API, 'Elixir.EctoLiteFS').
-define(STREAM, {event_stream_url, <<"http://127.0.0.1:1/events">>}).

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    [Name || {Name, 1} <- ?MODULE:module_info(exports), is_case(Name)].

is_case(Name) ->
    not lists:member(Name, [false_claim, leader, where, forward_super,
                               hold, bulk_update, module_info]).

init_per_testcase(Name, Config) ->
    [] = os:cmd("epmd -daemon"),
    Directory = filename:join(?config(priv_dir, Config), atom_to_list(Name)),
    Peers = [?PEER:start(Node) || Node <- [a, b, c]],
    ok = ?PEER:connect(Peers),
    [start(Peer, ?REPO, Index, Directory, options(Name))
     || {Index, Peer} <- lists:enumerate(Peers)],
    [{peers, Peers}, {directory, Directory} | Config].

start(Peer, Repo, Index, Directory, Options) ->
    Own = own(Index, Repo, Directory),
    ok = ?PEER:repo(Peer, Repo, Own),
    ok = ?PEER:supervise(Peer, Repo, Own, Options),
    ok = ?PEER:call(Peer, ?API, set_replica, [Repo]).

own(Index, Repo, Directory) ->
    filename:join([Directory, integer_to_list(Index), atom_to_list(Repo)]).

options(answers_at_once_without_litefs) -> [];
options(application_stopped) -> [{mount, plain}];
options(wait_ends) -> [{mount, plain}, ?STREAM, {primary_wait, 300}];
options(frozen_primary_ends_at_the_timeout) ->
    [{mount, plain}, ?STREAM, {erpc_timeout, 400}];
options(unreachable_host_does_not_block) -> [{erpc_timeout, 300}];
options(super_of_another_build) -> options(wait_ends);
options(super_of_no_module) -> options(wait_ends);
options(we_are_another_build) -> options(wait_ends);
options(fun_in_bulk_of_another_build) -> options(wait_ends);
options(fun_in_bulk_of_no_module) -> options(wait_ends);
options(bulk_timeout_is_unknown) ->
    options(frozen_primary_ends_at_the_timeout);
options(frozen_at_first_contact_is_not_executed) ->
    [{mount, plain}, ?STREAM, {erpc_timeout, 400}, {primary_wait, 300}];
options(largest_payload) ->
    Largest = erlang:external_size([items, rows(1), []]),
    [{mount, plain}, ?STREAM, {max_forward_bytes, Largest}];
options(telemetry_of_each_attempt) ->
    [{mount, plain}, ?STREAM, {primary_wait, 300}];
options(_) -> [{mount, plain}, ?STREAM].

end_per_testcase(_Name, Config) ->
    [?PEER:stop(Peer) || Peer <- ?config(peers, Config)],
    ok.

%% -- finding the primary -----------------------------------------------------

claim_is_found(Config) ->
    [A, B, C] = ?config(peers, Config),
    primary(A, [B, C]),
    ?assertEqual({ok, ?PEER:node(A)}, ?PEER:call(B, ?API, get_primary, [?REPO])),
    done = insert(B, <<"ann">>),
    done = insert(C, <<"bob">>),
    done = insert(A, <<"cid">>),
    ?assertEqual([<<"ann">>, <<"bob">>, <<"cid">>], names(A)),
    ?assertEqual([[], []], [names(B), names(C)]).

waits_until_a_primary_appears(Config) ->
    [A, B, _] = ?config(peers, Config),
    Monitors = pg_monitors(B),
    Waiting = [async_insert(B, Name) || Name <- [<<"ann">>, <<"bob">>]],
    until_waiting(B, Monitors),
    ok = ?PEER:call(A, ?API, set_primary, [?REPO, ?PEER:node(A)]),
    Since = now_ms(),
    [?assertMatch({returned, {ok, _}, []}, ?PEER:await(Call)) || Call <- Waiting],
    ?assert(now_ms() - Since < 500),
    ?assertEqual([<<"ann">>, <<"bob">>], names(A)),
    ?assertEqual(Monitors, pg_monitors(B)).

waits_until_this_node_is_primary(Config) ->
    [_, B, _] = ?config(peers, Config),
    Monitors = pg_monitors(B),
    Waiting = async_insert(B, <<"ann">>),
    until_waiting(B, Monitors),
    ok = ?PEER:call(B, ?API, set_primary, [?REPO, ?PEER:node(B)]),
    ?assertMatch({returned, {ok, _}, []}, ?PEER:await(Waiting)),
    ?assertEqual([<<"ann">>], names(B)).

wait_ends(Config) ->
    [_, B, _] = ?config(peers, Config),
    Monitors = pg_monitors(B),
    Since = now_ms(),
    {returned, Result, []} = ?PEER:write(B, ?REPO, insert, [item(<<"ann">>)]),
    Took = now_ms() - Since,
    ?assertEqual({error, primary_unavailable}, Result),
    ?assert(Took >= 300 andalso Took < 1500, Took),
    {error, #{'__struct__' := 'Elixir.EctoLiteFS.Error'}, _, []} =
        ?PEER:write(B, ?REPO, 'insert!', [item(<<"ann">>)]),
    ?assertEqual(Monitors, pg_monitors(B)).

answers_at_once_without_litefs(Config) ->
    [_, B, _] = ?config(peers, Config),
    Since = now_ms(),
    {returned, {error, primary_unavailable}, []} =
        ?PEER:write(B, ?REPO, insert, [item(<<"ann">>)]),
    ?assert(now_ms() - Since < 1000).

%% -- several claims ----------------------------------------------------------

%% C claims to be primary and is not: it says so, and the write waits on.
false_claim_is_retried(Config) ->
    [A, B, C] = ?config(peers, Config),
    Monitors = pg_monitors(B),
    claims_falsely(C, B),
    Waiting = async_insert(B, <<"ann">>),
    until_waiting(B, Monitors),
    ok = ?PEER:call(A, ?API, set_primary, [?REPO, ?PEER:node(A)]),
    ?assertMatch({returned, {ok, _}, []}, ?PEER:await(Waiting)),
    ?assertEqual([[<<"ann">>], [], []], [names(P) || P <- [A, B, C]]).

several_claims_one_primary(Config) ->
    [A, B, C] = ?config(peers, Config),
    primary(A, [B]),
    claims_falsely(C, B),
    Names = [integer_to_binary(N) || N <- lists:seq(1, 9)],
    [done = insert(B, Name) || Name <- Names],
    ?assertEqual([Names, [], []], [names(P) || P <- [A, B, C]]),
    ?assertEqual({ok, ?PEER:node(A)}, ?PEER:call(B, ?API, get_primary, [?REPO])).

%% Two nodes with the same belief: the one that has it for a shorter time.
several_claims_the_newest_wins(Config) ->
    [A, B, C] = ?config(peers, Config),
    primary(A, [B]),
    ecto_litefs_test_wait:until(true, fun() -> since(A) > 20 end),
    primary(C, [B]),
    done = insert(B, <<"ann">>),
    ?assertEqual([[], [], [<<"ann">>]], [names(P) || P <- [A, B, C]]).

%% The supervisor of the older one is restarted, and counts anew.
several_claims_after_a_restart(Config) ->
    [A, B, C] = ?config(peers, Config),
    primary(A, [B]),
    ecto_litefs_test_wait:until(true, fun() -> since(A) > 20 end),
    primary(C, [B]),
    ok = ?PEER:unsupervise(A, ?REPO),
    ecto_litefs_test_wait:until(true, fun() -> since(C) > 20 end),
    Own = own(1, ?REPO, ?config(directory, Config)),
    ok = ?PEER:supervise(A, ?REPO, Own, options(several_claims_after_a_restart)),
    primary(A, [B]),
    ?assert(since(A) < since(C)),
    done = insert(B, <<"ann">>),
    ?assertEqual([[], [], [<<"ann">>]], [names(P) || P <- [A, B, C]]).

since(Peer) ->
    maps:get(since_ms, ?PEER:call(Peer, ecto_litefs_status, snapshot, [?REPO])).

%% The first write waits for its answer, the others skip it for a second.
frozen_claim_is_skipped(Config) ->
    [A, B, C] = ?config(peers, Config),
    primary(C, [B]),
    primary(A, [B]),
    ok = ?PEER:freeze(C),
    First = took(fun() -> done = insert(B, <<"ann">>) end),
    ?assert(First >= 200 andalso First < 1000, First),
    ?assert(?PEER:call(B, ecto_litefs_breaker, skipped, [?PEER:node(C)])),
    Next = took(fun() -> done = insert(B, <<"bob">>) end),
    ?assert(Next < 150, Next),
    ok = ?PEER:thaw(C),
    ?assertEqual([[<<"ann">>, <<"bob">>], [], []],
                 [names(P) || P <- [A, B, C]]),
    ecto_litefs_test_wait:until(
      false, fun() -> ?PEER:call(B, ecto_litefs_breaker, skipped,
                                 [?PEER:node(C)]) end).

%% -- broken nodes and connections --------------------------------------------

frozen_primary_ends_at_the_timeout(Config) ->
    [A, B, C] = ?config(peers, Config),
    primary(A, [B]),
    done = insert(B, <<"abe">>),
    ok = ?PEER:freeze(A),
    Since = now_ms(),
    {returned, Result, []} = ?PEER:write(B, ?REPO, insert, [item(<<"ann">>)]),
    Took = now_ms() - Since,
    ?assertEqual({error, {erpc, timeout, ?PEER:node(A)}}, Result),
    ?assert(Took >= 400 andalso Took < 1500, Took),
    %% Another claim: the frozen node does not hold anybody up.
    primary(C, [B]),
    done = insert(B, <<"bob">>),
    ?assertEqual([<<"bob">>], names(C)),
    %% Call and question were both sent; whichever is first when it wakes up
    %% decides, and the call runs once or never.
    ok = ?PEER:thaw(A),
    ecto_litefs_test_wait:until(true, fun() -> settled(A) end),
    ?assert(lists:member(names(A), [[<<"abe">>], [<<"abe">>, <<"ann">>]])).

%% All ids are refused, or their answers are there.
settled(Peer) ->
    Rows = ?PEER:call(Peer, ets, tab2list, [ecto_litefs_ledger]),
    States = [State || {_Id, State, _ExpiresAt} <- Rows],
    length(States) > 1
        andalso [] =:= [Pid || {running, Pid} <- States].

%% A frozen node that nothing was ever sent to gets nothing but a question.
frozen_at_first_contact_is_not_executed(Config) ->
    [A, B, _] = ?config(peers, Config),
    primary(A, [B]),
    ok = ?PEER:freeze(A),
    Node = ?PEER:node(A),
    ?assertEqual({returned, {error, {erpc, noconnection, Node}}, []},
                 ?PEER:write(B, ?REPO, insert, [item(<<"ann">>)])),
    ok = ?PEER:thaw(A),
    ecto_litefs_test_wait:until(
      false, fun() -> ?PEER:call(B, ecto_litefs_breaker, skipped, [Node]) end),
    done = insert(B, <<"bob">>),
    ?assertEqual([<<"bob">>], names(A)).

cut_before_is_connected_again(Config) ->
    [A, B, _] = ?config(peers, Config),
    primary(A, [B]),
    ok = ?PEER:call(B, ?API, set_primary, [?REPO, ?PEER:node(A)]),
    cut(B, A),
    done = insert(B, <<"ann">>),
    ?assertEqual([<<"ann">>], names(A)).

%% The caller connects again and is told the answer, although there is another
%% primary meanwhile.
cut_during_is_claimed(Config) ->
    [A, B, C] = ?config(peers, Config),
    primary(A, [B]),
    Call = ?PEER:async(B, ?REPO, insert, [slow_item(<<"ann">>)]),
    until_running(A),
    primary(C, [B]),
    true = ?PEER:call(B, erlang, disconnect_node, [?PEER:node(A)]),
    ecto_litefs_test_wait:until(
      true, fun() -> lists:member(?PEER:node(A),
                                  ?PEER:call(B, erlang, nodes, [])) end),
    ok = release(A),
    ?assertMatch({returned, {ok, _}, []}, ?PEER:await(Call)),
    ?assertEqual([[<<"ann">>], []], [names(A), names(C)]).

killed_before_is_replaced(Config) ->
    [A, B, C] = ?config(peers, Config),
    primary(A, [B]),
    ok = ?PEER:kill(A),
    Call = async_insert(B, <<"ann">>),
    primary(C, [B]),
    ?assertMatch({returned, {ok, _}, []}, ?PEER:await(Call)),
    ?assertEqual([<<"ann">>], names(C)).

killed_during_is_unknown(Config) ->
    [A, B, _] = ?config(peers, Config),
    primary(A, [B]),
    Call = ?PEER:async(B, ?REPO, 'insert!', [slow_item(<<"ann">>)]),
    until_running(A),
    ok = ?PEER:kill(A),
    Node = ?PEER:node(A),
    {error, Error, _Stack, []} = ?PEER:await(Call),
    ?assertMatch(#{'__struct__' := 'Elixir.EctoLiteFS.Error',
                   reason := {erpc, timeout, Node}, node := Node,
                   outcome := unknown, action := 'insert!'}, Error).

%% Where packets are dropped, net_kernel tries for seven seconds.
unreachable_host_does_not_block(Config) ->
    [_, B, _] = ?config(peers, Config),
    Nobody = 'nobody@203.0.113.1',
    ok = ?PEER:call(B, ?API, set_primary, [?REPO, Nobody]),
    Since = now_ms(),
    {returned, Result, []} = ?PEER:write(B, ?REPO, insert, [item(<<"ann">>)]),
    ?assertEqual({error, {erpc, noconnection, Nobody}}, Result),
    ?assert(now_ms() - Since < 1500).

supervisor_gone_on_the_caller(Config) ->
    [A, B, _] = ?config(peers, Config),
    primary(A, [B]),
    ok = ?PEER:unsupervise(B, ?REPO),
    Since = now_ms(),
    {returned, {error, primary_unavailable}, []} =
        ?PEER:write(B, ?REPO, insert, [item(<<"ann">>)]),
    ?assert(now_ms() - Since < 1000),
    ?assertEqual([[], []], [names(A), names(B)]).

supervisor_gone_on_the_primary(Config) ->
    [A, B, C] = ?config(peers, Config),
    primary(A, [B]),
    ok = ?PEER:unsupervise(A, ?REPO),
    Call = async_insert(B, <<"ann">>),
    primary(C, [B]),
    ?assertMatch({returned, {ok, _}, []}, ?PEER:await(Call)),
    ?assertEqual([[], [<<"ann">>]], [names(A), names(C)]).

%% -- pg ----------------------------------------------------------------------

%% The first write watches the pg that dies, the second finds none.
pg_killed_while_a_write_waits(Config) ->
    [A, B, _] = ?config(peers, Config),
    First = waiting_insert(B, first, <<"ann">>),
    without_pg(B),
    Second = waiting_insert(B, second, <<"bob">>),
    ok = ?PEER:call(B, sys, resume, [ecto_litefs_sup]),
    ok = ?PEER:call(A, ?API, set_primary, [?REPO, ?PEER:node(A)]),
    [?assertMatch({returned, {ok, _}, []}, ?PEER:await(Call))
     || Call <- [First, Second]],
    ?assertEqual([<<"ann">>, <<"bob">>], names(A)).

%% The call watches pg, because it had to wait for its primary.
pg_killed_during_a_call(Config) ->
    [A, B, _] = ?config(peers, Config),
    Monitors = pg_monitors(B),
    Slow = slow_item(<<"ann">>),
    Call = async(fun() -> ?PEER:call(B, ?REPO, insert, [Slow]) end),
    until_waiting(B, Monitors),
    ok = ?PEER:call(A, ?API, set_primary, [?REPO, ?PEER:node(A)]),
    until_running(A),
    without_pg(B),
    ok = release(A),
    ?assertMatch({ok, _}, ?PEER:await(Call)),
    ?assertEqual([<<"ann">>], names(A)).

pg_killed_again_and_again(Config) ->
    [A, B, _] = ?config(peers, Config),
    primary(A, [B]),
    [begin
         kill_pg(Peer),
         ecto_litefs_test_wait:until(true, fun() -> is_pid(pg_of(Peer)) end)
     end || _ <- [1, 2, 3], Peer <- [A, B]],
    done = insert(B, <<"ann">>),
    until_claimed(?PEER:node(A), ?REPO, B),
    ?assertEqual([<<"ann">>], names(A)).

%% Nothing to forward with, but no function crashes.
application_stopped(Config) ->
    [A, B, _] = ?config(peers, Config),
    primary(A, [B]),
    ok = ?PEER:call(B, application, stop, [ecto_litefs]),
    ?assertEqual({error, primary_unavailable},
                 ?PEER:call(B, ?REPO, insert, [item(<<"ann">>)])),
    ?assertEqual({ok, nil}, ?PEER:call(B, ?API, get_primary, [?REPO])),
    Node = ?PEER:node(A),
    ?assertEqual({error, not_ready},
                 ?PEER:call(B, ?API, set_primary, [?REPO, Node])),
    ok = ?PEER:call(B, ecto_litefs_breaker, skip, [Node]),
    ?assertNot(?PEER:call(B, ecto_litefs_breaker, skipped, [Node])).

waiting_insert(Peer, Name, Text) ->
    Call = ?PEER:async(Peer, ?MODULE, named_insert, [Name, item(Text)]),
    ecto_litefs_test_wait:until(
      {current_function, {ecto_litefs_forward, pause, 1}},
      fun() -> ?PEER:call(Peer, ?MODULE, where, [Name]) end),
    Call.

named_insert(Name, Item) ->
    true = register(Name, self()),
    ?REPO:insert(Item).

where(Name) ->
    case whereis(Name) of
        undefined -> undefined;
        Pid -> process_info(Pid, current_function)
    end.

async(Call) ->
    spawn_monitor(fun() -> exit({outcome, Call()}) end).

%% And none comes before its supervisor goes on.
without_pg(Peer) ->
    ok = ?PEER:call(Peer, sys, suspend, [ecto_litefs_sup]),
    kill_pg(Peer).

kill_pg(Peer) ->
    Pid = pg_of(Peer),
    true = ?PEER:call(Peer, erlang, exit, [Pid, kill]),
    ecto_litefs_test_wait:until(
      true, fun() -> pg_of(Peer) =/= Pid end).

pg_of(Peer) ->
    ?PEER:call(Peer, erlang, whereis, [ecto_litefs]).

%% -- demotions around the write ----------------------------------------------

%% A loses its role and its database becomes read-only while the call runs:
%% nothing was executed, as the child's row was in the same transaction, so it
%% runs on C.
demoted_before_the_write_is_retried(Config) ->
    [A, B, C] = ?config(peers, Config),
    primary(A, [B]),
    Node = ?PEER:node(A),
    Hook = fun() ->
                   {ok, _} = ?REPO:insert(item(<<"child">>)),
                   [demote() || node() =:= Node]
           end,
    Call = ?PEER:async(B, ?REPO, insert, [hooked(<<"ann">>, Hook)]),
    ecto_litefs_test_wait:until(replica, fun() -> role(A) end),
    primary(C, [B]),
    ?assertMatch({returned, {ok, _}, []}, ?PEER:await(Call)),
    ?assertEqual([[], [], [<<"ann">>, <<"child">>]],
                 [names(P) || P <- [A, B, C]]).

demote() ->
    read_only(?REPO, true),
    ok = ?API:set_replica(?REPO).

%% The COMMIT was acknowledged, but by whom?
demoted_after_the_write_is_unknown(Config) ->
    [A, B, _] = ?config(peers, Config),
    primary(A, [B]),
    Node = ?PEER:node(A),
    Demote = fun() -> ok = ?API:set_replica(?REPO) end,
    ?assertEqual({returned, {error, {erpc, timeout, Node}}, []},
                 ?PEER:write(B, ?REPO, insert, [hooked(<<"ann">>, Demote)])).

%% A disk that is broken, or read-only for another reason.
refused_on_the_primary_is_an_exception(Config) ->
    [A, B, _] = ?config(peers, Config),
    primary(A, [B]),
    ok = ?PEER:call(A, ?MODULE, read_only, [?REPO, true]),
    {error, Error, _Stack, []} =
        ?PEER:write(B, ?REPO, insert, [item(<<"ann">>)]),
    ?assertMatch(#{'__struct__' := 'Elixir.Exqlite.Error',
                   message := <<"attempt to write a readonly database">>},
                 Error).

%% Middleware on the primary has written a row of its own, and committed it, when
%% LiteFS refuses another: a second run would write the first row twice.
refused_after_a_commit_is_not_retried(Config) ->
    refused_in_middleware(audit_first, Config, [<<"audit">>]).

refused_after_the_call_is_not_retried(Config) ->
    refused_in_middleware(audit_last, Config, [<<"ann">>]).

refused_after_a_transaction_is_not_retried(Config) ->
    refused_in_middleware(audit_in_transaction, Config, [<<"audit">>]).

refused_in_middleware(Audit, Config, Written) ->
    [A, B, C] = ?config(peers, Config),
    primary(A, [B]),
    chain(['Elixir.EctoLiteFS.Middleware', ?MODULE], Audit, Config),
    Call = async_insert(B, <<"ann">>),
    ecto_litefs_test_wait:until(replica, fun() -> role(A) end),
    primary(C, [B]),
    ?assertMatch({error, #{'__struct__' := 'Elixir.Exqlite.Error'}, _Stack, []},
                 ?PEER:await(Call)),
    ?assertEqual([Written, [], []], [names(P) || P <- [A, B, C]]).

%% Middleware on the caller runs once, whatever becomes of what is below it.
refused_below_middleware_is_retried(Config) ->
    [A, B, C] = ?config(peers, Config),
    primary(A, [B]),
    chain([?MODULE, 'Elixir.EctoLiteFS.Middleware'], count, Config),
    Node = ?PEER:node(A),
    Hook = fun() -> [demote() || node() =:= Node] end,
    Call = ?PEER:async(B, ?REPO, insert, [hooked(<<"ann">>, Hook)]),
    ecto_litefs_test_wait:until(replica, fun() -> role(A) end),
    primary(C, [B]),
    ?assertMatch({returned, {ok, _}, []}, ?PEER:await(Call)),
    ?assertEqual([[], [], [<<"ann">>]], [names(P) || P <- [A, B, C]]),
    ?assertEqual([0, 1, 0], [?PEER:call(P, persistent_term, get, [counted, 0])
                             || P <- [A, B, C]]).

chain(Chain, Audit, Config) ->
    [begin
         ok = ?PEER:call(Peer, persistent_term, put, [audit, Audit]),
         ok = ?PEER:call(Peer, ecto_litefs_test_repo, set_middleware,
                         [?REPO, Chain])
     end || Peer <- ?config(peers, Config)].

%% As a middleware, of bulk calls too.
'__ecto_middleware_handles_bulk__'() ->
    true.

process(#{changes := #{name := <<"audit">>}} = Changeset, Resolution) ->
    yield(Changeset, Resolution);
process(Changeset, Resolution) ->
    audit(persistent_term:get(audit), Changeset, Resolution).

audit(audit_first, Changeset, Resolution) ->
    {ok, _} = ?REPO:insert(item(<<"audit">>)),
    demote(),
    yield(Changeset, Resolution);
audit(audit_last, Changeset, Resolution) ->
    Yielded = yield(Changeset, Resolution),
    demote(),
    {ok, _} = ?REPO:insert(item(<<"audit">>)),
    Yielded;
audit(audit_in_transaction, Changeset, Resolution) ->
    {ok, _} = ?REPO:transaction(fun() -> ?REPO:insert(item(<<"audit">>)) end),
    demote(),
    yield(Changeset, Resolution);
audit(count, Changeset, Resolution) ->
    persistent_term:put(counted, persistent_term:get(counted, 0) + 1),
    yield(Changeset, Resolution).

yield(Changeset, Resolution) ->
    {Result, Resolution1} =
        'Elixir.EctoMiddleware.Engine':yield(Changeset, Resolution),
    {cont, Result, Resolution1}.

%% -- bulk --------------------------------------------------------------------

%% One statement: what was refused has written nothing. Middleware that does
%% not want bulk calls is in the list, and is not run.
refused_bulk_is_retried(Config) ->
    [A, B, C] = Peers = ?config(peers, Config),
    [ok = ?PEER:call(P, ecto_litefs_test_count, reset, []) || P <- Peers],
    chain(['Elixir.EctoLiteFS.Middleware', ecto_litefs_test_count], count,
          Config),
    ?assertMatch({returned, {2, nil}, []}, demoted_bulk(A, B, C)),
    ?assertEqual([[], [], [<<"1">>, <<"2">>]], [names(P) || P <- Peers]).

%% As for the other functions: what other middleware did is not known.
refused_bulk_in_middleware_is_not_retried(Config) ->
    [A, B, C] = Peers = ?config(peers, Config),
    chain(['Elixir.EctoLiteFS.Middleware', ?MODULE], count, Config),
    ?assertMatch({error, #{'__struct__' := 'Elixir.Exqlite.Error'}, _Stack, []},
                 demoted_bulk(A, B, C)),
    ?assertEqual([[], [], []], [names(P) || P <- Peers]).

%% A is demoted while the call waits there for the one connection.
demoted_bulk(A, B, C) ->
    primary(A, [B]),
    Holder = ?PEER:async(A, ?MODULE, hold, [fun demote/0]),
    until_running(A),
    Call = ?PEER:async(B, ?REPO, insert_all, [items, rows(2)]),
    ecto_litefs_test_wait:until(true, fun() -> queued(A) end),
    ok = release(A),
    ?assertMatch({returned, ok, []}, ?PEER:await(Holder)),
    primary(C, [B]),
    ?PEER:await(Call).

bulk_timeout_is_unknown(Config) ->
    [A, B, _] = ?config(peers, Config),
    primary(A, [B]),
    Node = ?PEER:node(A),
    Holder = ?PEER:async(A, ?MODULE, hold, [fun() -> ok end]),
    until_running(A),
    {error, Error, _Stack, []} =
        ?PEER:write(B, ?REPO, insert_all, [items, rows(2)]),
    ?assertMatch(#{'__struct__' := 'Elixir.EctoLiteFS.Error',
                   reason := {erpc, timeout, Node}, action := insert_all,
                   outcome := unknown}, Error),
    %% It said that the call still runs, and so is not taken for silent.
    ?assertNot(?PEER:call(B, ecto_litefs_breaker, skipped, [Node])),
    ok = release(A),
    ?assertMatch({returned, ok, []}, ?PEER:await(Holder)).

bulk_demoted_after_the_write_is_unknown(Config) ->
    [A, B, _] = ?config(peers, Config),
    primary(A, [B]),
    done = insert(A, <<"ann">>),
    Demote = fun() -> ok = ?API:set_replica(?REPO), 7 end,
    {error, Error, _Stack, []} = bulk_update(B, Demote),
    ?assertMatch(#{reason := {erpc, timeout, _}, outcome := unknown}, Error).

%% A process that has the connection until it is released, and then does Then.
hold(Then) ->
    {ok, ok} = ?REPO:transaction(
                 fun() ->
                         [] = ?REPO:all(items),
                         true = register(forward_running, self()),
                         receive release -> Then() end
                 end),
    ok.

queued(Peer) ->
    #{waiting := Waiting} = ?PEER:call(Peer, sys, get_state, [?REPO]),
    not queue:is_empty(Waiting).

%% As Ecto's dynamic/2, which holds a fun of the module that it stands in.
fun_in_bulk_runs_on_the_primary(Config) ->
    [A, B, _] = ?config(peers, Config),
    primary(A, [B]),
    done = insert(A, <<"ann">>),
    Node = ?PEER:node(A),
    Where = fun() -> erlang:phash2(node()) end,
    ?assertMatch({returned, {1, nil}, []}, bulk_update(B, Where)),
    ?assertEqual([{<<"ann">>, erlang:phash2(Node)}],
                 ?PEER:call(A, ecto_litefs_test_repo, rows, [?REPO])).

fun_in_bulk_of_another_build(Config) ->
    [A, B, _] = ?config(peers, Config),
    [ok = ?PEER:call(Peer, ?BUILD, load, [built(), build(Text)])
     || {Peer, Text} <- [{A, "new() -> 1."}, {B, "old() -> 1."}]],
    bulk_not_supported(A, B).

fun_in_bulk_of_no_module(Config) ->
    [A, B, _] = ?config(peers, Config),
    ok = ?PEER:call(B, ?BUILD, load, [built(), build("old() -> 1.")]),
    bulk_not_supported(A, B).

bulk_not_supported(A, B) ->
    primary(A, [B]),
    done = insert(A, <<"ann">>),
    Node = ?PEER:node(A),
    {error, Error, _Stack, []} = ?PEER:write(B, ?MODULE, bulk_update, [built()]),
    ?assertMatch(#{'__struct__' := 'Elixir.EctoLiteFS.Error',
                   reason := {not_executed,
                              {other_build, forward_suite_built, Node}},
                   action := update_all,
                   outcome := not_executed}, Error),
    ?assertEqual([{<<"ann">>, null}],
                 ?PEER:call(A, ecto_litefs_test_repo, rows, [?REPO])).

bulk_update(Peer, Fun) ->
    Query = ecto_litefs_test_bulk:named(<<"ann">>),
    ?PEER:write(Peer, ?REPO, update_all, [Query, [{set, [{value, Fun}]}]]).

bulk_update(Module) ->
    ?REPO:update_all(ecto_litefs_test_bulk:named(<<"ann">>),
                     [{set, [{value, Module:super()}]}]).

%% At the limit, and a byte above it.
largest_payload(Config) ->
    [A, B, _] = ?config(peers, Config),
    primary(A, [B]),
    Size = erlang:external_size([items, rows(1), []]),
    ?assertMatch({returned, {1, nil}, []},
                 ?PEER:write(B, ?REPO, insert_all, [items, rows(1)])),
    {error, Error, _Stack, []} =
        ?PEER:write(B, ?REPO, insert_all, [items, [#{name => <<"10">>,
                                                     value => 1}]]),
    ?assertMatch(#{'__struct__' := 'Elixir.EctoLiteFS.Error',
                   outcome := not_executed, action := insert_all,
                   reason := {payload_too_large, _, Size}}, Error),
    {payload_too_large, Larger, Size} = maps:get(reason, Error),
    ?assertEqual(Size + 1, Larger),
    %% The primary itself sends nothing.
    ?assertMatch({returned, {2, nil}, []},
                 ?PEER:write(A, ?REPO, insert_all,
                             [items, [#{name => N, value => 1}
                                      || N <- [<<"20">>, <<"30">>]]])),
    ?assertEqual([<<"1">>, <<"20">>, <<"30">>], names(A)).

rows(Count) ->
    [#{name => integer_to_binary(N), value => N} || N <- lists:seq(1, Count)].

%% -- what the executor itself refuses ----------------------------------------

executor_refuses(Config) ->
    [A, B, _] = ?config(peers, Config),
    primary(A, [B]),
    [OnA, OnB] = [incarnation(Peer) || Peer <- [A, B]],
    Request = ecto_litefs_executor:request(
                ?REPO, insert, {args, [item(<<"ann">>), []]}, again),
    Run = fun(Peer, R) -> ?PEER:call(Peer, ecto_litefs_executor, run, [R]) end,
    Good = Request#{budget_ms := 5000, incarnation := OnA},
    ?assertMatch({ok, {ok, _}, _}, Run(A, Good)),
    ?assertEqual({not_executed, repeated_id}, Run(A, Good)),
    New = Good#{id := rand:bytes(16)},
    ?assertEqual({another_incarnation, OnB}, Run(B, New)),
    ?assertEqual({another_incarnation, OnA}, Run(A, New#{incarnation := unknown})),
    ?assertEqual({not_primary, replica}, Run(B, New#{incarnation := OnB})),
    ?assertEqual({not_primary, primary}, Run(A, New#{kind := litefs})),
    ?assertEqual({not_primary, not_supervised}, Run(A, New#{repo := ?OTHER})),
    ?assertEqual({unsupported, 2}, Run(A, New#{protocol := 1})),
    ?assertEqual([[<<"ann">>], []], [names(A), names(B)]).

incarnation(Peer) ->
    ?PEER:call(Peer, ecto_litefs_ledger, incarnation, []).

%% -- builds ------------------------------------------------------------------

super_of_another_build(Config) ->
    [A, B, _] = ?config(peers, Config),
    [ok = ?PEER:call(Peer, ?BUILD, load, [built(), build(Text)])
     || {Peer, Text} <- [{A, "new() -> 1."}, {B, "old() -> 1."}]],
    not_supported({other_build, built(), ?PEER:node(A)}, A, B).

super_of_no_module(Config) ->
    [A, B, _] = ?config(peers, Config),
    ok = ?PEER:call(B, ?BUILD, load, [built(), build("old() -> 1.")]),
    not_supported({other_build, built(), ?PEER:node(A)}, A, B).

we_are_another_build(Config) ->
    [A, B, _] = ?config(peers, Config),
    [ok = ?PEER:call(Peer, ?BUILD, load, [built(), build("old() -> 1.")])
     || Peer <- [A, B]],
    ok = ?PEER:call(A, ?BUILD, load, [ecto_litefs_attempt,
                                      ?BUILD:of_module(ecto_litefs_attempt)]),
    not_supported({other_version, ?PEER:node(A)}, A, B).

not_supported(Why, A, B) ->
    primary(A, [B]),
    ?assertMatch({returned, {failed, #{reason := {not_executed, Why},
                                       outcome := not_executed}}, []},
                 ?PEER:write(B, ?MODULE, forward_super, [?REPO])).

built() -> forward_suite_built.

build(Text) ->
    ?BUILD:of_lines(built(), [Text, "super() -> fun(Name) -> {ran, Name} end."]).

forward_super(Repo) ->
    Super = (built()):super(),
    ecto_litefs_write:run(Repo, insert, {super, Super, [<<"ann">>]},
                          #{on_refusal => again,
                            call => fun 'Elixir.EctoLiteFS.RPC':call/3}).

%% -- what a user sees of the other node --------------------------------------

remote_stack(Config) ->
    [A, B, _] = ?config(peers, Config),
    primary(A, [B]),
    done = insert(A, <<"ann">>),
    {error, Error, Stack, []} =
        ?PEER:write(B, ?REPO, insert, [item(<<"ann">>)]),
    ?assertMatch(#{'__struct__' := 'Elixir.Ecto.ConstraintError'}, Error),
    ?assert(lists:keymember(ecto_litefs_executor, 1, Stack)).

logger_lines_stay_on_the_primary(Config) ->
    [A, B, _] = ?config(peers, Config),
    primary(A, [B]),
    [ok = ?PEER:call(Peer, ?MODULE, log_handler, []) || Peer <- [A, B]],
    Log = fun() ->
                  logger:warning("from the hook"),
                  persistent_term:put({?MODULE, leader}, group_leader())
          end,
    {returned, {ok, _}, []} =
        ?PEER:write(B, ?REPO, insert, [hooked(<<"ann">>, Log)]),
    ?assertEqual(["from the hook"], ?PEER:call(A, persistent_term, get, [logged])),
    ?assertEqual([], ?PEER:call(B, persistent_term, get, [logged])),
    ?assertEqual(?PEER:node(A), ?PEER:call(A, ?MODULE, leader, [leader])).

leader(Key) ->
    node(persistent_term:get({?MODULE, Key})).

%% With the filter that Logger's default handler has.
log_handler() ->
    persistent_term:put(logged, []),
    RemoteLeader = {fun logger_filters:remote_gl/2, stop},
    logger:add_handler(?MODULE, ?MODULE,
                       #{filters => [{remote_leader, RemoteLeader}]}).

%% As a logger handler.
log(#{msg := {string, Text}}, _) ->
    persistent_term:put(logged, [Text | persistent_term:get(logged)]);
log(_Event, _) ->
    ok.

telemetry_of_a_done_call(Config) ->
    [A, B, _] = ?config(peers, Config),
    primary(A, [B]),
    Node = ?PEER:node(A),
    {{ok, _}, [{Start, StartedAt, Metadata}, {Stop, Took, StopMetadata}]} =
        record_on(B, insert, [item(<<"ann">>)]),
    ?assertEqual({[ecto_litefs, forward, start], [ecto_litefs, forward, stop]},
                 {Start, Stop}),
    ?assertEqual([monotonic_time, system_time], lists:sort(maps:keys(StartedAt))),
    ?assertEqual([duration, monotonic_time], lists:sort(maps:keys(Took))),
    ?assert(maps:get(duration, Took) > 0),
    ?assertMatch(#{repo := ?REPO, action := insert, primary_node := Node,
                   telemetry_span_context := _}, Metadata),
    ?assertEqual(Metadata, StopMetadata),
    ?assertMatch({{ok, _}, []},
                 ?PEER:call(A, ?MODULE, record, [?REPO, insert, [item(<<"b">>)]])).

%% C claims and is not the primary: each attempt is a span that ends.
telemetry_of_each_attempt(Config) ->
    [_, B, C] = ?config(peers, Config),
    claims_falsely(C, B),
    {{error, primary_unavailable}, Events} =
        record_on(B, insert, [item(<<"ann">>)]),
    Contexts = [maps:get(telemetry_span_context, M)
                || {[_, _, start], _, M} <- Events],
    ?assert(length(Contexts) > 1),
    ?assertEqual(length(Contexts), length(lists:usort(Contexts))),
    ?assertEqual(Contexts, [maps:get(telemetry_span_context, M)
                            || {[_, _, exception], _,
                                #{kind := error, reason := not_primary,
                                  outcome := not_executed,
                                  stacktrace := []} = M} <- Events]).

telemetry_of_an_exception(Config) ->
    [A, B, _] = ?config(peers, Config),
    primary(A, [B]),
    {{exit, gone}, [_, {[ecto_litefs, forward, exception], _, Metadata}]} =
        record_on(B, insert, [hooked(<<"ann">>, fun() -> exit(gone) end)]),
    ?assertMatch(#{kind := exit, reason := gone, outcome := raised,
                   stacktrace := [_ | _]}, Metadata).

record_on(Peer, Action, Args) ->
    ?PEER:call(Peer, ?MODULE, record, [?REPO, Action, Args]).

record(Repo, Action, Args) ->
    telemetry:record(fun() ->
                             try apply(Repo, Action, Args)
                             catch Class:Reason -> {Class, Reason}
                             end
                     end).

%% -- the caller's context ----------------------------------------------------

dynamic_repo_goes_along(Config) ->
    dynamic_repo(['Elixir.EctoLiteFS.Middleware'], Config).

dynamic_repo_goes_along_below_middleware(Config) ->
    dynamic_repo([?MODULE, 'Elixir.EctoLiteFS.Middleware'], Config).

dynamic_repo(Chain, Config) ->
    [A, B, _] = ?config(peers, Config),
    [tenant(Peer, Index, Config) || {Index, Peer} <- [{1, A}, {2, B}]],
    chain(Chain, count, Config),
    primary(A, [B]),
    {returned, {ok, _}, []} = dynamic_insert(B, tenant, insert, <<"ann">>),
    done = insert(B, <<"bob">>),
    ?assertEqual([[<<"ann">>], [<<"bob">>]], [names(A, tenant), names(A)]),
    ?assertEqual([[], []], [names(B, tenant), names(B)]).

dynamic_repo_pid_is_refused(Config) ->
    [A, B, _] = ?config(peers, Config),
    primary(A, [B]),
    Pid = ?PEER:call(B, erlang, whereis, [?REPO]),
    [?assertMatch({error, #{'__struct__' := 'Elixir.EctoLiteFS.Error',
                            reason := dynamic_repo_pid, action := Action,
                            outcome := not_executed}, _Stack, []},
                  dynamic_insert(B, Pid, Action, <<"ann">>))
     || Action <- [insert, 'insert!']],
    ?assertEqual([[], []], [names(A), names(B)]).

tenant(Peer, Index, Config) ->
    File = filename:join([?config(directory, Config), integer_to_list(Index),
                          "tenant"]),
    {ok, _} = ?PEER:call(Peer, ecto_litefs_test_repo, start,
                         [?REPO, #{database => File, name => tenant}]),
    ok = ?PEER:call(Peer, ecto_litefs_test_repo, create_table, [tenant]).

dynamic_insert(Peer, Dynamic, Action, Name) ->
    ?PEER:write(Peer, ?MODULE, dynamic_insert, [Dynamic, Action, item(Name)]).

dynamic_insert(Dynamic, Action, Item) ->
    ?REPO = ?REPO:put_dynamic_repo(Dynamic),
    ?REPO:Action(Item).

%% -- many --------------------------------------------------------------------

several_repos(Config) ->
    [A, B, C] = Peers = ?config(peers, Config),
    [start(Peer, ?OTHER, Index, ?config(directory, Config), options(several_repos))
     || {Index, Peer} <- lists:enumerate(Peers)],
    primary(A, [B, C]),
    primary(C, ?OTHER, [A, B]),
    done = insert(B, <<"ann">>),
    {returned, {ok, _}, []} = ?PEER:write(B, ?OTHER, insert, [item(<<"bob">>)]),
    {returned, {ok, _}, []} = ?PEER:write(A, ?OTHER, insert, [item(<<"cid">>)]),
    ?assertEqual([[<<"ann">>], [], []], [names(P) || P <- Peers]),
    ?assertEqual([[], [], [<<"bob">>, <<"cid">>]],
                 [names(P, ?OTHER) || P <- Peers]).

many_callers(Config) ->
    [A, B, C] = ?config(peers, Config),
    primary(A, [B, C]),
    Names = [{Peer, <<Tag/binary, (integer_to_binary(N))/binary>>}
             || {Peer, Tag} <- [{A, <<"a">>}, {B, <<"b">>}, {C, <<"c">>}],
                N <- lists:seq(1, 20)],
    Calls = [async_insert(Peer, Name) || {Peer, Name} <- Names],
    [?assertMatch({returned, {ok, _}, []}, ?PEER:await(Call)) || Call <- Calls],
    ?assertEqual(lists:sort([Name || {_, Name} <- Names]), names(A)),
    ?assertEqual([[], []], [names(B), names(C)]).

%% -- help --------------------------------------------------------------------

%% Peer is primary, and the others have heard of it.
primary(Peer, Others) ->
    primary(Peer, ?REPO, Others).

primary(Peer, Repo, Others) ->
    Node = ?PEER:node(Peer),
    ok = ?PEER:call(Peer, ?API, set_primary, [Repo, Node]),
    [until_claimed(Node, Repo, Other) || Other <- Others].

until_claimed(Node, Repo, Peer) ->
    ecto_litefs_test_wait:until(
      true,
      fun() ->
              Pids = ?PEER:call(Peer, ecto_litefs_claim, members, [Repo, plain]),
              lists:member(Node, [node(Pid) || Pid <- Pids])
      end).

claims_falsely(Peer, Other) ->
    ok = ?PEER:call(Peer, ?MODULE, false_claim, [?REPO]),
    until_claimed(?PEER:node(Peer), ?REPO, Other).

false_claim(Repo) ->
    Caller = self(),
    Pid = spawn(fun() ->
                        ok = ecto_litefs_claim:join(Repo, plain),
                        Caller ! {self(), joined},
                        receive after infinity -> ok end
                end),
    receive {Pid, joined} -> ok end.

%% A write waits as soon as pg watches for it.
until_waiting(Peer, Before) ->
    ecto_litefs_test_wait:until(true, fun() -> pg_monitors(Peer) > Before end).

%% Of callers, which live on the node itself.
pg_monitors(Peer) ->
    Scope = ?PEER:call(Peer, erlang, whereis, [ecto_litefs]),
    {monitors, Monitors} =
        ?PEER:call(Peer, erlang, process_info, [Scope, monitors]),
    length([Pid || {process, Pid} <- Monitors, is_pid(Pid),
                   node(Pid) =:= ?PEER:node(Peer)]).

cut(Peer, Other) ->
    true = ?PEER:call(Peer, erlang, disconnect_node, [?PEER:node(Other)]),
    ecto_litefs_test_wait:until(
      false, fun() -> lists:member(?PEER:node(Peer),
                                   ?PEER:call(Other, erlang, nodes, [])) end).

%% A call that runs until it is released.
slow_item(Name) ->
    hooked(Name, fun() ->
                         true = register(forward_running, self()),
                         receive release -> ok end
                 end).

until_running(Peer) ->
    ecto_litefs_test_wait:until(
      true, fun() -> ?PEER:call(Peer, erlang, whereis, [forward_running])
                         =/= undefined end).

release(Peer) ->
    release = ?PEER:call(Peer, erlang, send, [forward_running, release]),
    ok.

%% On the connection that the calling process has, or the idle one.
read_only(Repo, true) ->
    ok = ecto_litefs_test_repo:sql(Repo, "PRAGMA query_only = 1", []).

insert(Peer, Name) ->
    {returned, {ok, _}, []} = ?PEER:write(Peer, ?REPO, insert, [item(Name)]),
    done.

async_insert(Peer, Name) ->
    ?PEER:async(Peer, ?REPO, insert, [item(Name)]).

item(Name) ->
    ecto_litefs_test_item:changeset(ecto_litefs_test_item:new(),
                                    #{name => Name}).

hooked(Name, Hook) ->
    ecto_litefs_test_item:prepare_changes(
      item(Name), fun(Changeset) -> Hook(), Changeset end).

role(Peer) ->
    ?PEER:call(Peer, ecto_litefs_status, role, [?REPO]).

names(Peer) ->
    names(Peer, ?REPO).

names(Peer, Repo) ->
    [Name || {Name, _} <- ?PEER:call(Peer, ecto_litefs_test_repo, rows, [Repo])].

took(Fun) ->
    {Microseconds, _} = timer:tc(Fun),
    Microseconds div 1000.

now_ms() ->
    erlang:monotonic_time(millisecond).
