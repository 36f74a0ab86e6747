%% Who waits, and what they are answered.
-module(ecto_litefs_waiters_tests).

-include_lib("eunit/include/eunit.hrl").

-define(w, ecto_litefs_waiters).

nobody_test() ->
    Nobody = ?w:new(),
    ?assertEqual(0, ?w:size(Nobody)),
    ?assertNot(?w:is_due(99, Nobody)),
    ?assertEqual(Nobody, ?w:decide({99, 0}, {known, 1}, Nobody)),
    ?assertEqual(Nobody, ?w:expire(make_ref(), Nobody)).

%% {local position, local term, wanted, answer}
answer_test_() ->
    [?_assertEqual({Position, Known, Answer}, {Position, Known, told(Position, Known)})
     || {Position, Known, Answer} <-
            [{{7, 70}, unknown, ok},
             {{7, 70}, {known, 2}, ok},          % the same content
             {{7, 70}, {known, none}, ok},
             {{8, 80}, unknown, waits},
             {{8, 80}, {known, 1}, ok},
             {{8, 80}, {fresh, 1}, ok},
             {{8, 80}, {fresh, 2}, waits},
             {{8, 80}, {fresh, none}, waits},
             {{8, 80}, {known, 2}, {error, other_term}},
             {{8, 80}, {known, none}, {error, other_term}},
             {{7, 71}, {known, 1}, {error, other_term}},
             {{7, 71}, unknown, waits},
             {{6, 70}, {known, 1}, waits},
             {{6, 60}, {known, 2}, waits}]].

told(Position, Known) ->
    Waiters = ?w:decide(Position, Known, waiters([{w, {1, 7, 70}}])),
    case {answers(), ?w:size(Waiters)} of
        {[{w, Answer}], 0} -> Answer;
        {[], 1} -> waits
    end.

%% Only those whose transaction has come.
in_order_test() ->
    Waiters = waiters([{T, {1, T, 0}} || T <- [7, 3, 5, 9]]),
    ?assertNot(?w:is_due(2, Waiters)),
    ?assert(?w:is_due(3, Waiters)),
    Later = ?w:decide({6, 60}, {known, 1}, Waiters),
    ?assertEqual([{3, ok}, {5, ok}], lists:sort(answers())),
    ?assertEqual(2, ?w:size(Later)),
    Nobody = ?w:give_up(9, Later),
    ?assertEqual([{7, {error, unavailable}}, {9, {error, unavailable}}],
                 lists:sort(answers())),
    ?assertEqual(0, ?w:size(Nobody)).

deadline_test() ->
    Waiters = ?w:add({self(), w}, {1, 7, 70}, erlang:monotonic_time(millisecond),
                     ?w:new()),
    Key = receive {timeout, _Timer, {deadline, Found}} -> Found end,
    Nobody = ?w:expire(Key, Waiters),
    ?assertEqual(Nobody, ?w:expire(Key, Nobody)),
    ?assertEqual([{w, {error, timeout}}], answers()),
    ?assertEqual(0, ?w:size(Nobody)).

waiter_dies_test() ->
    Pid = spawn(fun() -> receive die -> ok end end),
    Waiters = ?w:add({Pid, w}, {1, 7, 70}, deadline(), ?w:new()),
    Pid ! die,
    Key = receive {'DOWN', Monitor, process, Pid, normal} -> Monitor end,
    ?assertEqual(0, ?w:size(?w:gone(Key, Waiters))).

waiters(Wanted) ->
    lists:foldl(fun({Tag, Position}, Acc) ->
                        ?w:add({self(), Tag}, Position, deadline(), Acc)
                end, ?w:new(), Wanted).

deadline() ->
    erlang:monotonic_time(millisecond) + 60_000.

answers() ->
    receive
        {Tag, Answer} -> [{Tag, Answer} | answers()]
    after 0 -> []
    end.
