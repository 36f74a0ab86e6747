%% Waiting for a position on a replica of the simulator, whose stream says what
%% the case wants. Nothing is tracked there, so that each position is of term 0;
%% the tracking row is of the end-to-end cases.
-module(await_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([all/0]).
-export([suite/0]).
-export([init_per_testcase/2]).
-export([end_per_testcase/2]).

-export([what_is_there_asks_no_process/1]).
-export([the_very_transaction/1]).
-export([a_later_transaction/1]).
-export([an_earlier_transaction_is_waited_out/1]).
-export([another_history/1]).
-export([another_term/1]).
-export([nothing_is_known_yet/1]).
-export([ten_thousand_wait/1]).
-export([nobody_waits_and_nobody_wakes/1]).
-export([a_waiter_dies/1]).
-export([the_process_is_killed/1]).
-export([the_detector_is_killed/1]).
-export([the_stream_breaks_off/1]).
-export([the_supervisor_stops/1]).
-export([no_supervisor/1]).
-export([telemetry_of_a_wait/1]).

-define(REPO, 'Elixir.TestRepo').
-define(API, 'Elixir.EctoLiteFS').
-define(AWAIT, 'Elixir.EctoLiteFS.Await.TestRepo').
-define(DB, <<"app.db">>).
-define(LONG_MS, 20_000).

all() ->
    [Case || {Case, 1} <- ?MODULE:module_info(exports), is_case(Case)].

is_case(Name) ->
    not lists:member(Name, [module_info, end_per_suite]).

suite() ->
    [{timetrap, {seconds, 60}}].

init_per_testcase(Case, Config) ->
    Dir = filename:join(proplists:get_value(priv_dir, Config), Case),
    ok = filelib:ensure_dir(filename:join(Dir, "x")),
    {ok, Sim} = litefs_simulator:start(#{directory => Dir,
                                         nodes => [<<"a">>, <<"b">>]}),
    {ok, Started} = application:ensure_all_started(ecto_litefs),
    Config1 = [{sim, Sim}, {started, Started} | Config],
    Supervisor = supervise(Config1),
    [{supervisor, Supervisor} | Config1].

end_per_testcase(_Case, Config) ->
    stop(proplists:get_value(supervisor, Config)),
    ok = litefs_simulator:stop(proplists:get_value(sim, Config)),
    [ok = application:stop(App) || App <- proplists:get_value(started, Config)],
    ok.

supervise(Config) ->
    Node = litefs_simulator:node(proplists:get_value(sim, Config), <<"b">>),
    #{primary_file := File, event_stream_url := Url} = Node,
    Database = filename:join(filename:dirname(File), ?DB),
    {ok, Supervisor} = 'Elixir.EctoLiteFS.Supervisor':start_link(
                         [{repo, ?REPO}, {primary_file, File},
                          {event_stream_url, Url}, {mount, plain},
                          {database, Database}, {tracking, false}]),
    true = unlink(Supervisor),
    ok = ecto_litefs_test_wait:until(
           {replica, up},
           fun() ->
               #{role := Role, stream := Stream} =
                   ecto_litefs_status:snapshot(?REPO),
               {Role, Stream}
           end),
    Supervisor.

stop(Supervisor) ->
    Ref = monitor(process, Supervisor),
    true = exit(Supervisor, shutdown),
    receive {'DOWN', Ref, process, _, _} -> ok end.

%%% What a position means

%% The process is suspended: whoever asked it would wait.
what_is_there_asks_no_process(Config) ->
    tx(Config, {7, 70}),
    ok = ?API:await(?REPO, position({7, 70}), ?LONG_MS),
    tx(Config, {8, 80}),
    ok = ?API:await(?REPO, position({7, 71}), ?LONG_MS),
    ok = sys:suspend(?AWAIT),
    ?assertEqual(ok, ?API:await(?REPO, position({8, 80}), 0)),
    ?assertEqual(ok, ?API:await(?REPO, position({7, 71}), 0)),
    ok = sys:resume(?AWAIT).

the_very_transaction(Config) ->
    tx(Config, {6, 60}),
    Waiter = waiting({7, 70}, ?LONG_MS),
    tx(Config, {7, 70}),
    ?assertEqual(ok, outcome(Waiter)).

a_later_transaction(Config) ->
    Waiter = waiting({7, 70}, ?LONG_MS),
    tx(Config, {9, 90}),
    ?assertEqual(ok, outcome(Waiter)).

an_earlier_transaction_is_waited_out(Config) ->
    tx(Config, {6, 60}),
    From = erlang:monotonic_time(millisecond),
    ?assertEqual({error, timeout}, ?API:await(?REPO, position({7, 70}), 200)),
    Ms = erlang:monotonic_time(millisecond) - From,
    ?assert(Ms >= 200),
    ?assert(Ms < 2_000),
    ?assertEqual(0, ecto_litefs_await:waiters(?REPO)).

%% The same number with another content.
another_history(Config) ->
    Waiter = waiting({7, 70}, ?LONG_MS),
    tx(Config, {7, 71}),
    ?assertEqual({error, other_term}, outcome(Waiter)).

%% Of a primary that tracks, which this node does not.
another_term(Config) ->
    Waiter = waiting({5, 7, 70}, ?LONG_MS),
    tx(Config, {8, 80}),
    ?assertEqual({error, other_term}, outcome(Waiter)).

%% Since the stream was opened it has told nothing.
nothing_is_known_yet(_Config) ->
    ?assertEqual({error, timeout}, ?API:await(?REPO, position({7, 70}), 100)),
    ?assertEqual(ok, ?API:await(?REPO, nil, 0)).

%%% Many, and none

ten_thousand_wait(Config) ->
    tx(Config, {6, 60}),
    Descriptors = ecto_litefs_test_wait:descriptors(),
    Threads = ecto_litefs_test_wait:threads(),
    Waiters = [waiter({7 + N rem 10, 0}, ?LONG_MS)
               || N <- lists:seq(1, 10_000)],
    ok = ecto_litefs_test_wait:until(10_000, fun() ->
        ecto_litefs_await:waiters(?REPO)
    end),
    %% The detector, which has just started, may still open a few.
    ?assert(ecto_litefs_test_wait:descriptors() < Descriptors + 10),
    ?assert(ecto_litefs_test_wait:threads() < Threads + 10),
    10_000 = ecto_litefs_await:waiters(?REPO),
    tx(Config, {17, 170}),
    ?assertEqual([ok], lists:usort([outcome(Waiter) || Waiter <- Waiters])),
    ?assertEqual(0, ecto_litefs_await:waiters(?REPO)).

%% 192 transactions would be as many hints if it asked for the next one. One
%% hint and one tick may be left of the wait before.
nobody_waits_and_nobody_wakes(Config) ->
    Waiter = waiting({7, 70}, ?LONG_MS),
    tx(Config, {7, 70}),
    ok = outcome(Waiter),
    Traced = whereis(?AWAIT),
    1 = erlang:trace(Traced, true, ['receive']),
    [begin
         tx(Config, {N, N}),
         ok = ecto_litefs_test_wait:until(ok, fun() -> there({N, N}) end)
     end || N <- lists:seq(9, 200)],
    1 = erlang:trace(Traced, false, ['receive']),
    Delivered = erlang:trace_delivered(Traced),
    receive {trace_delivered, Traced, Delivered} -> ok end,
    ?assert(length(received()) =< 2).

%% Without the process.
there(Position) ->
    Handle = element(1, ecto_litefs_place:of_repo(?REPO)),
    case ecto_litefs_nif:position(Handle, ?DB) of
        {Position, _Era} -> ok;
        {Another, _Era} -> Another
    end.

received() ->
    receive
        {trace, _Pid, 'receive', Message} -> [Message | received()]
    after 0 -> []
    end.

%%% What may die

a_waiter_dies(_Config) ->
    {Pid, Ref} = waiting({7, 70}, ?LONG_MS),
    true = exit(Pid, kill),
    receive {'DOWN', Ref, process, Pid, killed} -> ok end,
    ecto_litefs_test_wait:until(0, fun() ->
        ecto_litefs_await:waiters(?REPO)
    end).

the_process_is_killed(Config) ->
    Waiters = [waiting({7, 70}, ?LONG_MS) || _ <- lists:seq(1, 100)],
    true = exit(whereis(?AWAIT), kill),
    ok = ecto_litefs_test_wait:until(100, fun() ->
        ecto_litefs_await:waiters(?REPO)
    end),
    tx(Config, {7, 70}),
    ?assertEqual([ok], lists:usort([outcome(Waiter) || Waiter <- Waiters])).

%% The next one has another handle, and its stream begins anew.
the_detector_is_killed(Config) ->
    Waiter = waiting({7, 70}, ?LONG_MS),
    Detector = ?API:'get_tracker!'(?REPO),
    true = exit(Detector, kill),
    tx_until(ok, Waiter, Config).

the_stream_breaks_off(Config) ->
    tx(Config, {6, 60}),
    Waiter = waiting({7, 70}, ?LONG_MS),
    ok = litefs_simulator:stop_node(proplists:get_value(sim, Config), <<"b">>),
    ok = ecto_litefs_test_wait:until(down, fun() ->
        maps:get(stream, ecto_litefs_status:snapshot(?REPO))
    end),
    ok = litefs_simulator:start_node(proplists:get_value(sim, Config), <<"b">>),
    tx_until(ok, Waiter, Config).

the_supervisor_stops(Config) ->
    Waiter = waiting({7, 70}, ?LONG_MS),
    stop(proplists:get_value(supervisor, Config)),
    ?assertEqual({error, unavailable}, outcome(Waiter)),
    ?assertEqual({error, unavailable},
                 ?API:await(?REPO, position({7, 70}), ?LONG_MS)),
    ?assertEqual({error, not_ready}, ?API:position(?REPO)).

no_supervisor(_Config) ->
    ?assertEqual({error, unavailable},
                 ?API:await('Elixir.OtherRepo', position({7, 70}), ?LONG_MS)),
    ?assertEqual({ok, nil}, ?API:position('Elixir.OtherRepo')),
    ?assertEqual({done, nil},
                 ?API:with_position('Elixir.OtherRepo', fun() -> done end)).

%% Only who has to wait is told of.
telemetry_of_a_wait(Config) ->
    tx(Config, {6, 60}),
    {_Outcome, Events} = telemetry:record(fun() ->
        {error, timeout} = ?API:await(?REPO, position({7, 70}), 10),
        ?API:await(?REPO, position({6, 60}), 10)
    end),
    [{[ecto_litefs, await, start], #{system_time := _}, #{txid := 7}},
     {[ecto_litefs, await, stop], #{duration := Duration},
      #{txid := 7, term := 0, repo := ?REPO, result := timeout}}] = Events,
    ?assert(erlang:convert_time_unit(Duration, native, millisecond) >= 9).

%%% Helpers

tx(Config, Position) ->
    litefs_simulator:tx(proplists:get_value(sim, Config), <<"b">>, ?DB,
                        Position).

%% Until the new stream is there to tell it.
tx_until(Wanted, Waiter, Config) ->
    Self = self(),
    Teller = spawn_link(fun Tell() ->
        tx(Config, {7, 70}),
        receive {Self, enough} -> ok after 20 -> Tell() end
    end),
    ?assertEqual(Wanted, outcome(Waiter)),
    Teller ! {Self, enough}.

position({TxId, Checksum}) -> position({0, TxId, Checksum});
position(Position) -> 'Elixir.EctoLiteFS.Position':new(Position).

%% A process that waits, and is known to.
waiting(Position, Ms) ->
    Before = ecto_litefs_await:waiters(?REPO),
    Waiter = waiter(Position, Ms),
    ok = ecto_litefs_test_wait:until(Before + 1, fun() ->
        ecto_litefs_await:waiters(?REPO)
    end),
    Waiter.

waiter(Position, Ms) ->
    spawn_monitor(fun() ->
        exit({outcome, ?API:await(?REPO, position(Position), Ms)})
    end).

outcome({Pid, Ref}) ->
    receive {'DOWN', Ref, process, Pid, {outcome, Outcome}} -> Outcome
    after ?LONG_MS + 5_000 -> error({hangs, Pid})
    end.
