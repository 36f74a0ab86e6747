%% Which lines are logged, and which are not logged twice.
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

role(Kind, Fields, Reported) ->
    Snapshot = maps:merge(#{role => unknown, hostname => <<>>, source => stream,
                            reconnect => false, mount => litefs, stream => up,
                            lag_ms => 0}, Fields),
    ecto_litefs_report:role(?REPO, Kind, Snapshot, <<"/litefs">>, Reported).
