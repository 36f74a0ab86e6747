%% The pool of the stand-in Repo.
-module(ecto_litefs_stand_in_pool_tests).

-include_lib("eunit/include/eunit.hrl").

-import(ecto_litefs_test_fixture, [restart/2, stored/1]).

-define(REPO, 'Elixir.OtherRepo').
-define(RAISES(Struct, Call),
        ?assertError(#{'__struct__' := Struct, '__exception__' := true}, Call)).

pool_test_() ->
    ecto_litefs_test_fixture:each(?REPO, tests()).

tests() ->
    [{"several connections, in turn", fun pool_size/1},
     {"a lock is waited for", fun busy/1},
     {"the queue has a timeout", fun queue_timeout/1},
     {"disconnect_all", fun disconnect_all/1}].

pool_size(Started) ->
    ok = restart(Started, #{pool_size => 2}),
    Holders = [hold([]), hold([])],
    Waiting = [begin
                   Pid = later_hold([]),
                   ecto_litefs_test_wait:until(Count, fun waiting/0),
                   Pid
               end || Count <- [1, 2]],
    [begin
         release(Holder),
         ?assertEqual(Pid, receive {holds, Next} -> Next end)
     end || {Holder, Pid} <- lists:zip(Holders, Waiting)],
    lists:foreach(fun release/1, Waiting),
    ?assertEqual(2, ecto_litefs_test_pool:opened(?REPO)).

%% The holder of the lock can commit while the other one waits.
busy(Started) ->
    ok = restart(Started, #{pool_size => 2, busy_timeout => 20000}),
    Holder = hold([{mode, immediate}]),
    Other = spawn(fun() -> {ok, _} = stored(?REPO) end),
    ecto_litefs_test_wait:until(
      2, fun() -> ecto_litefs_test_repo:opened(?REPO) end),
    release(Holder),
    ?assertEqual(normal, ended(Other)),
    ?assertMatch([_], ecto_litefs_test_repo:rows(?REPO)).

queue_timeout(Started) ->
    ok = restart(Started, #{queue_timeout => 20}),
    Holder = hold([]),
    ?assertMatch(
       {error, #{'__struct__' := 'Elixir.DBConnection.ConnectionError',
                 reason := queue_timeout}},
       ?REPO:query("SELECT 1")),
    ?RAISES('Elixir.DBConnection.ConnectionError',
            ?REPO:transaction(fun() -> 1 end)),
    ?RAISES('Elixir.DBConnection.ConnectionError', stored(?REPO)),
    ?assertEqual(0, waiting()),
    release(Holder),
    ?assertMatch({ok, _}, ?REPO:query("SELECT 1")).

disconnect_all(Started) ->
    ok = restart(Started, #{pool_size => 2}),
    Holders = [hold([]), hold([])],
    release(hd(Holders)),
    ok = ?REPO:disconnect_all(0),
    release(lists:last(Holders)),
    lists:foreach(fun release/1, [hold([]), hold([])]),
    ?assertEqual(4, ecto_litefs_test_repo:opened(?REPO)).

%% A process that has a connection until it is released.
hold(Options) ->
    Pid = later_hold(Options),
    receive {holds, Pid} -> Pid end.

later_hold(Options) ->
    Test = self(),
    Held = fun() ->
                   Test ! {holds, self()},
                   receive release -> ok end
           end,
    spawn(fun() -> {ok, ok} = ?REPO:transaction(Held, Options) end).

release(Pid) ->
    Pid ! release,
    ended(Pid).

ended(Pid) ->
    Monitor = monitor(process, Pid),
    receive {'DOWN', Monitor, process, Pid, Reason} -> Reason end.

waiting() ->
    #{waiting := Waiting} = sys:get_state(?REPO),
    queue:len(Waiting).
