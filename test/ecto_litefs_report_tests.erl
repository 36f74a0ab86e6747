%% Which lines are logged, and which are not logged twice; and the events beside
%% the lines that name a role.
-module(ecto_litefs_report_tests).

-include_lib("eunit/include/eunit.hrl").

-define(REPO, 'Elixir.MyApp.Repo').

one_line_for_each_role_test() ->
    ok = ecto_litefs_test_log:start(),
    _ = lists:foldl(fun(Snapshot, Reported) ->
                            role(plain, Snapshot, Reported)
                    end,
                    ecto_litefs_report:new(),
                    [#{role => not_litefs}, #{role => not_litefs},
                     #{role => unknown}, #{role => no_primary},
                     #{role => replica, hostname => <<"node-1">>},
                     #{role => replica, hostname => <<"node-1">>},
                     #{role => replica, hostname => <<"node-2">>},
                     #{role => replica, hostname => <<>>},
                     #{role => primary}, #{role => primary}]),
    Lines = ecto_litefs_test_log:lines(),
    ?assertEqual(
       ["ecto_litefs MyApp.Repo: no LiteFS on /litefs, writes are local",
        "ecto_litefs MyApp.Repo: it is not known who the primary is, writes "
        "wait (mount /litefs: litefs, event stream: up)",
        "ecto_litefs MyApp.Repo: LiteFS names no primary, writes wait",
        "ecto_litefs MyApp.Repo: this node is a replica of node-1",
        "ecto_litefs MyApp.Repo: this node is a replica of node-2",
        "ecto_litefs MyApp.Repo: this node is a replica (says LiteFS's event "
        "stream)",
        "ecto_litefs MyApp.Repo: this node is the primary (says LiteFS's event "
        "stream)"],
       [Line || {notice, Line} <- Lines]),
    ?assertEqual([], [Line || {Level, Line} <- Lines, Level =/= notice]).

lag_and_stream_are_no_news_test() ->
    ok = ecto_litefs_test_log:start(),
    Reported = role(plain, #{role => primary}, ecto_litefs_report:new()),
    _ = role(plain, #{role => primary, lag_ms => 7, stream => down}, Reported),
    ?assertMatch([_], ecto_litefs_test_log:lines()).

one_event_for_each_role_test() ->
    States = [#{role => unknown}, #{role => unknown, lag_ms => 7},
              #{role => replica, hostname => <<"node-1">>, generation => 2},
              #{role => replica, hostname => <<"node-1">>, generation => 3},
              #{role => replica, hostname => <<"node-2">>, generation => 4},
              #{role => primary, source => mount, generation => 5}],
    {_, Events} =
        recorded(
          fun() -> lists:foldl(fun(State, Reported) ->
                                       role(plain, State, Reported)
                               end, ecto_litefs_report:new(), States)
          end),
    ?assertEqual(
       [{unknown, nil, nil, stream, 1},
        {replica, unknown, <<"node-1">>, stream, 2},
        {replica, replica, <<"node-2">>, stream, 4},
        {primary, replica, nil, mount, 5}],
       [{Role, Former, Hostname, Source, Generation}
        || {[ecto_litefs, role, change], _,
            #{repo := ?REPO, role := Role, previous_role := Former,
              hostname := Hostname, source := Source,
              generation := Generation}} <- Events]),
    ?assertEqual(4, length(Events)).

%% The durations are the time between the events.
duration_of_a_role_test() ->
    {_, Events} =
        recorded(
          fun() ->
                  First = role(plain, #{}, ecto_litefs_report:new()),
                  Second = role(plain, #{role => primary}, First),
                  role(plain, #{role => no_primary}, Second)
          end),
    Measured = [M || {[ecto_litefs, role, change], M, _} <- Events],
    [#{duration := 0, monotonic_time := T1}, #{duration := D1},
     #{duration := D2, monotonic_time := T3}] = Measured,
    ?assert(D1 > 0 andalso D2 > 0),
    ?assert(abs(T3 - T1 - D1 - D2)
            < erlang:convert_time_unit(20, millisecond, native)).

without_nif_is_an_event_test() ->
    Snapshot = #{role => not_litefs, hostname => <<>>, source => none,
                 generation => 0, mount => unseen, stream => off},
    {_, Events} =
        recorded(
          fun() ->
                  Told = ecto_litefs_report:without_nif(?REPO, Snapshot, <<>>),
                  role(plain, Snapshot, Told)
          end),
    ?assertMatch([{[ecto_litefs, role, change], _,
                   #{role := not_litefs, previous_role := nil}}], Events).

odd_hostname_test() ->
    ok = ecto_litefs_test_log:start(),
    _ = role(plain, #{role => replica, hostname => <<255, "x">>},
             ecto_litefs_report:new()),
    ?assertMatch([{notice, _}], ecto_litefs_test_log:lines()).

no_distribution_test() ->
    ok = ecto_litefs_test_log:start(),
    ?assertEqual(nonode@nohost, node()),
    Reported = role(litefs, #{role => primary}, ecto_litefs_report:new()),
    _ = role(litefs, #{role => no_primary}, Reported),
    Lines = ecto_litefs_test_log:lines(),
    ?assertMatch([_], [Line || {warning, Line} <- Lines]),
    ?assertMatch([_, _], [Line || {notice, Line} <- Lines]).

pool_fails_once_test() ->
    ok = ecto_litefs_test_log:start(),
    Fail = fun(Reported) ->
                   ecto_litefs_report:not_reconnected(?REPO, {error, noproc},
                                                      Reported)
           end,
    Reported1 = Fail(Fail(ecto_litefs_report:new())),
    ?assertMatch([{warning, _}], ecto_litefs_test_log:lines()),
    Reported2 = role(plain, #{role => primary}, Reported1),
    _ = Fail(Reported2),
    ?assertMatch([{notice, _}, {warning, _}], ecto_litefs_test_log:lines()).

%% No line is left for the next test.
recorded(Fun) ->
    _ = ecto_litefs_test_log:stop(),
    telemetry:record(Fun).

role(Kind, Fields, Reported) ->
    Snapshot = maps:merge(#{role => unknown, hostname => <<>>, source => stream,
                            reconnect => false, mount => litefs, stream => up,
                            lag_ms => 0, generation => 1}, Fields),
    ecto_litefs_report:role(?REPO, Kind, Snapshot, <<"/litefs">>, Reported).
