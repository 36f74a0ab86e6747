%% One LiteFS process of a test: its directories, its port, its signals.
%%
%% The process runs under a shell that kills it when this VM goes away, and
%% signals go only to the pid that this server started. A killed LiteFS leaves
%% a dead mount behind: unmount/1 takes every layer of it away.
-module(litefs_node).
-behaviour(gen_server).

-export([available/0]).
-export([new/1]).
-export([start/1]).
-export([stop/1]).
-export([kill/1]).
-export([freeze/1]).
-export([thaw/1]).
-export([unmount/1]).
-export([destroy/1]).
-export([mount_dir/1]).
-export([port/1]).
-export([running/1]).
-export([last_exit/1]).
-export([layers/1]).
-export([free_ports/1]).

-export([init/1]).
-export([handle_call/3]).
-export([handle_cast/2]).
-export([handle_info/2]).
-export([terminate/2]).

-export_type([options/0]).
-export_type([exit_status/0]).

-type options() ::
        #{name := string(),             % lease.hostname
          dir := file:filename(),       % private; made, and removed at the end
          log := file:filename(),
          consul_url := string(),
          ttl := string(),              % Go's notation: "2s"
          lock_delay := string(),
          reconnect_delay := string()}.
-type exit_status() :: non_neg_integer().

-record(state, {options :: options(),
                port :: inet:port_number(),
                process = none :: port() | none,
                os_pid = none :: pos_integer() | none,
                last_exit = none :: exit_status() | none,
                waiting = [] :: [gen_server:from()]}).

-define(PORTS, 12000). % from 20000 on

%% The environment variable LITEFS names the binary that is run.
-spec available() -> {ok, file:filename()} | {error, string()}.
available() ->
    Path = os:getenv("LITEFS", ""),
    case {filelib:is_regular(Path), os:find_executable("fusermount3")} of
        {false, _} -> {error, "the variable LITEFS names no LiteFS binary"};
        {true, false} -> {error, "fusermount3 is missing"};
        {true, _Helper} -> {ok, Path}
    end.

%% Makes the directories and finds a port; LiteFS does not run yet. Not
%% linked, because init_per_* and the case are different processes.
-spec new(options()) -> pid().
new(Options) ->
    {ok, Node} = gen_server:start(?MODULE, Options, []),
    Node.

%% Returns when /info answers, or with how LiteFS ended before it did.
-spec start(pid()) -> ok | {error, {exited, exit_status()}}.
start(Node) ->
    ok = gen_server:call(Node, start),
    Port = port(Node),
    e2e_wait:until("LiteFS answers GET /info", 20000, fun() ->
        case {running(Node), litefs_http:info(Port)} of
            {false, _} -> {ok, {error, {exited, wait_exit(Node)}}};
            {true, {ok, _Info}} -> {ok, ok};
            {true, {error, _NotYet}} -> false
        end
    end).

%% SIGTERM, the clean way. The status is not 0 where the mount was busy.
-spec stop(pid()) -> exit_status().
stop(Node) ->
    ok = gen_server:call(Node, {signal, "TERM"}),
    wait_exit(Node).

-spec kill(pid()) -> exit_status().
kill(Node) ->
    ok = gen_server:call(Node, {signal, "KILL"}),
    wait_exit(Node).

-spec freeze(pid()) -> ok.
freeze(Node) ->
    ok = gen_server:call(Node, {signal, "STOP"}),
    e2e_wait:stopped(integer_to_list(os_pid(Node))).

-spec thaw(pid()) -> ok.
thaw(Node) ->
    gen_server:call(Node, {signal, "CONT"}).

%% Takes away what a dead LiteFS left mounted, layer by layer.
-spec unmount(pid()) -> ok.
unmount(Node) ->
    false = running(Node),
    unmount_dir(mount_dir(Node)).

%% Ends LiteFS however it is, unmounts and removes the directories.
-spec destroy(pid()) -> ok.
destroy(Node) ->
    running(Node) andalso kill(Node),
    ok = unmount(Node),
    gen_server:stop(Node).

-spec mount_dir(pid()) -> file:filename().
mount_dir(Node) ->
    #{dir := Dir} = gen_server:call(Node, options),
    filename:join(Dir, "mnt").

-spec port(pid()) -> inet:port_number().
port(Node) ->
    gen_server:call(Node, port).

-spec running(pid()) -> boolean().
running(Node) ->
    is_integer(os_pid(Node)).

os_pid(Node) ->
    gen_server:call(Node, os_pid).

%% How it ended the last time.
-spec last_exit(pid()) -> exit_status() | none.
last_exit(Node) ->
    gen_server:call(Node, last_exit).

%% How many file systems are mounted on the directory, one above the other.
-spec layers(file:filename()) -> non_neg_integer().
layers(Dir) ->
    {ok, Info} = file:read_file("/proc/self/mountinfo"),
    Mounts = [lists:nth(5, string:lexemes(Line, " "))
              || Line <- string:lexemes(Info, "\n")],
    length([M || M <- Mounts, M =:= list_to_binary(Dir)]).

wait_exit(Node) ->
    gen_server:call(Node, wait_exit, 20000).

unmount_dir(Dir) ->
    case layers(Dir) of
        0 ->
            ok;
        Layers ->
            Said = os:cmd("fusermount3 -uz '" ++ Dir ++ "' 2>&1"),
            layers(Dir) < Layers orelse error({still_mounted, Dir, Said}),
            unmount_dir(Dir)
    end.

%%% The server.

-spec init(options()) -> {ok, #state{}}.
init(Options = #{dir := Dir}) ->
    process_flag(trap_exit, true),
    ok = filelib:ensure_dir(filename:join([Dir, "mnt", "x"])),
    ok = filelib:ensure_dir(filename:join([Dir, "data", "x"])),
    Port = free_port(),
    ok = file:write_file(filename:join(Dir, "litefs.yml"),
                         yaml(Options, Port)),
    {ok, #state{options = Options, port = Port}}.

-spec handle_call(term(), gen_server:from(), #state{}) ->
          {reply, term(), #state{}} | {noreply, #state{}}.
handle_call(start, _From, State = #state{process = none}) ->
    {reply, ok, start_process(State)};
handle_call({signal, Signal}, _From, State = #state{os_pid = Pid})
  when is_integer(Pid) ->
    "" = os:cmd(lists:concat(["kill -", Signal, " ", Pid])),
    {reply, ok, State};
handle_call(wait_exit, _From, State = #state{process = none}) ->
    {reply, State#state.last_exit, State};
handle_call(wait_exit, From, State = #state{waiting = Waiting}) ->
    {noreply, State#state{waiting = [From | Waiting]}};
handle_call(options, _From, State) ->
    {reply, State#state.options, State};
handle_call(port, _From, State) ->
    {reply, State#state.port, State};
handle_call(last_exit, _From, State) ->
    {reply, State#state.last_exit, State};
handle_call(os_pid, _From, State) ->
    {reply, State#state.os_pid, State}.

-spec handle_cast(none(), #state{}) -> no_return().
handle_cast(Message, _State) ->
    error({unexpected_cast, Message}).

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info({Process, {exit_status, Status}},
            State = #state{process = Process, waiting = Waiting}) ->
    _ = [gen_server:reply(From, Status) || From <- Waiting],
    {noreply, State#state{process = none, os_pid = none, last_exit = Status,
                          waiting = []}};
handle_info({'EXIT', Process, _Reason}, State) when is_port(Process) ->
    {noreply, State}.

%% Never through a live mount: that would delete the database in it.
-spec terminate(term(), #state{}) -> ok.
terminate(_Reason, #state{options = #{dir := Dir}, process = none}) ->
    Mount = filename:join(Dir, "mnt"),
    0 = layers(Mount),
    ok = file:del_dir_r(Dir);
terminate(_Reason, _Running) ->
    ok.

start_process(State = #state{options = #{dir := Dir, log := Log}}) ->
    Mount = filename:join(Dir, "mnt"),
    Config = filename:join(Dir, "litefs.yml"),
    Args = ["-c", guard(), "litefs", Log, Mount, binary_path(), "mount",
            "-config", Config],
    Process = open_port({spawn_executable, "/bin/sh"},
                        [{args, Args}, exit_status, {line, 32}, binary]),
    receive
        {Process, {data, {eol, Pid}}} ->
            State#state{process = Process, os_pid = binary_to_integer(Pid)}
    end.

%% Its input ends when this VM does; then it takes LiteFS with it.
guard() ->
    "log=$1 mount=$2; shift 2; exec 3<&0 2>/dev/null\n"
    "\"$@\" >>\"$log\" 2>&1 </dev/null 3<&- & litefs=$!\n"
    "echo $litefs\n"
    "(read _ <&3; kill -KILL $litefs; fusermount3 -uz \"$mount\")"
    " >/dev/null 2>&1 & guard=$!\n"
    "wait $litefs; status=$?\n"
    "kill $guard 2>/dev/null\n"
    "exit $status\n".

binary_path() ->
    {ok, Path} = available(),
    Path.

yaml(#{name := Name, dir := Dir, consul_url := Url, ttl := Ttl,
       lock_delay := LockDelay, reconnect_delay := ReconnectDelay}, Port) ->
    Address = lists:concat(["127.0.0.1:", Port]),
    ["fuse: {dir: \"", Dir, "/mnt\"}\n"
     "data: {dir: \"", Dir, "/data\"}\n"
     "http: {addr: \"", Address, "\"}\n"
     "log: {timestamp: true}\n"
     "tracing: {enabled: false}\n"
     "lease:\n"
     "  type: consul\n"
     "  candidate: true\n"
     "  hostname: \"", Name, "\"\n"
     "  advertise-url: \"http://", Address, "\"\n"
     "  reconnect-delay: \"", ReconnectDelay, "\"\n"
     "  consul: {url: \"", Url, "\", key: \"ecto_litefs/primary\","
     " ttl: \"", Ttl, "\", lock-delay: \"", LockDelay, "\"}\n"].

%% So many different ones.
-spec free_ports(non_neg_integer()) -> [inet:port_number()].
free_ports(Count) ->
    Ports = lists:usort([free_port() || _ <- lists:seq(1, Count)]),
    case length(Ports) of
        Count -> Ports;
        _Fewer -> free_ports(Count)
    end.

%% Below the range that the kernel gives to outgoing connections, or a
%% restarted LiteFS could find its port taken by one; and never the same one
%% twice, because nobody listens on it yet.
free_port() ->
    Port = 20000 + (first_port() + atomics:add_get(port_counter(), 1, 1))
        rem ?PORTS,
    case gen_tcp:listen(Port, [{ip, {127, 0, 0, 1}}]) of
        {ok, Socket} -> ok = gen_tcp:close(Socket), Port;
        {error, eaddrinuse} -> free_port()
    end.

first_port() ->
    erlang:phash2({node(), os:getpid()}, ?PORTS).

%% Of this VM.
port_counter() ->
    case persistent_term:get(?MODULE, none) of
        none ->
            persistent_term:put(?MODULE, atomics:new(1, [])),
            port_counter();
        Counter ->
            Counter
    end.
