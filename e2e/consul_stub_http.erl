%% The HTTP half of consul_stub: one listening socket a door, one process a
%% connection. Header and body leave in one write: in two, Nagle's algorithm
%% would add 40 ms to every call.
-module(consul_stub_http).

-export([listen/2]).

%% Linked to the caller: the door closes when the stub ends.
-spec listen(pid(), term()) -> inet:port_number().
listen(Stub, Door) ->
    {ok, Listen} = gen_tcp:listen(0, [binary, {packet, http_bin},
                                      {active, false}, {ip, {127, 0, 0, 1}},
                                      {reuseaddr, true}, {backlog, 64},
                                      {nodelay, true}]),
    {ok, Port} = inet:port(Listen),
    Acceptor = spawn_link(fun() -> accept(Listen, Stub, Door) end),
    ok = gen_tcp:controlling_process(Listen, Acceptor),
    Port.

accept(Listen, Stub, Door) ->
    {ok, Socket} = gen_tcp:accept(Listen),
    Pid = spawn_link(fun() -> receive go -> client(Socket, Stub, Door) end end),
    ok = gen_tcp:controlling_process(Socket, Pid),
    Pid ! go,
    accept(Listen, Stub, Door).

%% Until it leaves, which a LiteFS that is killed may do at any point.
client(Socket, Stub, Door) ->
    try
        serve(Socket, Stub, Door)
    catch
        throw:client_left -> gen_tcp:close(Socket)
    end.

serve(Socket, Stub, Door) ->
    {http_request, Method, {abs_path, Target}, _Version} = recv(Socket, 0),
    Length = headers(Socket, 0),
    Body = body(Socket, Length),
    {Path, Query} = split(Target),
    Request = {request, Door, Method, Path, Query, Body},
    answer(Socket, gen_server:call(Stub, Request, infinity)),
    serve(Socket, Stub, Door).

recv(Socket, Length) ->
    case gen_tcp:recv(Socket, Length) of
        {ok, Received} -> Received;
        {error, Reason} when Reason =:= closed; Reason =:= econnreset ->
            throw(client_left)
    end.

set(Socket, Option) ->
    case inet:setopts(Socket, [Option]) of
        ok -> ok;
        {error, einval} -> throw(client_left)
    end.

headers(Socket, Length) ->
    case recv(Socket, 0) of
        {http_header, _, 'Content-Length', _, Value} ->
            headers(Socket, binary_to_integer(Value));
        {http_header, _, _, _, _} ->
            headers(Socket, Length);
        http_eoh ->
            Length
    end.

body(_Socket, 0) ->
    <<>>;
body(Socket, Length) ->
    ok = set(Socket, {packet, raw}),
    Body = recv(Socket, Length),
    ok = set(Socket, {packet, http_bin}),
    Body.

split(Target) ->
    [<<"/v1/", Path/binary>> | Query] = binary:split(Target, <<"?">>),
    Pairs = [binary:split(P, <<"=">>)
             || Q <- Query, P <- binary:split(Q, <<"&">>, [global])],
    {binary:split(Path, <<"/">>, [global]),
     maps:from_list([{K, iolist_to_binary(V)} || [K | V] <- Pairs])}.

answer(Socket, {Status, Body}) ->
    Length = integer_to_binary(iolist_size(Body)),
    %% The client may have left meanwhile; the next recv/2 sees that.
    _ = gen_tcp:send(Socket,
                     [<<"HTTP/1.1 ">>, integer_to_binary(Status),
                      <<" X\r\nContent-Type: application/json\r\n"
                        "Content-Length: ">>, Length, <<"\r\n\r\n">>, Body]),
    ok.
