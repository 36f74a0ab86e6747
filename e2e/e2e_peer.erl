%% One BEAM node of a test: OTP's peer, and its operating-system process.
%%
%% The test talks to it through a TCP connection, which goes on when its
%% distribution is cut. (Standard output would wait: it shares the VM's one
%% async thread with SQLite.) A frozen peer does not notice that this VM goes
%% away, so a shell waits for that and kills it; another one, its parent, writes
%% down how it ended.
-module(e2e_peer).
-behaviour(gen_server).

-export([start/4]).
-export([current/1]).
-export([restart/1]).
-export([call/5]).
-export([erlang_node/1]).
-export([os_pid/1]).
-export([freeze/1]).
-export([thaw/1]).
-export([kill/1]).
-export([await_end/1]).
-export([exit_status/1]).

-export([init/1]).
-export([handle_call/3]).
-export([handle_cast/2]).
-export([handle_info/2]).

-export_type([peer/0]).

-record(peer, {server :: pid(), control :: pid(), node :: node(),
               os_pid :: string(), status_file :: file:filename()}).
-opaque peer() :: #peer{}.

%% Not linked to the process of the test, which may die of a timetrap. The file
%% is for its exit status.
-spec start(string(), string(), [string()], file:filename()) -> peer().
start(Name, Host, Args, StatusFile) ->
    {ok, Server} = gen_server:start(?MODULE, {Name, Host, Args, StatusFile},
                                    [{timeout, 30000}]),
    gen_server:call(Server, peer).

%% After a restart it is another VM.
-spec current(peer()) -> peer().
current(#peer{server = Server}) ->
    gen_server:call(Server, peer, 30000).

%% SIGKILL, and a new VM of the same name, on which nothing runs.
-spec restart(peer()) -> ok.
restart(#peer{server = Server} = Peer) ->
    ok = gen_server:call(Server, kill),
    ok = await_end(Peer),
    gen_server:call(Server, start, 30000).

%% On the peer, in a process of its own.
-spec call(peer(), module(), atom(), [term()], timeout()) -> term().
call(#peer{control = Control}, Module, Function, Args, Timeout) ->
    peer:call(Control, Module, Function, Args, Timeout).

-spec erlang_node(peer()) -> node().
erlang_node(#peer{node = Node}) ->
    Node.

-spec os_pid(peer()) -> string().
os_pid(#peer{os_pid = OsPid}) ->
    OsPid.

-spec freeze(peer()) -> ok.
freeze(#peer{os_pid = OsPid}) ->
    "" = os:cmd("kill -STOP " ++ OsPid),
    e2e_wait:stopped(OsPid).

-spec thaw(peer()) -> ok.
thaw(#peer{os_pid = OsPid}) ->
    "" = os:cmd("kill -CONT " ++ OsPid),
    ok.

%% Does not wait for its end: a VM with a file open on a LiteFS that is frozen
%% ends after that LiteFS.
-spec kill(peer()) -> ok.
kill(#peer{server = Server}) ->
    gen_server:stop(Server).

-spec await_end(peer()) -> ok.
await_end(#peer{control = Control, os_pid = OsPid}) ->
    true = e2e_wait:until("the peer's VM has ended", fun() ->
        ended("/proc/" ++ OsPid) andalso not is_process_alive(Control)
    end),
    ok.

%% Its last thread is a zombie, or gone: the machine's first process may take
%% two seconds to notice.
ended(Dir) ->
    Task = filename:join(Dir, "task"),
    case {file:list_dir(Task), file:read_file(filename:join(Dir, "stat"))} of
        {{ok, [_Last]}, {ok, Stat}} ->
            match =:= re:run(Stat, "^.*\\) Z ", [{capture, none}]);
        {{ok, [_, _ | _]}, _Stat} ->
            false;
        {_Tasks, _Stat} ->
            true
    end.

%% Of its VM, as a shell tells it: 128 and more is a signal.
-spec exit_status(peer()) -> running | non_neg_integer().
exit_status(#peer{control = Control, status_file = File}) ->
    case is_process_alive(Control) of
        true ->
            running;
        false ->
            e2e_wait:until("the shell has written the VM's exit status", fun() ->
                case file:read_file(File) of
                    {ok, Status} when Status =/= <<>> ->
                        {ok, binary_to_integer(string:trim(Status))};
                    NotYet ->
                        NotYet
                end
            end)
    end.

%%% The server owns the reaper, whose input ends with the server.

-type args() :: {string(), string(), [string()], file:filename()}.
-type server() :: {peer(), Reaper :: port(), args()}.

-spec init(args()) -> {ok, server()}.
init(Args) ->
    {ok, boot(Args)}.

boot({Name, Host, Args, StatusFile} = Given) ->
    _ = file:delete(StatusFile),
    Parent = ["-c", parent(), "parent", StatusFile, os:find_executable("erl")],
    {ok, Control, Node} =
        peer:start(#{name => Name, host => Host, longnames => true,
                     connection => {{127, 0, 0, 1}, 0}, args => Args,
                     exec => {"/bin/sh", Parent}, wait_boot => 20000}),
    OsPid = peer:call(Control, os, getpid, []),
    Reaper = open_port({spawn_executable, "/bin/sh"},
                       [{args, ["-c", "read _; kill -KILL $1 2>&-", "reaper",
                                OsPid]}]),
    {#peer{server = self(), control = Control, node = Node, os_pid = OsPid,
           status_file = StatusFile}, Reaper, Given}.

%% With a TCP connection peer starts a VM by -detached, which is then nobody's
%% child.
parent() ->
    "status=$1; shift\n"
    "for arg; do\n"
    "    shift; [ \"$arg\" != -detached ] || arg=-noinput\n"
    "    set -- \"$@\" \"$arg\"\n"
    "done\n"
    "\"$@\" </dev/null >/dev/null 2>&1\n"
    "echo $? >\"$status\"\n".

-spec handle_call(peer | kill | start, gen_server:from(), server()) ->
          {reply, peer() | ok, server()}.
handle_call(peer, _From, State = {Peer, _Reaper, _Args}) ->
    {reply, Peer, State};
handle_call(kill, _From, State = {_Peer, Reaper, _Args}) ->
    true = port_close(Reaper),
    {reply, ok, State};
handle_call(start, _From, {_Peer, _Reaper, Args}) ->
    {reply, ok, boot(Args)}.

-spec handle_cast(none(), server()) -> no_return().
handle_cast(Message, _State) ->
    error({unexpected_cast, Message}).

-spec handle_info(none(), server()) -> no_return().
handle_info(Message, _State) ->
    error({unexpected_message, Message}).
