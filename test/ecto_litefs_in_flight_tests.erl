%% Who counts, and that the dead do not.
-module(ecto_litefs_in_flight_tests).

-include_lib("eunit/include/eunit.hrl").

-define(in_flight, ecto_litefs_in_flight).

in_flight_test_() ->
    {foreach, fun ?in_flight:new/0, fun(ok) -> ets:delete(?in_flight) end,
     [{"while the fun runs", fun during/0},
      {"not when it raised", fun raised/0},
      {"of each Repo", fun several/0},
      {"the killed do not count, and are swept", fun killed/0}]}.

during() ->
    ?assertEqual(1, ?in_flight:during(one, fun() -> ?in_flight:count(one) end)),
    ?assertEqual(0, ?in_flight:count(one)).

raised() ->
    ?assertThrow(gone, ?in_flight:during(one, fun() -> throw(gone) end)),
    ?assertEqual([], ets:tab2list(?in_flight)).

several() ->
    [Pid | _] = Pids = [waiting(Repo) || Repo <- [one, two, two]],
    ?assertEqual({1, 2, 0}, {?in_flight:count(one), ?in_flight:count(two),
                             ?in_flight:count(three)}),
    ok = ?in_flight:sweep(),
    ?assertEqual(3, ets:info(?in_flight, size)),
    Pid ! go,
    ecto_litefs_test_wait:until(0, fun() -> ?in_flight:count(one) end),
    ?assertEqual(2, ets:info(?in_flight, size)),
    [P ! go || P <- Pids].

killed() ->
    Pid = waiting(one),
    exit(Pid, kill),
    ecto_litefs_test_wait:until(0, fun() -> ?in_flight:count(one) end),
    ?assertEqual(1, ets:info(?in_flight, size)),
    ok = ?in_flight:sweep(),
    ?assertEqual(0, ets:info(?in_flight, size)).

no_table_test() ->
    ?assertEqual(undefined, ets:whereis(?in_flight)),
    ?assertEqual(7, ?in_flight:during(one, fun() -> 7 end)),
    ?assertEqual(0, ?in_flight:count(one)),
    ?assertEqual(ok, ?in_flight:sweep()),
    %% badarg of the fun is its caller's.
    ?assertError(badarg, ?in_flight:during(one, fun() -> error(badarg) end)).

%% A process that counts until it is told to go on.
waiting(Repo) ->
    Self = self(),
    Pid = spawn(fun() ->
                        ?in_flight:during(Repo, fun() ->
                                                        Self ! {self(), counts},
                                                        receive go -> ok end
                                                end)
                end),
    receive {Pid, counts} -> Pid end.
