%% The port with the real program and real SQLite. Each case has a server of its
%% own, and a second connection to its database, which is another process.
-module(port_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_testcase/2, end_per_testcase/2]).
-export([each_request/1,
         mode_is_of_the_requests_after_it/1,
         row_of_1_0/1,
         missing/1,
         not_a_database/1,
         directory/1,
         locked/1,
         replaced_at_the_deadline/1,
         hung_in_a_write/1,
         expired_in_the_queue/1,
         hung_for_longer_than_anybody_waits/1,
         killed_during_each_request/0,
         killed_during_each_request/1,
         killed_while_idle/1,
         terminated_while_idle/1,
         ends_with_its_server/1,
         server_killed/1,
         close_lets_go/1,
         close_while_a_request_runs/1,
         close_while_the_program_hangs/1,
         file_of_another_mount/1,
         database_of_the_repo/1,
         config_that_hangs/1,
         not_tracked/1,
         no_program/1,
         no_library/1,
         program_that_misbehaves/1,
         program_that_dies_at_once/1]).

-define(PORT, ecto_litefs_port).
-define(PROGRAM, ecto_litefs_test_program).
-define(SQLITE, ecto_litefs_test_sqlite).
-define(WAIT, ecto_litefs_test_wait).
-define(LOG, ecto_litefs_test_log).

-define(TABLE, "_ecto_litefs_primary").
-define(SIGTERM, 15).
-define(LONG, 10_000).       % nothing takes that long

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    [each_request, mode_is_of_the_requests_after_it, row_of_1_0, missing,
     not_a_database, directory, locked, replaced_at_the_deadline,
     hung_in_a_write, expired_in_the_queue, hung_for_longer_than_anybody_waits,
     killed_during_each_request, killed_while_idle, terminated_while_idle,
     ends_with_its_server, server_killed, close_lets_go,
     close_while_a_request_runs, close_while_the_program_hangs,
     file_of_another_mount, database_of_the_repo, config_that_hangs,
     not_tracked, no_program, no_library, program_that_misbehaves,
     program_that_dies_at_once].

%% What is open and what runs must be the same when the case is over.
init_per_testcase(Name, Config) ->
    Directory = filename:join(?config(priv_dir, Config), atom_to_list(Name)),
    ok = filelib:ensure_path(Directory),
    Path = filename:join(Directory, "db"),
    ok = ?LOG:start(),
    Before = {?WAIT:descriptors(), ?PROGRAM:children()},
    {ok, Other} = ?SQLITE:open(#{database => Path, journal_mode => wal,
                                 busy_timeout => 0}),
    ok = sql(Other, "CREATE TABLE items (name TEXT)"),
    Killer = ?PROGRAM:start_killer(),
    [{repo, list_to_atom("Elixir.PortSuite." ++ atom_to_list(Name))},
     {directory, Directory}, {path, list_to_binary(Path)}, {other, Other},
     {killer, Killer}, {before, Before} | Config].

end_per_testcase(_Name, Config) ->
    _ = ?LOG:stop(),
    ?PROGRAM:stop_killer(?config(killer, Config)),
    ok = ?SQLITE:close(?config(other, Config)),
    {_, Children} = Before = ?config(before, Config),
    try ?WAIT:until(Before, fun() -> {?WAIT:descriptors(),
                                      ?PROGRAM:children()} end)
    after % a stopped one would keep the output of the test's VM open
        [os:cmd("kill -KILL " ++ integer_to_list(Pid))
         || Pid <- ?PROGRAM:children() -- Children]
    end.

%% -- requests ----------------------------------------------------------------

each_request(Config) ->
    {Repo, Server} = start(Config),
    ?assertEqual(none, ?PROGRAM:pid(Server)), % nobody has asked
    ?assertEqual({ok, none}, ?PORT:read_row(Repo, ?LONG)),
    ok = ?PORT:mode(Repo, readwrite),
    ?assertEqual(ok, ?PORT:write_row(Repo, row(1), ?LONG)),
    ?assertEqual({ok, row(1)}, ?PORT:read_row(Repo, ?LONG)),
    Sparse = (row(2))#{hostname := undefined, term := undefined,
                       started_at := undefined, version := undefined},
    ?assertEqual(ok, ?PORT:write_row(Repo, Sparse, ?LONG)),
    ?assertEqual({ok, Sparse}, ?PORT:read_row(Repo, ?LONG)),
    ok = ?PORT:close(Repo),
    ?assertEqual({ok, Sparse}, ?PORT:read_row(Repo, ?LONG)),
    ?assertEqual([], ?LOG:lines()),
    ok = stop(Server).

mode_is_of_the_requests_after_it(Config) ->
    {Repo, Server} = start(Config),
    ?assertMatch({error, {read_only, 0, _}},
                 ?PORT:write_row(Repo, row(1), ?LONG)),
    Pid = ?PROGRAM:pid(Server),
    ok = ?PORT:mode(Repo, readwrite),
    ok = ?PORT:write_row(Repo, row(1), ?LONG),
    ok = ?PORT:mode(Repo, query_only),
    ?assertMatch({error, {read_only, 0, _}},
                 ?PORT:write_row(Repo, row(2), ?LONG)),
    ?assertEqual({ok, row(1)}, ?PORT:read_row(Repo, ?LONG)),
    ?assertEqual(Pid, ?PROGRAM:pid(Server)),
    ok = stop(Server).

%% 1.0's own statements, before and after ours.
row_of_1_0(Config) ->
    Other = ?config(other, Config),
    {Repo, Server} = start(Config),
    ok = sql(Other, "CREATE TABLE IF NOT EXISTS " ?TABLE " ("
             "id INTEGER PRIMARY KEY CHECK (id = 1), "
             "node_name TEXT NOT NULL, updated_at INTEGER NOT NULL)"),
    ok = sql(Other, "INSERT OR REPLACE INTO " ?TABLE
             " (id, node_name, updated_at) VALUES (1, 'old@host', 5)"),
    Old = #{node => <<"old@host">>, updated_at => 5, hostname => undefined,
            term => undefined, started_at => undefined, version => undefined},
    ?assertEqual({ok, Old}, ?PORT:read_row(Repo, ?LONG)),
    ok = ?PORT:mode(Repo, readwrite),
    ok = ?PORT:write_row(Repo, row(1), ?LONG),
    ?assertEqual({ok, row(1)}, ?PORT:read_row(Repo, ?LONG)),
    ?assertEqual([{<<"app1@10.0.0.1">>}],
                 rows(Other, "SELECT node_name FROM " ?TABLE " WHERE id = 1")),
    ok = sql(Other, "INSERT OR REPLACE INTO " ?TABLE
             " (id, node_name, updated_at) VALUES (1, 'old@host', 5)"),
    ?assertEqual({ok, Old}, ?PORT:read_row(Repo, ?LONG)),
    ok = stop(Server).

%% -- databases that are none -------------------------------------------------

missing(Config) ->
    Path = <<(?config(path, Config))/binary, "2">>,
    {Repo, Server} = start(Config, #{database => Path}),
    ?assertMatch({error, {missing, 0, _}}, ?PORT:read_row(Repo, ?LONG)),
    ?assertNot(filelib:is_file(Path)),
    {ok, _} = file:copy(?config(path, Config), Path),
    ?assertEqual({ok, none}, ?PORT:read_row(Repo, ?LONG)),
    ok = stop(Server).

not_a_database(Config) ->
    Path = <<(?config(path, Config))/binary, "2">>,
    ok = file:write_file(Path, binary:copy(<<"x">>, 4096)),
    {Repo, Server} = start(Config, #{database => Path}),
    [?assertMatch({error, {not_a_database, 26, _}}, Ask(Repo))
     || Mode <- [query_only, readwrite], ok <- [?PORT:mode(Repo, Mode)],
        Ask <- asks()],
    ok = stop(Server).

directory(Config) ->
    Path = list_to_binary(?config(directory, Config)),
    {Repo, Server} = start(Config, #{database => Path}),
    [?assertMatch({error, {not_a_file, 0, _}}, Ask(Repo)) || Ask <- asks()],
    ok = stop(Server).

%% Its callers know in time, and the program stays.
locked(Config) ->
    Other = ?config(other, Config),
    {Repo, Server} = start(Config),
    ok = ?PORT:mode(Repo, readwrite),
    ok = ?PORT:write_row(Repo, row(1), ?LONG),
    ok = sql(Other, "BEGIN EXCLUSIVE"),
    ok = said_busy(Server, fun() -> ?PORT:write_row(Repo, row(2), 400) end),
    ok = sql(Other, "COMMIT"),
    ok = ?PORT:write_row(Repo, row(2), ?LONG),
    %% without a WAL nobody can read either, nor open it
    ok = ?PORT:close(Repo),
    Pid = ?PROGRAM:pid(Server),
    ?WAIT:until([], fun() -> ?PROGRAM:descriptors(Pid) end),
    [{<<"delete">>}] = rows(Other, "PRAGMA journal_mode = delete"),
    ok = sql(Other, "BEGIN EXCLUSIVE"),
    ok = said_busy(Server, fun() -> ?PORT:read_row(Repo, 400) end),
    ok = sql(Other, "COMMIT"),
    ?assertEqual({ok, row(2)}, ?PORT:read_row(Repo, ?LONG)),
    ok = stop(Server).

%% By the program, 100 ms before the deadline of 400. A machine that stands
%% still for that long makes a timeout of it, and that of the program its last;
%% so it is asked again, but not for ever.
said_busy(Server, Ask) ->
    ?WAIT:until({busy, 5, early, same_program, []}, fun() ->
        Pid = ?PROGRAM:pid(Server),
        {Time, Answer} = timer:tc(Ask),
        said(Answer, Time < 350_000, ?PROGRAM:pid(Server) =:= Pid)
    end).

said({error, {Code, Extended, _Text}}, true, true) ->
    {Code, Extended, early, same_program, ?LOG:lines()};
said(Answer, IsEarly, IsSameProgram) ->
    {Answer, IsEarly, IsSameProgram, ?LOG:lines()}.

%% -- a program that hangs ----------------------------------------------------

%% It costs the caller its deadline; the one behind it is answered by the next
%% program.
replaced_at_the_deadline(Config) ->
    {Repo, Server, Pid} = start_stopped(Config),
    {Ref, Time} = async(fun() -> timer:tc(?PORT, read_row, [Repo, 200]) end),
    {Behind, _} = async(fun() -> ?PORT:read_row(Repo, ?LONG) end),
    {Took, Result} = await(Ref),
    ?assertEqual({error, timeout}, Result),
    ?assert(Took >= 200_000 andalso Took < 2_000_000),
    ?assert(is_pid(Time)),
    ?assertEqual({ok, row(1)}, await(Behind)),
    ?assertNot(?PROGRAM:is_alive(Pid)),
    ?assertNotEqual(Pid, ?PROGRAM:pid(Server)),
    [{warning, Line}] = ?LOG:lines(),
    ?assertMatch({match, _}, re:run(Line, "did not answer in time")),
    ok = stop(Server).

%% It may be in its COMMIT, where a kill is more than LiteFS survives: SIGTERM,
%% after which it does what it has begun. Those who come meanwhile wait.
hung_in_a_write(Config) ->
    {Repo, Server, Pid} = start_stopped(Config),
    ?assertEqual({error, timeout}, ?PORT:write_row(Repo, row(2), 300)),
    ok = ?WAIT:until(true, fun() -> is_pending(?SIGTERM, Pid) end),
    ?assertEqual({error, timeout}, ?PORT:read_row(Repo, 300)),
    ?assertEqual(Pid, ?PROGRAM:pid(Server)),
    ?assert(?PROGRAM:is_alive(Pid)),
    true = ?PROGRAM:signal(?config(killer, Config), "CONT", Pid),
    {ok, Row} = ?PORT:read_row(Repo, ?LONG),
    ?assert(lists:member(Row, [row(1), row(2)])),
    ?assertNotEqual(Pid, ?PROGRAM:pid(Server)),
    ?assertMatch([_], ?LOG:lines()),
    ok = stop(Server).

%% Whether this signal has been sent to the process, which is stopped.
is_pending(Signal, Pid) ->
    {ok, Status} = file:read_file(lists:concat(["/proc/", Pid, "/status"])),
    {match, [Mask]} = re:run(Status, "ShdPnd:\\s*([0-9a-f]+)",
                             [{capture, all_but_first, binary}]),
    binary_to_integer(Mask, 16) band (1 bsl (Signal - 1)) =/= 0.

%% Whoever waits behind the one that hangs waits no longer than it said.
expired_in_the_queue(Config) ->
    {Repo, Server, Pid} = start_stopped(Config),
    {Ref, _} = async(fun() -> ?PORT:read_row(Repo, ?LONG) end),
    until_asked(Server),
    ?assertEqual({error, timeout}, ?PORT:read_row(Repo, 100)),
    ?assertEqual({error, timeout}, ?PORT:read_row(Repo, 0)),
    ?assertEqual(Pid, ?PROGRAM:pid(Server)),
    true = ?PROGRAM:signal(?config(killer, Config), "CONT", Pid),
    ?assertEqual({ok, row(1)}, await(Ref)),
    ?assertEqual([], ?LOG:lines()),
    ok = stop(Server).

%% Where even SIGKILL does not help, there is one process and no more. Here
%% nobody sends it: the process that starts all others for the VM is stopped.
hung_for_longer_than_anybody_waits(Config) ->
    {Repo, Server, Pid} = start_stopped(Config),
    Killer = ?config(killer, Config),
    [Setup] = ?PROGRAM:parent(Pid),
    true = ?PROGRAM:signal(Killer, "STOP", Setup),
    try
        [?assertEqual({error, timeout}, ?PORT:read_row(Repo, 50))
         || _ <- lists:seq(1, 5)],
        ?assertEqual(Pid, ?PROGRAM:pid(Server))
    after
        true = ?PROGRAM:signal(Killer, "CONT", Setup)
    end,
    ?assertEqual({ok, row(1)}, ?PORT:read_row(Repo, ?LONG)),
    ?assertMatch([_], ?LOG:lines()),
    ok = stop(Server).

%% -- a program that dies -----------------------------------------------------

-define(SERVERS, 20).
-define(KILLS, 80).          % of each server; five of eight certainly during it

%% Some seconds, and minutes where six others want the same two cores.
killed_during_each_request() -> [{timetrap, {minutes, 5}}].

killed_during_each_request(Config) ->
    Started = erlang:monotonic_time(second),
    Refs = [begin
                {Ref, _} = async(fun() -> kill_often(N, Config) end),
                Ref
            end || N <- lists:seq(1, ?SERVERS)],
    Counts = [await(Ref) || Ref <- Refs],
    Seconds = erlang:monotonic_time(second) - Started,
    [Killed, Done] = [lists:sum([maps:get(What, Each) || Each <- Counts])
                      || What <- [killed, done]],
    ct:pal("~b requests killed in the program, ~b done before, in ~b s",
           [Killed, Done, Seconds]),
    ?assertEqual(?SERVERS * ?KILLS, Killed + Done),
    ?assert(Killed >= 1000),
    %% one a second and server at most, or they would hide everything else
    ?assert(length(?LOG:lines()) =< ?SERVERS * (Seconds + 2)).

kill_often(N, Config) ->
    Directory = filename:join(?config(directory, Config), integer_to_list(N)),
    ok = filelib:ensure_path(Directory),
    ecto_litefs_test_kills:run(
      #{repo => list_to_atom("Elixir.PortSuite.Kill" ++ integer_to_list(N)),
        database => filename:join(Directory, "db"), journal_mode => wal,
        kinds => ecto_litefs_test_kills:kinds(), first => N, count => ?KILLS,
        spin_us => 400}).

killed_while_idle(Config) ->
    end_while_idle("KILL", "was killed", Config).

terminated_while_idle(Config) ->
    end_while_idle("TERM", "was asked to end", Config).

end_while_idle(Signal, Said, Config) ->
    {Repo, Server} = start(Config),
    {ok, none} = ?PORT:read_row(Repo, ?LONG),
    Pid = ?PROGRAM:pid(Server),
    true = ?PROGRAM:signal(?config(killer, Config), Signal, Pid),
    ?WAIT:until(none, fun() -> ?PROGRAM:pid(Server) end),
    ?assertEqual({ok, none}, ?PORT:read_row(Repo, ?LONG)),
    [{warning, Line}] = ?LOG:lines(),
    ?assertMatch({match, _}, re:run(Line, Said)),
    ok = stop(Server).

%% Also while it waits for a lock: in order, so that the lock's holder never
%% sees half a write.
ends_with_its_server(Config) ->
    Other = ?config(other, Config),
    {Repo, Server} = start(Config),
    ok = ?PORT:mode(Repo, readwrite),
    ok = ?PORT:write_row(Repo, row(1), ?LONG),
    Pid = ?PROGRAM:pid(Server),
    ok = sql(Other, "BEGIN EXCLUSIVE"),
    {Ref, _} = async(fun() -> ?PORT:write_row(Repo, row(2), ?LONG) end),
    until_asked(Server),
    ok = stop(Server),
    ?assertEqual({error, closed}, await(Ref)),
    ?WAIT:until(false, fun() -> ?PROGRAM:is_alive(Pid) end),
    ok = sql(Other, "COMMIT"),
    ?assertEqual([{<<"app1@10.0.0.1">>}],
                 rows(Other, "SELECT node_name FROM " ?TABLE)),
    ?assertEqual({error, closed}, ?PORT:read_row(Repo, ?LONG)).

server_killed(Config) ->
    {Repo, Server} = start(Config),
    {ok, none} = ?PORT:read_row(Repo, ?LONG),
    Pid = ?PROGRAM:pid(Server),
    true = unlink(Server),
    true = exit(Server, kill),
    ?WAIT:until(false, fun() -> ?PROGRAM:is_alive(Pid) end),
    {Repo, Again} = start(Config),
    ?assertEqual({ok, none}, ?PORT:read_row(Repo, ?LONG)),
    ok = stop(Again).

%% -- close -------------------------------------------------------------------

close_lets_go(Config) ->
    {Repo, Server} = start(Config),
    ok = ?PORT:close(Repo), % there is nothing to close
    ?assertEqual(none, ?PROGRAM:pid(Server)),
    {ok, none} = ?PORT:read_row(Repo, ?LONG),
    Pid = ?PROGRAM:pid(Server),
    Path = binary_to_list(?config(path, Config)),
    ?assert(lists:member(Path, ?PROGRAM:descriptors(Pid))),
    ok = ?PORT:close(Repo),
    ok = ?PORT:close(Repo),
    ?WAIT:until([], fun() -> ?PROGRAM:descriptors(Pid) end),
    ?assertEqual({ok, none}, ?PORT:read_row(Repo, ?LONG)),
    ?assertEqual(Pid, ?PROGRAM:pid(Server)),
    ok = stop(Server).

%% What runs may end, and what waits behind the close opens it again.
close_while_a_request_runs(Config) ->
    Other = ?config(other, Config),
    {Repo, Server} = start(Config),
    ok = ?PORT:mode(Repo, readwrite),
    ok = ?PORT:write_row(Repo, row(1), ?LONG),
    Pid = ?PROGRAM:pid(Server),
    ok = sql(Other, "BEGIN EXCLUSIVE"),
    {Ref, _} = async(fun() -> ?PORT:write_row(Repo, row(2), ?LONG) end),
    until_asked(Server),
    ok = ?PORT:close(Repo),
    {Behind, _} = async(fun() -> ?PORT:read_row(Repo, ?LONG) end),
    ok = sql(Other, "COMMIT"),
    ?assertEqual(ok, await(Ref)),
    ?assertEqual({ok, row(2)}, await(Behind)),
    ?assertEqual(Pid, ?PROGRAM:pid(Server)),
    ok = stop(Server).

close_while_the_program_hangs(Config) ->
    {Repo, Server, Pid} = start_stopped(Config),
    {Ref, _} = async(fun() -> ?PORT:read_row(Repo, ?LONG) end),
    until_asked(Server),
    ok = ?PORT:close(Repo),
    {Behind, _} = async(fun() -> ?PORT:read_row(Repo, ?LONG) end),
    ?assertEqual({error, closed}, await(Ref)),
    ?assertEqual({ok, row(1)}, await(Behind)),
    ?assertNot(?PROGRAM:is_alive(Pid)),
    ok = stop(Server).

%% After an error that an old file gives as well, the next request opens the
%% one that is there now.
file_of_another_mount(Config) ->
    Path = <<(?config(path, Config))/binary, "2">>,
    {ok, Other} = ?SQLITE:open(#{database => Path, journal_mode => delete}),
    ok = sql(Other, "CREATE TABLE items (name TEXT)"),
    ok = ?SQLITE:close(Other),
    {ok, Sound} = file:read_file(Path),
    {Repo, Server} = start(Config, #{database => Path}),
    {ok, none} = ?PORT:read_row(Repo, ?LONG),
    ok = file:write_file(Path, binary:copy(<<"x">>, byte_size(Sound))),
    ?assertMatch({error, {not_a_database, _, _}}, ?PORT:read_row(Repo, ?LONG)),
    ok = file:delete(Path),
    ok = file:write_file(Path, Sound),
    ?assertEqual({ok, none}, ?PORT:read_row(Repo, ?LONG)),
    ok = stop(Server).

%% -- where the database is ---------------------------------------------------

database_of_the_repo(Config) ->
    Repo = ?config(repo, Config),
    {Repo, Server} = start(Config, #{database => undefined}),
    ?assertEqual({error, no_database}, ?PORT:read_row(Repo, ?LONG)),
    ?assertEqual(none, ?PROGRAM:pid(Server)),
    load_repo(Repo, io_lib:format("[{database, ~p}]", [?config(path, Config)])),
    ?assertEqual({ok, none}, ?PORT:read_row(Repo, ?LONG)),
    %% it is asked again when it is opened again
    load_repo(Repo, "exit(kill)"),
    ?assertEqual({ok, none}, ?PORT:read_row(Repo, ?LONG)),
    ok = ?PORT:close(Repo),
    ?assertEqual({error, no_database}, ?PORT:read_row(Repo, ?LONG)),
    ok = stop(Server),
    ok = ecto_litefs_test_build:unload(Repo).

config_that_hangs(Config) ->
    Repo = ?config(repo, Config),
    {Repo, Server} = start(Config, #{database => undefined}),
    load_repo(Repo, "receive after infinity -> [] end"),
    ?assertEqual({error, timeout}, ?PORT:read_row(Repo, 100)),
    load_repo(Repo, io_lib:format("[{database, ~p}]", [?config(path, Config)])),
    ?assertEqual({ok, none}, ?PORT:read_row(Repo, ?LONG)),
    ok = stop(Server),
    ok = ecto_litefs_test_build:unload(Repo).

load_repo(Repo, Result) ->
    Lines = ["-export([config/0]).", ["config() -> ", Result, "."]],
    ok = ecto_litefs_test_build:load(
           Repo, ecto_litefs_test_build:of_lines(
                   Repo, [lists:flatten(Line) || Line <- Lines])).

not_tracked(Config) ->
    Repo = ?config(repo, Config),
    Options = (config(Repo, ?config(path, Config)))#{tracking := false},
    ?assertEqual(ignore, ?PORT:start_link(Options)),
    ok = ?PORT:close(Repo),
    ok = ?PORT:mode(Repo, readwrite),
    ?assertEqual({error, closed}, ?PORT:read_row(Repo, ?LONG)),
    ?assertEqual({error, closed}, ?PORT:write_row(Repo, row(1), ?LONG)).

%% -- other programs ----------------------------------------------------------

no_program(Config) ->
    Ebin = ?PROGRAM:install(?config(directory, Config), none),
    unavailable(Ebin, "no_executable", Config).

no_library(Config) ->
    Ebin = ?PROGRAM:install(?config(directory, Config), "exit 127"),
    unavailable(Ebin, "libsqlite3-0", Config).

%% Everybody is told at once, and it works as soon as it is there.
unavailable(Ebin, Said, Config) ->
    {Repo, Server} = start(Config),
    [?assertEqual({error, unavailable}, Ask(Repo))
     || _ <- lists:seq(1, 20), Ask <- asks()],
    [{notice, Line}] = ?LOG:lines(),
    ?assertMatch({match, _}, re:run(Line, Said)),
    ok = ?PROGRAM:uninstall(Ebin),
    ?WAIT:until({ok, none}, fun() -> ?PORT:read_row(Repo, ?LONG) end),
    ?assertEqual([], ?LOG:lines()),
    ok = stop(Server).

%% What it reads is nothing to it: the size of a packet and the packet are what
%% it prints. The VM does not mind, nor does the next caller.
program_that_misbehaves(Config) ->
    [begin
         {Repo, Server} = start(Config),
         Ebin = ?PROGRAM:install(?config(directory, Config), Script),
         Got = try ?PORT:read_row(Repo, patience(Reason))
               after ok = ?PROGRAM:uninstall(Ebin)
               end,
         ?assertEqual({Script, {error, Reason}}, {Script, Got}),
         ?WAIT:until({ok, none}, fun() -> ?PORT:read_row(Repo, ?LONG) end),
         ok = stop(Server)
     end || {Reason, Script} <- misbehaviours()].

patience(timeout) -> 300;
patience(_Sooner) -> ?LONG.

misbehaviours() ->
    Hang = "; exec sleep 60",
    Read = "head -c 4 >/dev/null; ", % or it may be gone before it is asked
    Opened = print("\\203h\\2a\\0w\\2ok"), % {0, ok}
    [{bad_reply, print("rubbish") ++ Hang},
     {bad_reply, print("") ++ Hang},
     {bad_reply, print("\\203h\\2a\\377w\\2ok") ++ Hang}, % {255, ok}
     {bad_reply, "exec yes 2>/dev/null"},
     {bad_reply, print("rubbish") ++ "; sleep 3"}, % a process of its own
     {bad_reply, "printf '\\377\\377\\377\\377'" ++ Hang},
     {timeout, "printf '\\0\\1\\0\\0'" ++ Hang},
     {timeout, "printf '\\0'" ++ Hang},
     {timeout, "exec sleep 60"},
     {timeout, "trap '' TERM HUP INT; exec sleep 60"},
     {timeout, "exec >&-; exec sleep 60"},
     {timeout, "exec <&-; exec sleep 60"},
     {timeout, Opened ++ Hang},
     {{exited, lost}, Read ++ "exec <&-; " ++ Opened ++ Hang},
     {{exited, ended}, Read ++ "exit 0"},
     {{exited, bad_packet}, Read ++ "exit 201"},
     {{exited, {status, 99}}, Read ++ "exit 99"},
     {{exited, {signal, 11}}, Read ++ "kill -SEGV $$"}].

print(Bytes) ->
    Size = length(re:replace(Bytes, "\\\\[0-9]+", "x",
                             [global, {return, list}])),
    lists:flatten(io_lib:format("printf '\\0\\0\\0\\~.8b~s'", [Size, Bytes])).

%% The next one is not started at once, and ever later.
program_that_dies_at_once(Config) ->
    Directory = ?config(directory, Config),
    Count = filename:join(Directory, "count"),
    Ebin = ?PROGRAM:install(Directory, "echo x >>" ++ Count
                             ++ "; head -c 4 >/dev/null; exit 99"),
    {Repo, Server} = start(Config),
    End = erlang:monotonic_time(millisecond) + 1000,
    Asked = ask_until(End, Repo, 0),
    ok = ?PROGRAM:uninstall(Ebin),
    {ok, Lines} = file:read_file(Count),
    ?assertEqual(2 * Asked, byte_size(Lines)),
    ?assert(Asked =< 6), % at 0, 50, 150, 350, 750 ms
    ?assertEqual({ok, none}, ?PORT:read_row(Repo, ?LONG)),
    ok = stop(Server).

ask_until(End, Repo, Count) ->
    case erlang:monotonic_time(millisecond) < End of
        true ->
            ?assertEqual({error, {exited, {status, 99}}},
                         ?PORT:read_row(Repo, ?LONG)),
            ask_until(End, Repo, Count + 1);
        false ->
            Count
    end.

%% -- small things ------------------------------------------------------------

start(Config) ->
    start(Config, #{}).

start(Config, Options) ->
    Repo = ?config(repo, Config),
    {ok, Server} = ?PORT:start_link(
                     maps:merge(config(Repo, ?config(path, Config)), Options)),
    {Repo, Server}.

config(Repo, Path) ->
    (ecto_litefs_config:defaults())#{repo => Repo, database := Path}.

%% With row 1, and a program that has been stopped.
start_stopped(Config) ->
    {Repo, Server} = start(Config),
    ok = ?PORT:mode(Repo, readwrite),
    ok = ?PORT:write_row(Repo, row(1), ?LONG),
    Pid = ?PROGRAM:pid(Server),
    true = ?PROGRAM:signal(?config(killer, Config), "STOP", Pid),
    {Repo, Server, Pid}.

stop(Server) ->
    true = unlink(Server),
    gen_server:stop(Server).

row(N) ->
    ecto_litefs_test_kills:row(N).

asks() ->
    [fun(Repo) -> ?PORT:read_row(Repo, ?LONG) end,
     fun(Repo) -> ?PORT:write_row(Repo, row(1), ?LONG) end].

async(Fun) ->
    Self = self(),
    Ref = make_ref(),
    Pid = spawn_link(fun() -> Self ! {Ref, Fun()} end),
    {Ref, Pid}.

await(Ref) ->
    receive {Ref, Result} -> Result end. % or the time trap's

until_asked(Server) ->
    ecto_litefs_test_kills:until_asked(Server).

sql(Connection, Sql) ->
    case ?SQLITE:execute(Connection, Sql, []) of
        ok -> ok;
        {rowid, _} -> ok
    end.

rows(Connection, Sql) ->
    [_, {rows, Rows}] = ?SQLITE:execute(Connection, Sql, []),
    Rows.
