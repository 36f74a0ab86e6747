%% Who may run, in which order, and who is sent away.
-module(ecto_litefs_admission_tests).

-include_lib("eunit/include/eunit.hrl").

-define(REPO, ecto_litefs_admission_repo).
-define(ADMISSION, ecto_litefs_admission).

admission_test_() ->
    {foreach,
     fun() ->
             {ok, Pid} = ?ADMISSION:start_link(#{repo => ?REPO, max_queue => 2}),
             Pid
     end,
     fun(Pid) -> unlink(Pid), gen_server:stop(Pid) end,
     [{Name, Test} || {Name, Test} <- [{"in order", fun in_order/0},
                                       {"overloaded", fun overloaded/0},
                                       {"expired", fun expired/0},
                                       {"killed", fun killed/0},
                                       {"killed in the queue", fun killed_waiting/0},
                                       {"pools", fun pools/0},
                                       {"all of many", fun many/0}]]
        ++ [fun closed/1]}.

in_order() ->
    [One, Two, Three] = [caller(main, 1) || _ <- [1, 2, 3]],
    counts(1, 2),
    ?assertEqual([ok, waits, waits], states([One, Two, Three])),
    One ! leave,
    until(ok, Two),
    ?assertEqual(waits, state(Three)),
    Two ! leave,
    until(ok, Three),
    Three ! leave,
    counts(0, 0).

overloaded() ->
    Callers = [caller(main, 1) || _ <- [1, 2, 3]],
    counts(1, 2),
    Last = caller(main, 1),
    until({error, overloaded}, Last),
    [Pid ! leave || Pid <- Callers],
    counts(0, 0).

%% Its turn comes when its caller waits no longer: it does not run, and the
%% next one does.
expired() ->
    One = caller(main, 1),
    Two = caller(main, 1, -1),
    Three = caller(main, 1),
    counts(1, 2),
    One ! leave,
    until({error, expired}, Two),
    until(ok, Three).

killed() ->
    [One, Two] = [caller(main, 1) || _ <- [1, 2]],
    counts(1, 1),
    exit(One, kill),
    until(ok, Two).

killed_waiting() ->
    [One, Two, Three] = [caller(main, 1) || _ <- [1, 2, 3]],
    counts(1, 2),
    exit(Two, kill),
    One ! leave,
    until(ok, Three),
    counts(1, 0).

%% A tenant does not wait for another one, and each has its own size.
pools() ->
    Callers = [caller(one, 1), caller(one, 1), caller(two, 2), caller(two, 2)],
    counts(3, 1),
    ?assertEqual([ok, waits, ok, ok], states(Callers)).

many() ->
    {ok, Pid} = ?ADMISSION:start_link(#{repo => many, max_queue => 1000}),
    Running = counters:new(1, []),
    Deadline = now_ms() + 60_000,
    Call = fun() ->
                   ok = ?ADMISSION:enter(many, many, 3, Deadline),
                   counters:add(Running, 1, 1),
                   true = counters:get(Running, 1) =< 3,
                   erlang:yield(),
                   counters:sub(Running, 1, 1),
                   ok = ?ADMISSION:leave(many, many)
           end,
    Callers = [spawn_monitor(Call) || _ <- lists:seq(1, 500)],
    [receive {'DOWN', Ref, _, _, Reason} -> ?assertEqual(normal, Reason) end
     || {_, Ref} <- Callers],
    gen_server:stop(Pid).

closed(_) ->
    ?_assertEqual({error, closed},
                  ?ADMISSION:enter(ecto_litefs_no_such_repo, main, 1, now_ms())).

caller(Pool, Size) -> caller(Pool, Size, 60_000).

%% Returns when it has asked, so that the order is known.
caller(Pool, Size, InMs) ->
    Before = total(),
    Caller = spawn(
               fun() ->
                       put(answer, waits),
                       put(answer, ?ADMISSION:enter(?REPO, Pool, Size,
                                                    now_ms() + InMs)),
                       receive leave -> ?ADMISSION:leave(?REPO, Pool) end
               end),
    ecto_litefs_test_wait:until(
      true, fun() -> total() > Before orelse is_tuple(state(Caller)) end),
    Caller.

total() ->
    #{running := Running, queued := Queued} = ?ADMISSION:counts(?REPO),
    Running + Queued.

states(Callers) -> [state(Pid) || Pid <- Callers].

state(Pid) ->
    case process_info(Pid, dictionary) of
        {dictionary, Dictionary} -> proplists:get_value(answer, Dictionary);
        undefined -> gone
    end.

until(Answer, Pid) ->
    ecto_litefs_test_wait:until(Answer, fun() -> state(Pid) end).

counts(Running, Queued) ->
    ecto_litefs_test_wait:until(#{running => Running, queued => Queued},
                                fun() -> ?ADMISSION:counts(?REPO) end).

now_ms() -> erlang:monotonic_time(millisecond).
