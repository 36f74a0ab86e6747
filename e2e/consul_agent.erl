%% A real Consul in development mode on loopback ports of its own, in the
%% place of consul_stub where the environment variable CONSUL names it.
-module(consul_agent).
-behaviour(gen_server).

-export([start/1]).
-export([stop/1]).
-export([open_door/2]).

-export([init/1]).
-export([handle_call/3]).
-export([handle_cast/2]).
-export([handle_info/2]).

-record(state, {process :: port(), http :: inet:port_number(),
                waiting = none :: gen_server:from() | none}).

%% Returns when Consul has a leader, which is itself.
-spec start(file:filename()) -> {ok, pid()}.
start(LogDir) ->
    {ok, Agent} = gen_server:start(?MODULE, LogDir, []),
    Port = gen_server:call(Agent, http),
    true = e2e_wait:until("Consul has a leader", 30000, fun() ->
        has_leader(Port)
    end),
    {ok, Agent}.

-spec stop(pid()) -> ok.
stop(Agent) ->
    ok = gen_server:call(Agent, stop, 20000),
    gen_server:stop(Agent).

%% All nodes use the same one: cutting off one of them needs the stub.
-spec open_door(pid(), term()) -> string().
open_door(Agent, _Door) ->
    lists:concat(["http://127.0.0.1:", gen_server:call(Agent, http)]).

has_leader(Port) ->
    case gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {active, false}]) of
        {ok, Socket} ->
            ok = gen_tcp:send(Socket, "GET /v1/status/leader HTTP/1.0\r\n\r\n"),
            Answer = read_all(Socket, <<>>),
            nomatch =/= binary:match(Answer, <<"\r\n\r\n\"127.0.0.1:">>);
        {error, econnrefused} ->
            false
    end.

read_all(Socket, Read) ->
    case gen_tcp:recv(Socket, 0, 2000) of
        {ok, More} -> read_all(Socket, <<Read/binary, More/binary>>);
        {error, _Closed} -> gen_tcp:close(Socket), Read
    end.

-spec init(file:filename()) -> {ok, #state{}}.
init(LogDir) ->
    [Http, Server, Lan, Wan] = litefs_node:free_ports(4),
    Log = filename:join(LogDir, "consul.log"),
    Ports = ["-http-port", Http, "-server-port", Server,
             "-serf-lan-port", Lan, "-serf-wan-port", Wan,
             "-dns-port", -1, "-grpc-port", -1, "-grpc-tls-port", -1],
    Args = ["agent", "-dev", "-bind", "127.0.0.1", "-client", "127.0.0.1"
            | [lists:concat([Part]) || Part <- Ports]],
    Process = open_port({spawn_executable, "/bin/sh"},
                        [{args, ["-c", guard(), "consul", Log,
                                 os:getenv("CONSUL") | Args]},
                         exit_status, binary]),
    {ok, #state{process = Process, http = Http}}.

%% Consul ends when its guard's input does: at stop/1, or with this VM.
guard() ->
    "log=$1; shift; exec 3<&0 2>/dev/null\n"
    "\"$@\" >>\"$log\" 2>&1 </dev/null 3<&- & consul=$!\n"
    "(read _ <&3; kill -KILL $consul) >/dev/null & guard=$!\n"
    "wait $consul; status=$?; kill $guard; exit $status\n".

-spec handle_call(http | stop, gen_server:from(), #state{}) ->
          {reply, term(), #state{}} | {noreply, #state{}}.
handle_call(http, _From, State = #state{http = Http}) ->
    {reply, Http, State};
handle_call(stop, From, State = #state{process = Process}) ->
    true = port_command(Process, "\n"),
    {noreply, State#state{waiting = From}}.

-spec handle_cast(none(), #state{}) -> no_return().
handle_cast(Message, _State) ->
    error({unexpected_cast, Message}).

-spec handle_info({port(), {exit_status, non_neg_integer()}}, #state{}) ->
          {noreply, #state{}} | {stop, term(), #state{}}.
handle_info({Process, {exit_status, Status}},
            State = #state{process = Process, waiting = none}) ->
    {stop, {consul_exited, Status}, State};
handle_info({Process, {exit_status, _Killed}},
            State = #state{process = Process, waiting = From}) ->
    ok = gen_server:reply(From, ok),
    {noreply, State}.
