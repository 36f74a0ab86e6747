%% EctoLiteFS.status/1 of two real nodes, each with a database file of its own on
%% a plain directory. What only LiteFS can show is in e2e/status_SUITE.erl.
-module(summary_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_testcase/2, end_per_testcase/2]).
-export([primary_and_replica/1,
         not_ready/1,
         waiters_are_counted/1,
         forwards_are_counted/1,
         killed_caller_is_not_counted/1,
         last_error_of_a_forward/1,
         several_claims_name_nobody/1,
         answers_while_others_hang/1,
         leaves_no_message/1]).

%% Called on a node.
-export([hold/0, timed/1, messages_after/1, claim/0]).

-define(REPO, 'Elixir.TestRepo').
-define(PEER, ecto_litefs_test_peer).
-define(API, 'Elixir.EctoLiteFS').
-define(POSITION, 'Elixir.EctoLiteFS.Position').
-define(LONG_MS, 20_000).
-define(STREAM, {event_stream_url, <<"http://127.0.0.1:1/events">>}).

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    [primary_and_replica, not_ready, waiters_are_counted,
     forwards_are_counted, killed_caller_is_not_counted,
     last_error_of_a_forward, several_claims_name_nobody,
     answers_while_others_hang, leaves_no_message].

init_per_testcase(Name, Config) ->
    [] = os:cmd("epmd -daemon"),
    Peers = [A, B] = [?PEER:start(Node) || Node <- [a, b]],
    ok = ?PEER:connect(Peers),
    Case = [{name, Name}, {peers, {A, B}} | Config],
    [begin
         ok = ?PEER:repo(Peer, ?REPO, directory(Index, Case)),
         ok = supervise(Peer, directory(Index, Case), [])
     end || {Index, Peer} <- lists:enumerate(Peers)],
    ok = ?PEER:call(A, ?API, set_primary, [?REPO, ?PEER:node(A)]),
    until(B, fun(#{primary_node := Node}) -> Node =:= ?PEER:node(A) end),
    Case.

directory(Index, Config) ->
    filename:join([?config(priv_dir, Config), ?config(name, Config),
                   integer_to_list(Index)]).

supervise(Peer, Directory, Options) ->
    ok = ?PEER:supervise(Peer, ?REPO, Directory,
                         [{mount, plain}, ?STREAM, {primary_wait, 300}
                          | Options]),
    ?PEER:call(Peer, ?API, set_replica, [?REPO]).

end_per_testcase(_Name, Config) ->
    {A, B} = ?config(peers, Config),
    [?PEER:stop(Peer) || Peer <- [A, B]],
    ok.

%% A term is for LiteFS only, and a position has one.
primary_and_replica(Config) ->
    {A, B} = ?config(peers, Config),
    Node = ?PEER:node(A),
    #{since_ms := Since, generation := Generation} = Primary = status(A),
    ?assertEqual(#{role => primary, source => manual, primary_node => Node,
                   primary_hostname => nil, term => nil, position => nil,
                   lag_ms => nil, degraded => false, stream => down,
                   mount => plain, reconnect_pending => false, waiters => 0,
                   forwards => #{sent => 0, running => 0, queued => 0},
                   last_error => nil},
                 maps:without([since_ms, generation], Primary)),
    ?assert(Since >= 0 andalso Generation > 0),
    ?assertMatch(#{role := replica, primary_node := Node,
                   degraded := false, last_error := nil,
                   forwards := #{sent := 0}}, status(B)),
    ok = ?PEER:call(A, ?API, set_replica, [?REPO]),
    until(B, fun(#{primary_node := Named}) -> Named =:= nil end),
    ?assertMatch(#{role := replica, primary_node := nil}, status(A)).

%% On a plain directory no position ever comes.
waiters_are_counted(Config) ->
    {_, B} = ?config(peers, Config),
    Database = list_to_binary(filename:join(directory(2, Config), "db")),
    ok = ?PEER:unsupervise(B, ?REPO),
    ok = supervise(B, directory(2, Config), [{database, Database}]),
    Waiters = [waiter(B), waiter(B)],
    [begin
         until(B, fun(#{waiters := Count}) -> Count =:= Left end),
         true = ?PEER:call(B, erlang, exit, [Waiter, kill])
     end || {Left, Waiter} <- lists:zip([2, 1], Waiters)],
    until(B, fun(#{waiters := Count}) -> Count =:= 0 end).

waiter(Peer) ->
    ?PEER:call(Peer, erlang, spawn,
               [?API, await, [?REPO, ?POSITION:new({0, 7, 70}), ?LONG_MS]]).

not_ready(Config) ->
    {A, _} = ?config(peers, Config),
    ?assertEqual({error, not_ready},
                 ?PEER:call(A, ?API, status, [no_such_repo])),
    ok = ?PEER:unsupervise(A, ?REPO),
    ?assertEqual({error, not_ready}, ?PEER:call(A, ?API, status, [?REPO])).

%% The pool has one connection, so the second waits for its turn.
forwards_are_counted(Config) ->
    {A, B} = ?config(peers, Config),
    Calls = [held(B), held(B)],
    until(A, fun(#{forwards := Forwards}) ->
                     Forwards =:= #{sent => 0, running => 1, queued => 1}
             end),
    ?assertEqual(#{sent => 2, running => 0, queued => 0},
                 maps:get(forwards, status(B))),
    [release(A) || _ <- Calls],
    [?assertEqual({returned, done, []}, ?PEER:await(Call)) || Call <- Calls],
    [until(Peer, fun(#{forwards := Forwards}) ->
                         Forwards =:= #{sent => 0, running => 0, queued => 0}
                 end) || Peer <- [A, B]].

killed_caller_is_not_counted(Config) ->
    {A, B} = ?config(peers, Config),
    Caller = ?PEER:call(B, erlang, spawn,
                        [?API, run_on_primary, [?REPO, {?MODULE, hold, []}]]),
    until(A, fun(#{forwards := #{running := Running}}) -> Running =:= 1 end),
    ?assertMatch(#{forwards := #{sent := 1}}, status(B)),
    true = ?PEER:call(B, erlang, exit, [Caller, kill]),
    until(B, fun(#{forwards := #{sent := Sent}}) -> Sent =:= 0 end),
    release(A).

%% It stays until there is another one.
last_error_of_a_forward(Config) ->
    {A, B} = ?config(peers, Config),
    ok = ?PEER:call(A, ?API, set_replica, [?REPO]),
    Before = erlang:system_time(millisecond),
    {returned, {error, primary_unavailable}, []} = insert(B),
    #{last_error := #{at := At, what := What, text := Text} = Error} =
        status(B),
    ?assertMatch({forward, insert, #{reason := primary_unavailable,
                                     outcome := not_executed}}, What),
    ?assert(Before =< At andalso At =< erlang:system_time(millisecond)),
    [?assertNotEqual(nomatch, binary:match(Text, Part))
     || Part <- [<<"TestRepo">>, <<"insert">>, <<"needs a primary">>]],
    ok = ?PEER:call(A, ?API, set_primary, [?REPO, ?PEER:node(A)]),
    {returned, {ok, _}, []} = insert(B),
    ?assertMatch(#{last_error := Error}, status(B)),
    ?assertMatch(#{last_error := nil}, status(A)).

several_claims_name_nobody(Config) ->
    {A, B} = ?config(peers, Config),
    C = ?PEER:start(c),
    try
        ok = ?PEER:connect([A, B, C]),
        Node = ?PEER:node(C),
        ok = ?PEER:call(C, ?MODULE, claim, []),
        until(B, fun(#{primary_node := Named}) -> Named =:= nil end),
        ?assertMatch(#{primary_node := Primary} when Primary =/= Node,
                                                     status(A))
    after
        ?PEER:stop(C)
    end.

claim() ->
    Self = self(),
    _ = spawn(fun() ->
                      ok = ecto_litefs_claim:join(?REPO, plain),
                      Self ! claimed,
                      receive never -> ok end
              end),
    receive claimed -> ok end.

%% All that could be asked is stopped.
answers_while_others_hang(Config) ->
    {A, _} = ?config(peers, Config),
    [ok = ?PEER:call(A, sys, suspend, [Name])
     || Name <- ['Elixir.EctoLiteFS.Tracker.TestRepo',
                 'Elixir.EctoLiteFS.Admission.TestRepo',
                 'Elixir.EctoLiteFS.Tracking.TestRepo',
                 'Elixir.EctoLiteFS.Await.TestRepo']],
    Timed = [?PEER:call(A, ?MODULE, timed, [?REPO]) || _ <- [1, 2, 3]],
    [?assertMatch({ok, #{role := primary, waiters := nil, term := nil,
                         position := nil,
                         forwards := #{running := nil, queued := nil}}}, Status)
     || {_Ms, Status} <- Timed],
    ?assertMatch(Ms when Ms < 300, lists:min([Ms || {Ms, _} <- Timed])).

timed(Repo) ->
    Since = erlang:monotonic_time(millisecond),
    Status = ?API:status(Repo),
    {erlang:monotonic_time(millisecond) - Since, Status}.

leaves_no_message(Config) ->
    {A, _} = ?config(peers, Config),
    ok = ?PEER:call(A, sys, suspend, ['Elixir.EctoLiteFS.Admission.TestRepo']),
    ?assertEqual([], ?PEER:call(A, ?MODULE, messages_after, [?REPO])).

%% The answer that was waited for comes when its process goes on.
messages_after(Repo) ->
    {ok, #{forwards := #{running := nil}}} = ?API:status(Repo),
    ok = sys:resume('Elixir.EctoLiteFS.Admission.TestRepo'),
    {ok, #{forwards := #{running := 0}}} = ?API:status(Repo),
    {messages, Messages} = process_info(self(), messages),
    Messages.

%% -- helpers -----------------------------------------------------------------

status(Peer) ->
    {ok, Status} = ?PEER:call(Peer, ?API, status, [?REPO]),
    Status.

until(Peer, IsIt) ->
    ecto_litefs_test_wait:until(true, fun() ->
                                              Status = status(Peer),
                                              IsIt(Status) orelse Status
                                      end).

insert(Peer) ->
    ?PEER:write(Peer, ?REPO, insert,
                [ecto_litefs_test_item:changeset(ecto_litefs_test_item:new(),
                                                 #{name => <<"ann">>})]).

%% A call from Peer that runs on the primary until release/1.
held(Peer) ->
    ?PEER:async(Peer, ?API, run_on_primary, [?REPO, {?MODULE, hold, []}]).

hold() ->
    true = register(?MODULE, self()),
    receive release -> true = unregister(?MODULE), done end.

release(Peer) ->
    ecto_litefs_test_wait:until(
      true, fun() -> is_pid(?PEER:call(Peer, erlang, whereis, [?MODULE])) end),
    Held = ?PEER:call(Peer, erlang, whereis, [?MODULE]),
    release = ?PEER:call(Peer, erlang, send, [Held, release]),
    ecto_litefs_test_wait:until(
      true, fun() -> Held =/= ?PEER:call(Peer, erlang, whereis, [?MODULE]) end).
