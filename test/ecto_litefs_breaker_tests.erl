%% A node that did not answer: skipped, then probed by one caller.
-module(ecto_litefs_breaker_tests).

-include_lib("eunit/include/eunit.hrl").

-define(BREAKER, ecto_litefs_breaker).
-define(NODE, 'p@h').

breaker_test_() ->
    {foreach,
     fun() -> ok = ?BREAKER:new() end,
     fun(_) -> true = ets:delete(?BREAKER) end,
     [{"never skipped", fun never/0}, {"skipped", fun skipped/0},
      {"one probes", fun one_probes/0}, {"answered", fun answered/0}]}.

never() ->
    ok = ?BREAKER:probe(?NODE),
    ok = ?BREAKER:answered(?NODE),
    ?assertNot(?BREAKER:skipped(?NODE)).

skipped() ->
    ok = ?BREAKER:skip(?NODE),
    ok = ?BREAKER:probe(?NODE), % too early
    ?assert(?BREAKER:skipped(?NODE)),
    ?assertNot(?BREAKER:skipped('q@h')).

one_probes() ->
    over(),
    ?assertNot(?BREAKER:skipped(?NODE)),
    ok = ?BREAKER:probe(?NODE),
    ?assert(?BREAKER:skipped(?NODE)).

answered() ->
    over(),
    ok = ?BREAKER:probe(?NODE),
    ok = ?BREAKER:answered(?NODE),
    ?assertNot(?BREAKER:skipped(?NODE)).

%% As a second after skip/1.
over() ->
    true = ets:insert(?BREAKER, {?NODE, erlang:monotonic_time(millisecond)}).

without_table_test() ->
    [?assertEqual(ok, ?BREAKER:Function(?NODE))
     || Function <- [skip, probe, answered]],
    ?assertNot(?BREAKER:skipped(?NODE)).
