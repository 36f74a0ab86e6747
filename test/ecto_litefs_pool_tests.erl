%% A renewal that takes its time: who began it goes on, and is told how it
%% ended. What it does to a pool, the suite on the real Ecto shows.
-module(ecto_litefs_pool_tests).

-include_lib("eunit/include/eunit.hrl").

%% As the Repo: does what the test says.
-export([disconnect_all/1]).

disconnect_all(0) ->
    ?MODULE ! {asked, self()},
    receive Answer -> Answer() end.

outcomes_test_() ->
    [{Title, fun() -> ?assertEqual(Outcome, renewal(Answer)) end}
     || {Title, Answer, Outcome} <-
            [{"done", fun() -> ok end, renewed},
             {"the Repo is not started", fun() -> exit(noproc) end,
              {exit, noproc}},
             {"it raises", fun() -> error(broken) end, {error, broken}},
             {"killed", fun() -> exit(self(), kill) end, killed}]].

%% It has begun when it asks the Repo, and the Repo does not answer yet.
renewal(Answer) ->
    true = register(?MODULE, self()),
    Ref = ecto_litefs_pool:start_renewal(?MODULE),
    Pid = receive {asked, Asking} -> Asking end,
    true = unregister(?MODULE),
    Pid ! Answer,
    receive {'DOWN', Ref, process, Pid, Outcome} -> Outcome end.

without_a_pool_test() ->
    Ref = ecto_litefs_pool:start_renewal(lists),
    receive {'DOWN', Ref, process, _Pid, Outcome} ->
            ?assertEqual(renewed, Outcome)
    end.
