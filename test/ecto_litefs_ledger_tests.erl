%% The ledger: whoever inserts an id first decides whether its call runs.
-module(ecto_litefs_ledger_tests).

-include_lib("eunit/include/eunit.hrl").

-define(LEDGER, ecto_litefs_ledger).
-define(ANSWER, {ok, row, undefined}).

ledger_test_() ->
    {foreach,
     fun() -> ok = ?LEDGER:new(), ?LEDGER:incarnation() end,
     fun(_) -> ets:whereis(?LEDGER) =:= undefined orelse ets:delete(?LEDGER) end,
     [fun(Incarnation) -> {Name, fun() -> Test(Incarnation) end} end
      || {Name, Test} <- [{"runs once", fun runs_once/1},
                          {"claimed first never runs", fun claimed_first/1},
                          {"claimed while it runs", fun running/1},
                          {"killed while it runs", fun killed/1},
                          {"too late", fun too_late/1},
                          {"acknowledged", fun acknowledged/1},
                          {"another incarnation", fun another/1},
                          {"answers are bounded", fun bounded/1},
                          {"swept when nobody may ask", fun swept/1},
                          {"running is not swept", fun not_swept/1},
                          {"one of many wins", fun race/1}]]}.

runs_once(Incarnation) ->
    Id = id(),
    ?assertEqual(ok, ?LEDGER:register(Id, 1000)),
    ?assertEqual(repeated, ?LEDGER:register(Id, 1000)),
    ok = ?LEDGER:finish(Id, ?ANSWER),
    ?assertEqual(repeated, ?LEDGER:register(Id, 1000)),
    [?assertEqual({done, ?ANSWER}, ?LEDGER:claim(Incarnation, Id, 1000))
     || _ <- [1, 2]].

claimed_first(Incarnation) ->
    Id = id(),
    [?assertEqual(refused, ?LEDGER:claim(Incarnation, Id, 1000)) || _ <- [1, 2]],
    ?assertEqual(refused, ?LEDGER:register(Id, 1000)).

running(Incarnation) ->
    Id = id(),
    Runner = runner(Id),
    ?assertEqual(running, ?LEDGER:claim(Incarnation, Id, 1000)),
    ?assertEqual(running, ?LEDGER:await(Incarnation, Id, 1)),
    Runner ! finish,
    ?assertEqual({done, ?ANSWER}, ?LEDGER:await(Incarnation, Id, 5000)),
    ?assertEqual({done, ?ANSWER}, ?LEDGER:await(Incarnation, Id, 5000)).

killed(Incarnation) ->
    Id = id(),
    exit(runner(Id), kill),
    ?assertEqual(gone, ?LEDGER:await(Incarnation, Id, 5000)),
    ?assertEqual(repeated, ?LEDGER:register(Id, 1000)).

too_late(Incarnation) ->
    ?assertEqual(gone, ?LEDGER:await(Incarnation, id(), 5000)).

acknowledged(Incarnation) ->
    Id = done(),
    ?assert(?LEDGER:bytes() > 0),
    ok = ?LEDGER:ack(Id),
    ok = ?LEDGER:ack(Id),
    ok = ?LEDGER:ack(id()),
    ?assertEqual(0, ?LEDGER:bytes()),
    ?assertEqual(repeated, ?LEDGER:register(Id, 1000)),
    ?assertEqual(gone, ?LEDGER:claim(Incarnation, Id, 1000)).

another(Incarnation) ->
    Id = done(),
    ?assertEqual(gone, ?LEDGER:claim(<<0:128>>, Id, 1000)),
    ?assertEqual(gone, ?LEDGER:claim(<<0:128>>, id(), 1000)),
    ?assertEqual(gone, ?LEDGER:await(<<0:128>>, Id, 1000)),
    true = ets:delete(?LEDGER),
    ?assertEqual(none, ?LEDGER:incarnation()),
    ?assertEqual(gone, ?LEDGER:claim(Incarnation, Id, 1000)),
    ?assertEqual(refused, ?LEDGER:register(Id, 1000)),
    ?assertEqual(ok, ?LEDGER:finish(Id, ?ANSWER)),
    ok = ?LEDGER:new(),
    ?assertNotEqual(Incarnation, ?LEDGER:incarnation()).

%% What does not fit is known to have run, and nothing of it is kept.
bounded(Incarnation) ->
    Large = {ok, binary:copy(<<0>>, 40 * 1024 * 1024), undefined},
    [One, Two] = [id(), id()],
    [begin
         ok = ?LEDGER:register(Id, 1000),
         ok = ?LEDGER:finish(Id, Large)
     end || Id <- [One, Two]],
    ?assertEqual({done, Large}, ?LEDGER:claim(Incarnation, One, 1000)),
    ?assertEqual(gone, ?LEDGER:claim(Incarnation, Two, 1000)),
    ok = ?LEDGER:ack(One),
    ?assertEqual(0, ?LEDGER:bytes()).

%% The call's own time and half a minute; a refused one for ten minutes more.
swept(Incarnation) ->
    Done = done(),
    Refused = id(),
    refused = ?LEDGER:claim(Incarnation, Refused, 1000),
    ok = sweep(30_000),
    ?assertEqual(repeated, ?LEDGER:register(Done, 1000)),
    ok = sweep(31_001),
    ?assertEqual(0, ?LEDGER:bytes()),
    ?assertEqual(ok, ?LEDGER:register(Done, 1000)),
    ?assertEqual(refused, ?LEDGER:register(Refused, 1000)),
    ok = sweep(601_001),
    ?assertEqual(ok, ?LEDGER:register(Refused, 1000)).

not_swept(Incarnation) ->
    Id = id(),
    Runner = runner(Id),
    ok = sweep(1_000_000),
    ?assertEqual(running, ?LEDGER:claim(Incarnation, Id, 1000)),
    Runner ! finish,
    {done, ?ANSWER} = ?LEDGER:await(Incarnation, Id, 5000),
    ok = sweep(1_000_000),
    ?assertEqual(ok, ?LEDGER:register(Id, 1000)).

race(Incarnation) ->
    Ids = [id() || _ <- lists:seq(1, 200)],
    Claimer = spawn_monitor(
                fun() -> exit([?LEDGER:claim(Incarnation, Id, 1000) =:= refused
                               || Id <- Ids]) end),
    Ran = [?LEDGER:register(Id, 1000) =:= ok || Id <- Ids],
    receive {'DOWN', Ref, process, Pid, Refused} when {Pid, Ref} =:= Claimer ->
            ?assert(lists:all(fun({A, B}) -> A xor B end,
                              lists:zip(Ran, Refused)))
    end.

id() -> rand:bytes(16).

done() ->
    Id = id(),
    ok = ?LEDGER:register(Id, 1000),
    ok = ?LEDGER:finish(Id, ?ANSWER),
    Id.

runner(Id) ->
    Test = self(),
    Pid = spawn(fun() ->
                        ok = ?LEDGER:register(Id, 1000),
                        Test ! {self(), runs},
                        receive finish -> ?LEDGER:finish(Id, ?ANSWER) end
                end),
    receive {Pid, runs} -> Pid end.

sweep(InMs) ->
    ?LEDGER:sweep(erlang:monotonic_time(millisecond) + InMs).
