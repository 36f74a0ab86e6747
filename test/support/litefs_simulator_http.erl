%% The HTTP side of litefs_simulator: GET /events (an endless chunked body),
%% GET /info and POST /promote, over HTTP/1.1 with kept connections.
%%
%% All connections are linked to the server process, so stopping it breaks
%% them off in mid-body, as a stopped LiteFS does.
-module(litefs_simulator_http).

-export([start/3]).
-export([stop/1]).
-export([port/1]).
-export([pid/1]).

-export_type([server/0]).

-opaque server() :: {pid(), inet:port_number()}.

%% Port `undefined`: the system chooses one. Linked to the caller.
-spec start(pid(), binary(), inet:port_number() | undefined) -> server().
start(Sim, Name, Port) ->
    Options = [binary, {packet, http_bin}, {active, false}, {reuseaddr, true},
               {nodelay, true}, {ip, {127, 0, 0, 1}}, {backlog, 64}],
    Wanted = case Port of undefined -> 0; _ -> Port end,
    {ok, Listener} = gen_tcp:listen(Wanted, Options),
    {ok, Actual} = inet:port(Listener),
    Id = io_lib:format("~16.16.0B", [rand:uniform(1 bsl 63)]),
    Pid = spawn_link(fun() ->
                             process_flag(trap_exit, true),
                             serve(Listener, {Sim, Name, Id})
                     end),
    ok = gen_tcp:controlling_process(Listener, Pid),
    {Pid, Actual}.

-spec stop(server()) -> ok.
stop({Pid, _}) ->
    Monitor = monitor(process, Pid),
    unlink(Pid),
    exit(Pid, shutdown),
    receive {'DOWN', Monitor, process, Pid, _} -> ok end.

-spec port(server()) -> inet:port_number().
port({_, Port}) -> Port.

-spec pid(server()) -> pid().
pid({Pid, _}) -> Pid.

%% The acceptor is a process of its own, so that the server can always be told
%% to stop; it and every connection end with the server.
serve(Listener, Context) ->
    Self = self(),
    Acceptor = spawn_link(fun() -> accept(Listener, Self) end),
    supervise(Listener, Acceptor, Context, #{}).

supervise(Listener, Acceptor, Context, Connections) ->
    receive
        {accepted, Socket} ->
            Pid = spawn_link(fun() -> receive go -> connection(Socket, Context) end end),
            ok = hand_over(Socket, Pid),
            supervise(Listener, Acceptor, Context, Connections#{Pid => true});
        {'EXIT', Pid, _} when is_map_key(Pid, Connections) ->
            supervise(Listener, Acceptor, Context, maps:remove(Pid, Connections));
        {'EXIT', _Parent, Reason} ->
            end_all([Acceptor | maps:keys(Connections)]),
            exit(Reason)
    end.

%% A client may be gone already; then its process finds a closed socket.
hand_over(Socket, Pid) ->
    _ = gen_tcp:controlling_process(Socket, Pid),
    Pid ! go,
    ok.

end_all(Pids) ->
    Monitors = [monitor(process, Pid) || Pid <- Pids],
    [exit(Pid, kill) || Pid <- Pids],
    [receive {'DOWN', Monitor, _, _, _} -> ok end || Monitor <- Monitors],
    ok.

accept(Listener, Server) ->
    {ok, Socket} = gen_tcp:accept(Listener),
    ok = gen_tcp:controlling_process(Socket, Server),
    Server ! {accepted, Socket},
    accept(Listener, Server).

connection(Socket, Context) ->
    case request(Socket) of
        {'GET', <<"/events">>} -> events(Socket, Context);
        {Method, Path} ->
            ok = answer(Socket, Context, Method, Path),
            connection(Socket, Context);
        closed -> ok
    end.

request(Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, {http_request, Method, {abs_path, Path}, _}} ->
            skip_headers(Socket),
            {Method, Path};
        {error, _} ->
            closed
    end.

%% No request that we serve has a body.
skip_headers(Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, http_eoh} -> ok;
        {ok, {http_header, _, _, _, _}} -> skip_headers(Socket);
        {error, _} -> ok
    end.

answer(Socket, {Sim, Name, _} = Context, 'GET', <<"/info">>) ->
    reply(Socket, Context, "200 OK", litefs_simulator:info(Sim, Name));
answer(Socket, {Sim, Name, _} = Context, 'POST', <<"/promote">>) ->
    case litefs_simulator:promote(Sim, Name) of
        ok -> reply(Socket, Context, "200 OK", "");
        {error, no_primary} ->
            reply(Socket, Context, "500 Internal Server Error", "no primary\n")
    end;
answer(Socket, Context, _, _) ->
    reply(Socket, Context, "404 Not Found", "not found\n").

%% Header and body in one write: two would cost 40 ms (Nagle).
reply(Socket, {_, _, Id}, Status, Body) ->
    _ = gen_tcp:send(Socket, ["HTTP/1.1 ", Status, "\r\nLitefs-Id: ", Id,
                              "\r\nContent-Length: ",
                              integer_to_list(iolist_size(Body)),
                              "\r\n\r\n", Body]),
    ok.

events(Socket, {Sim, Name, Id}) ->
    ok = gen_tcp:send(Socket, ["HTTP/1.1 200 OK\r\nLitefs-Id: ", Id,
                               "\r\nContent-Type: application/json"
                               "\r\nTransfer-Encoding: chunked\r\n\r\n"]),
    ok = litefs_simulator:subscribe(Sim, Name),
    ok = inet:setopts(Socket, [{active, true}, {packet, raw}]),
    stream(Socket).

stream(Socket) ->
    receive
        {litefs_event, Line} ->
            Size = integer_to_list(iolist_size(Line), 16),
            case gen_tcp:send(Socket, [Size, "\r\n", Line, "\r\n"]) of
                ok -> stream(Socket);
                {error, _} -> ok
            end;
        {tcp_closed, Socket} -> ok;
        {tcp_error, Socket, _} -> ok;
        {tcp, Socket, _} -> stream(Socket)
    end.
