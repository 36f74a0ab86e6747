%% More forwarded calls than the primary's pool has connections. Two real nodes,
%% each with a database file of its own on a plain directory.
-module(admission_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_testcase/2, end_per_testcase/2]).
-export([all_of_8192_from_512/1,
         no_more_than_the_pool/1,
         overloaded/1,
         turn_too_late_is_not_executed/1,
         node_that_does_not_answer/1]).

%% Called on a node.
-export([inserts/3, record/1]).

-define(REPO, 'Elixir.TestRepo').
-define(PEER, ecto_litefs_test_peer).
-define(API, 'Elixir.EctoLiteFS').
-define(STREAM, {event_stream_url, <<"http://127.0.0.1:1/events">>}).
-define(PROCESSES, 512).
-define(EACH, 16).

suite() -> [{timetrap, {minutes, 3}}].

all() ->
    [all_of_8192_from_512, no_more_than_the_pool, overloaded,
     turn_too_late_is_not_executed,
     node_that_does_not_answer].

init_per_testcase(Name, Config) ->
    [] = os:cmd("epmd -daemon"),
    Peers = [?PEER:start(Node) || Node <- [a, b]],
    ok = ?PEER:connect(Peers),
    Directory = filename:join(?config(priv_dir, Config), atom_to_list(Name)),
    [begin
         Own = filename:join(Directory, integer_to_list(Index)),
         ok = ?PEER:repo(Peer, ?REPO, Own),
         ok = ?PEER:supervise(Peer, ?REPO, Own, options(Name))
     end || {Index, Peer} <- lists:enumerate(Peers)],
    [A, B] = Peers,
    Node = ?PEER:node(A),
    [ok = ?PEER:call(Peer, ?API, set_primary, [?REPO, Node]) || Peer <- [A, B]],
    [{peers, {A, B}} | Config].

options(overloaded) ->
    [{mount, plain}, ?STREAM, {max_queue, 2}];
options(turn_too_late_is_not_executed) ->
    [{mount, plain}, ?STREAM, {erpc_timeout, 300}, {primary_wait, 0}];
options(node_that_does_not_answer) ->
    [{mount, plain}, ?STREAM, {erpc_timeout, 200}, {primary_wait, 0}];
options(_) ->
    [{mount, plain}, ?STREAM].

end_per_testcase(_Name, Config) ->
    {A, B} = ?config(peers, Config),
    [?PEER:stop(Peer) || Peer <- [A, B]],
    ok.

%% The pool's own queue drops those that wait too long: without an admission
%% three of four failed.
all_of_8192_from_512(Config) ->
    {A, B} = ?config(peers, Config),
    Since = now_ms(),
    Answers = ?PEER:call(B, ?MODULE, inserts, [?REPO, ?PROCESSES, ?EACH]),
    ct:pal("~p inserts from ~p processes: ~p ms",
           [?PROCESSES * ?EACH, ?PROCESSES, now_ms() - Since]),
    ?assertEqual([], [Answer || {error, _} = Answer <- Answers]),
    ?assertEqual(?PROCESSES * ?EACH, length(Answers)),
    ?assertEqual(?PROCESSES * ?EACH,
                 length(?PEER:call(A, ecto_litefs_test_repo, rows, [?REPO]))),
    idle(A, B).

inserts(Repo, Processes, Each) ->
    Callers = [spawn_monitor(fun() -> exit({answers, some(Repo, N, Each)}) end)
               || N <- lists:seq(1, Processes)],
    lists:append(
      [receive {'DOWN', Ref, process, _, {answers, Answers}} -> Answers end
       || {_, Ref} <- Callers]).

some(Repo, N, Each) ->
    [Repo:insert(item(iolist_to_binary(io_lib:format("~p ~p", [N, I]))))
     || I <- lists:seq(1, Each)].

%% Others wait in the admission, none in the pool.
no_more_than_the_pool(Config) ->
    {A, B} = ?config(peers, Config),
    Held = held(A, B),
    Waiting = [insert(B, Name) || Name <- [<<"1">>, <<"2">>, <<"3">>]],
    counts(A, 1, 3),
    release(A),
    [?assertMatch({returned, {ok, _}, []}, ?PEER:await(Call))
     || Call <- [Held | Waiting]],
    idle(A, B).

overloaded(Config) ->
    {A, B} = ?config(peers, Config),
    Held = held(A, B),
    Waiting = [insert(B, Name) || Name <- [<<"1">>, <<"2">>]],
    counts(A, 1, 2),
    Since = now_ms(),
    ?assertEqual({returned, {error, overloaded}, []},
                 ?PEER:write(B, ?REPO, insert, [item(<<"3">>)])),
    ?assert(now_ms() - Since < 1000),
    ?assertMatch({error, #{'__struct__' := 'Elixir.EctoLiteFS.Error',
                           reason := overloaded, outcome := not_executed},
                  _Stack, []},
                 ?PEER:write(B, ?REPO, 'insert!', [item(<<"3">>)])),
    release(A),
    [?assertMatch({returned, {ok, _}, []}, ?PEER:await(Call))
     || Call <- [Held | Waiting]],
    idle(A, B),
    ?assertEqual([<<"1">>, <<"2">>, <<"held">>], names(A)).

%% It waited for its turn until its time was over: that is certain, and it does
%% not run when the turn comes.
turn_too_late_is_not_executed(Config) ->
    {A, B} = ?config(peers, Config),
    _Held = held(A, B),
    Node = ?PEER:node(A),
    ?assertEqual({returned, {error, {not_executed, {timeout, Node}}}, []},
                 ?PEER:write(B, ?REPO, insert, [item(<<"late">>)])),
    release(A),
    idle(A, B),
    ?assertNot(lists:member(<<"late">>, names(A))).

%% Skipped for a second, then one call tries it again.
node_that_does_not_answer(Config) ->
    {A, B} = ?config(peers, Config),
    Node = ?PEER:node(A),
    {returned, {ok, _}, []} = ?PEER:write(B, ?REPO, insert, [item(<<"1">>)]),
    ok = ?PEER:freeze(A),
    {Answer, Events} = ?PEER:call(B, ?MODULE, record, [item(<<"2">>)]),
    ?assertEqual({error, {erpc, timeout, Node}}, Answer),
    ?assertMatch([{_, _, #{node := Node}}],
                 [E || {[ecto_litefs, node, skip], _, _} = E <- Events]),
    ?assertMatch([#{result := unreachable}],
                 [M || {[ecto_litefs, forward, claim], _, M} <- Events]),
    ok = ?PEER:thaw(A),
    ecto_litefs_test_wait:until(
      false, fun() -> ?PEER:call(B, ecto_litefs_breaker, skipped, [Node]) end),
    {{ok, _}, Back} = ?PEER:call(B, ?MODULE, record, [item(<<"3">>)]),
    ?assertMatch([probe, back], [What || {[ecto_litefs, node, What], _, _} <- Back]).

record(Item) ->
    telemetry:record(fun() -> ?REPO:insert(Item) end).

%% -- help --------------------------------------------------------------------

%% A forwarded call that runs until it is released.
held(A, B) ->
    Hook = fun(Changeset) ->
                   true = register(admission_running, self()),
                   receive release -> Changeset end
           end,
    Item = ecto_litefs_test_item:prepare_changes(item(<<"held">>), Hook),
    Call = ?PEER:async(B, ?REPO, insert, [Item]),
    ecto_litefs_test_wait:until(
      true, fun() -> ?PEER:call(A, erlang, whereis, [admission_running])
                         =/= undefined end),
    Call.

release(A) ->
    release = ?PEER:call(A, erlang, send, [admission_running, release]),
    ok.

insert(Peer, Name) ->
    ?PEER:async(Peer, ?REPO, insert, [item(Name)]).

counts(Peer, Running, Queued) ->
    ecto_litefs_test_wait:until(
      #{running => Running, queued => Queued},
      fun() -> ?PEER:call(Peer, ecto_litefs_admission, counts, [?REPO]) end).

%% Everything is over, and nothing is kept when the caller's node has said what
%% answers it has.
idle(Peer, Caller) ->
    counts(Peer, 0, 0),
    ecto_litefs_test_wait:until(
      0, fun() ->
                 ok = ?PEER:call(Caller, ecto_litefs_acks, flush, []),
                 ?PEER:call(Peer, ecto_litefs_ledger, bytes, [])
         end).

item(Name) ->
    ecto_litefs_test_item:changeset(ecto_litefs_test_item:new(),
                                    #{name => Name}).

names(Peer) ->
    [Name || {Name, _} <- ?PEER:call(Peer, ecto_litefs_test_repo, rows, [?REPO])].

now_ms() ->
    erlang:monotonic_time(millisecond).
