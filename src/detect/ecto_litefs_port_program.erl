%% The port program as a process of the system: when the next one may be
%% started, how it is sent something, how it ends. No function waits for it, and
%% only find/0 for a file.
%%
%% At most one exists: one that was killed is waited for, because a system call
%% into a LiteFS that hangs outlives even SIGKILL, and the next program would
%% hang there too.
-module(ecto_litefs_port_program).

-export([find/0]).
-export([new/1]).
-export([status/1]).
-export([start/2]).
-export([send/2]).
-export([good/1]).
-export([kill/2]).
-export([stop/2]).
-export([event/2]).
-export([close/1]).

-export_type([t/0]).
-export_type([exit_name/0]).
-export_type([gone/0]).

%% The codes of docs/PROTOCOL.md. lost: it is gone, and nobody knows how.
-type exit_name() ::
        ended | usage | bad_packet | cut_packet | input | output | system
      | killed | lost | {signal, 1..64} | {status, 1..255}.

-type gone() :: unavailable | {exited, exit_name()}.

-record(program,
        {repo :: module(),
         port = none :: none | port(),
         os_pid :: non_neg_integer() | undefined,
         unread = <<>> :: binary(),            % the beginning of a packet
         proven = false :: boolean(),          % it has answered something
         dying = false :: boolean(),
         missing = false :: boolean(),         % the last one did not start
         start_at :: integer(),                % not before; monotonic ms
         wait_ms :: pos_integer(),             % after the next one's end
         reported = ecto_litefs_port_report:new()
             :: ecto_litefs_port_report:t()}).

-opaque t() :: #program{}.

-define(PACKET_MAX, 65_536).
-define(WAIT_MS, 50).
-define(WAIT_MAX_MS, 1_000).
-define(MISSING_MAX_MS, 60_000). % what is not installed will hardly come
-define(KILL_AGAIN_MS, 1_000).
-define(STOP_MS, 30_000).        % then it is killed

%% Where it is. Asks the system for files, so it may take its time.
-spec find() -> {ok, file:filename()} | {error, term()}.
find() ->
    case code:priv_dir(ecto_litefs) of
        {error, bad_name} -> {error, no_priv_folder};
        Dir -> executable(filename:join(Dir, "ecto_litefs_port"))
    end.

executable(Name) ->
    File = filename:absname(Name),
    case os:find_executable(File) of
        false -> {error, {no_executable, File}};
        _Found -> {ok, File}
    end.

-spec new(module()) -> t().
new(Repo) ->
    #program{repo = Repo, start_at = now_ms(), wait_ms = ?WAIT_MS}.

%% {none, Wait}: start/2 may be called in so many milliseconds. missing: that
%% would be in vain.
-spec status(t()) -> running | dying | missing | {none, integer()}.
status(#program{dying = true}) ->
    dying;
status(#program{port = none, missing = Missing, start_at = StartAt}) ->
    case StartAt - now_ms() of
        Wait when Wait > 0, Missing -> missing;
        Wait -> {none, Wait}
    end;
status(#program{}) ->
    running.

%% The calling process has its messages, for event/2. open_port/2 is not called
%% for what find/0 has not found: each time it would leave a descriptor open
%% (OTP 25).
-spec start({ok, file:filename()} | {error, term()}, t()) ->
          {ok | unavailable, t()}.
start({error, Why}, #program{port = none} = Program) ->
    {unavailable, not_started(Why, Program)};
start({ok, File}, #program{port = none} = Program) ->
    try open_port({spawn_executable, File}, [stream, binary, exit_status]) of
        Port ->
            {ok, Program#program{port = Port, os_pid = os_pid(Port),
                                 unread = <<>>, proven = false}}
    catch
        error:Why -> % emfile, enomem, ...
            {unavailable, not_started(Why, Program)}
    end.

os_pid(Port) ->
    case erlang:port_info(Port, os_pid) of
        {os_pid, Pid} -> Pid;
        undefined -> undefined % it has ended, and we shall hear of it
    end.

%% What the program does not take it does not answer either: then the
%% request's deadline ends it.
-spec send(binary(), t()) -> ok.
send(Packet, #program{port = Port}) ->
    Framed = [<<(byte_size(Packet)):32>>, Packet],
    _ = try port_command(Port, Framed, [nosuspend])
        catch error:badarg -> false
        end,
    ok.

%% It has done what it is there for.
-spec good(t()) -> t().
good(Program) ->
    Program#program{wait_ms = ?WAIT_MS}.

%% SIGKILL. The port stays open, so that its owner hears of the end.
-spec kill(ecto_litefs_port_report:cause(), t()) -> t().
kill(Cause, #program{port = Port, os_pid = Pid, dying = false} = Program)
  when Port =/= none ->
    ok = kill(Pid),
    report(Cause, Program#program{dying = true});
kill(_Cause, Program) ->
    Program.

%% SIGTERM: it ends in order, when the system call returns that it is in. For one
%% that may be in a COMMIT: LiteFS v0.5.14 ships what SQLite has not entered into
%% the WAL's index, and afterwards its replicas exit (e2e/README.md).
-spec stop(ecto_litefs_port_report:cause(), t()) -> t().
stop(Cause, #program{port = Port, os_pid = Pid, dying = false} = Program)
  when Port =/= none ->
    ok = signal("TERM", ?STOP_MS, Pid),
    report(Cause, Program#program{dying = true});
stop(_Cause, Program) ->
    Program.

kill(Pid) ->
    signal("KILL", ?KILL_AGAIN_MS, Pid).

%% From a process that nobody waits for. SIGKILL, again, after a while: the system
%% may have had no process left for it. The number is not another process's so
%% soon: the system goes round all of them first.
signal(_Signal, _KillMs, undefined) ->
    ok;
signal(Signal, KillMs, Pid) ->
    Self = self(),
    Command = lists:concat(["kill -", Signal, " ", Pid, " 2>&1 || echo none"]),
    _ = spawn(fun() -> Self ! {?MODULE, Pid, os:cmd(Command)} end),
    _ = erlang:start_timer(KillMs, self(), {kill, Pid}),
    ok.

%% What a message of the owner's mailbox means.
-spec event(term(), t()) ->
          {packet, binary(), t()} | {part, t()} | too_much
        | {gone, gone(), t()} | nothing.
event({Port, {data, Data}}, #program{port = Port, dying = false,
                                     unread = Unread} = Program) ->
    unframed(<<Unread/binary, Data/binary>>, Program);
event({Port, {exit_status, 127}}, #program{port = Port, proven = false,
                                           dying = false} = Program) ->
    %% the dynamic linker's
    {gone, unavailable, not_started(no_library, Program)};
event({Port, {exit_status, Status}}, #program{port = Port} = Program) ->
    gone(name(Status), Program);
event({'EXIT', Port, Reason}, #program{port = Port, os_pid = Pid} = Program) ->
    ok = kill(Pid), % of its end we shall not hear any more
    lost(Reason, Program);
event({timeout, _Timer, {kill, Pid}}, #program{os_pid = Pid, dying = true}) ->
    ok = kill(Pid),
    nothing;
event({?MODULE, Pid, Said}, #program{os_pid = Pid, dying = true} = Program)
  when Said =/= "" ->
    ok = close(Program), % it is no more; something else holds its output open
    gone(lost, Program);
event(_Late, _Program) ->
    nothing.

%% What {packet, 4} would do; but that believes any size, and gives a program
%% gone mad that much memory. There is one reply at a time, and nothing else.
unframed(<<Size:32, Packet:Size/binary>>, Program)
  when Size =< ?PACKET_MAX ->
    {packet, Packet,
     Program#program{unread = <<>>, proven = true, missing = false}};
unframed(<<Size:32, Part/binary>>, _Program)
  when Size > ?PACKET_MAX; byte_size(Part) > Size ->
    too_much;
unframed(Part, Program) ->
    {part, Program#program{unread = Part}}.

%% Its input ends, and it ends by itself.
-spec close(t()) -> ok.
close(#program{port = none}) ->
    ok;
close(#program{port = Port}) ->
    _ = try port_close(Port) catch error:badarg -> true end,
    ok.

%% One that did not live to read its first request was not really started.
lost(Reason, #program{proven = false, dying = false} = Program) ->
    {gone, unavailable, not_started(Reason, Program)};
lost(_Reason, Program) ->
    gone(lost, Program).

gone(Name, #program{dying = true} = Program) ->
    {gone, {exited, Name}, ended(?WAIT_MAX_MS, Program)}; % why was said before
gone(Name, Program) ->
    {gone, {exited, Name},
     report({exited, Name}, ended(?WAIT_MAX_MS, Program))}.

ended(Max, #program{wait_ms = Wait} = Program) ->
    Program#program{port = none, os_pid = undefined, dying = false,
                    start_at = now_ms() + Wait, wait_ms = min(2 * Wait, Max)}.

report(Cause, #program{repo = Repo, reported = Reported} = Program) ->
    Program#program{
      reported = ecto_litefs_port_report:replaced(Repo, Cause, Reported)}.

not_started(Why, #program{repo = Repo, reported = Reported} = Program) ->
    Ended = ended(?MISSING_MAX_MS, Program),
    Ended#program{
      missing = true,
      reported = ecto_litefs_port_report:unavailable(Repo, Why, Reported)}.

name(0) -> ended;
name(137) -> killed;
name(200) -> usage;
name(201) -> bad_packet;
name(202) -> cut_packet;
name(203) -> input;
name(204) -> output;
name(205) -> system;
name(Status) when Status > 128, Status =< 192 -> {signal, Status - 128};
name(Status) -> {status, Status}.

now_ms() ->
    erlang:monotonic_time(millisecond).
