%% What an end of erpc says about the call, with what sends it in our hand.
-module(ecto_litefs_attempt_tests).

-include_lib("eunit/include/eunit.hrl").

-define(NODE, 'p@h').

ends_test_() ->
    [{lists:flatten(io_lib:format("~p", [Reason])),
      ?_assertEqual(Outcome, run(fun(_, _, _) -> error(Reason) end))}
     || {Reason, Outcome} <-
            [{{erpc, noconnection}, {not_executed, noconnection}},
             {{erpc, system_limit}, {not_executed, noconnection}},
             {{erpc, notsup}, {not_executed, other_version}},
             {{erpc, timeout}, {unknown, silent}},
             {{exception, oops, []}, {raised, error, oops, [], none}}]].

%% Our own fun could not be called there.
another_build_test_() ->
    [?_assertEqual({not_executed, other_version},
                   run(fun(_, Fun, _) -> error(Raised(Fun)) end))
     || Raised <- [fun(Fun) -> {exception, {badfun, Fun}, []} end,
                   fun(Fun) -> {exception, undef, [{Fun, [], []}]} end]].

%% Some other fun could not: who knows what was done before.
another_fun_test() ->
    Other = fun() -> other end,
    ?assertEqual({raised, error, {badfun, Other}, [], none},
                 run(fun(_, _, _) -> error({exception, {badfun, Other}, []})
                     end)).

run(Call) ->
    Request = ecto_litefs_executor:request(repo, insert,
                                           {super, fun() -> done end, []},
                                           again),
    ecto_litefs_attempt:run(?NODE, Request, {1000, 1000}, Call).
