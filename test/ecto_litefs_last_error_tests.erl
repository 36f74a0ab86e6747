%% The newest one of each Repo, with and without the table.
-module(ecto_litefs_last_error_tests).

-include_lib("eunit/include/eunit.hrl").

-define(last_error, ecto_litefs_last_error).

newest_of_each_repo_test() ->
    ok = ?last_error:new(),
    ?assertEqual(none, ?last_error:get(one)),
    Before = erlang:system_time(millisecond),
    ok = ?last_error:put(one, {tracking, locked}),
    ok = ?last_error:put(one, {await, timeout}),
    ok = ?last_error:put(two, {reconnect, noproc}),
    {At, What} = ?last_error:get(one),
    ?assertEqual({await, timeout}, What),
    ?assert(Before =< At andalso At =< erlang:system_time(millisecond)),
    ?assertMatch({_, {reconnect, noproc}}, ?last_error:get(two)),
    true = ets:delete(?last_error).

no_table_test() ->
    ?assertEqual(undefined, ets:whereis(?last_error)),
    ?assertEqual(ok, ?last_error:put(one, {await, timeout})),
    ?assertEqual(none, ?last_error:get(one)).
