%% What answers on the events URL is not always LiteFS. Whatever it is, the
%% Repo's supervisor lives, writes are local, the log is quiet, and the server
%% is not flooded. (In ecto_litefs 1.0 each of these ended the supervisor.)
-module(events_url_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([all/0]).
-export([init_per_suite/1]).
-export([end_per_suite/1]).

-export([no_litefs_answers/1]).

-define(SUPERVISOR, 'Elixir.EctoLiteFS.Supervisor').

%% The waits of the backoff: five that grow to a second, then one each second
%% or, shortened at random, each 750 ms.
-define(CONNECTIONS, 6).
-define(WAIT_MS, 750).
-define(DEADLINE_MS, 20_000).

all() ->
    [no_litefs_answers].

init_per_suite(Config) ->
    {ok, Started} = application:ensure_all_started(ecto_litefs),
    [{started, Started} | Config].

end_per_suite(Config) ->
    [ok = application:stop(App)
     || App <- lists:reverse(proplists:get_value(started, Config))],
    ok.

no_litefs_answers(Config) ->
    ok = ecto_litefs_test_log:start(),
    StartedAt = now_ms(),
    Repos = [start(Repo, Answer, Config) || {Repo, Answer} <- answers()],
    Before = [processes_of(Sup) || {_Repo, Sup, _Url} <- Repos],
    [connections(Repo, ?CONNECTIONS) || {Repo, _Sup, _Url} <- Repos],
    Most = (now_ms() - StartedAt) div ?WAIT_MS,
    [?assert(more_connections(Repo, 0) =< Most) || {Repo, _, _} <- Repos],
    ?assertEqual(Before, [processes_of(Sup) || {_Repo, Sup, _Url} <- Repos]),
    [?assertEqual({Repo, not_litefs}, {Repo, ecto_litefs_status:role(Repo)})
     || {Repo, _Sup, _Url} <- Repos],
    Lines = ecto_litefs_test_log:lines(),
    ok = ecto_litefs_test_log:stop(),
    ?assertEqual([], [Line || {Level, _} = Line <- Lines, Level =/= notice]),
    ?assertEqual(length(Repos), length(Lines)),
    [stop(Sup) || {_Repo, Sup, _Url} <- Repos].

%% Each Repo has a server of its own.
answers() ->
    [{'Elixir.EventsUrl.NotFound',
      fun(_Url) -> "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n" end},
     {'Elixir.EventsUrl.Broken',
      fun(_Url) -> "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n" end},
     {'Elixir.EventsUrl.Redirect',
      fun(Url) -> ["HTTP/1.1 302 Found\r\nLocation: ", Url,
                   "\r\nContent-Length: 0\r\n\r\n"]
      end},
     {'Elixir.EventsUrl.EndsAtOnce',
      fun(_Url) -> "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "0\r\n\r\n"
      end},
     {'Elixir.EventsUrl.CutAtOnce',
      fun(_Url) -> "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{" end},
     {'Elixir.EventsUrl.NoHttp', fun(_Url) -> "220 mail.example ESMTP\r\n" end},
     {'Elixir.EventsUrl.Silent', fun(_Url) -> "" end}].

start(Repo, Answer, Config) ->
    Url = serve(Repo, Answer),
    File = filename:join(proplists:get_value(priv_dir, Config), ".primary"),
    {ok, Sup} = ?SUPERVISOR:start_link(
                   [{repo, Repo}, {event_stream_url, Url},
                    {primary_file, unicode:characters_to_binary(File)}]),
    {Repo, Sup, Url}.

stop(Sup) ->
    unlink(Sup),
    ok = gen_server:stop(Sup, shutdown, 5000).

processes_of(Sup) ->
    [Sup | [Pid || {_Id, Pid, _Type, _Modules}
                       <- supervisor:which_children(Sup)]].

%% -- the server --------------------------------------------------------------

%% Answers each connection's first request and closes it; tells this process.
serve(Repo, Answer) ->
    {ok, Listener} = gen_tcp:listen(0, [binary, {active, false},
                                        {ip, {127, 0, 0, 1}}]),
    {ok, Port} = inet:port(Listener),
    Url = iolist_to_binary(["http://127.0.0.1:", integer_to_list(Port),
                            "/events"]),
    Test = self(),
    Pid = spawn_link(fun() ->
                             receive go -> ok end,
                             accept(Listener, Answer(Url), {Test, Repo})
                     end),
    ok = gen_tcp:controlling_process(Listener, Pid),
    Pid ! go,
    Url.

accept(Listener, Answer, {Test, Repo} = To) ->
    {ok, Socket} = gen_tcp:accept(Listener),
    {ok, <<"GET /events", _/binary>>} = gen_tcp:recv(Socket, 0),
    _ = gen_tcp:send(Socket, Answer), % the client may be gone already
    ok = gen_tcp:close(Socket),
    Test ! {connection, Repo},
    accept(Listener, Answer, To).

connections(_Repo, 0) ->
    ok;
connections(Repo, Count) ->
    receive {connection, Repo} -> connections(Repo, Count - 1)
    after ?DEADLINE_MS -> ct:fail({no_connection, Repo, Count})
    end.

more_connections(Repo, Count) ->
    receive {connection, Repo} -> more_connections(Repo, Count + 1)
    after 0 -> Count
    end.

now_ms() ->
    erlang:monotonic_time(millisecond).
