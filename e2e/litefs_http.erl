%% A LiteFS node's HTTP API as a test sees it: what it says of itself, the
%% order to take over, and a watcher that notes when each event came.
-module(litefs_http).

-export([info/1]).
-export([promote/1]).
-export([watch/1]).
-export([unwatch/1]).
-export([primary_since/2]).
-export([demoted_since/2]).
-export([events/1]).

-export_type([info/0]).
-export_type([watcher/0]).

-type info() :: #{primary := boolean(), hostname := binary()}.
-opaque watcher() :: {pid(), ets:tid()}.

-define(TIMEOUT, 2000).

%% GET /info. The hostname is the primary's, <<>> where none is known.
-spec info(inet:port_number()) -> {ok, info()} | {error, term()}.
info(Port) ->
    case request(Port, "GET /info") of
        {ok, 200, Body} ->
            {ok, #{primary => is_primary(Body), hostname => hostname(Body)}};
        {ok, Status, _Body} ->
            {error, {status, Status}};
        {error, Reason} ->
            {error, Reason}
    end.

%% POST /promote: 200 says that the order was accepted, not that it is done.
-spec promote(inet:port_number()) -> ok | {error, term()}.
promote(Port) ->
    case request(Port, "POST /promote") of
        {ok, 200, _Body} -> ok;
        {ok, Status, Body} -> {error, {status, Status, Body}};
        {error, Reason} -> {error, Reason}
    end.

%% LiteFS may end at any point of it.
request(Port, Line) ->
    case gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {active, false}],
                         ?TIMEOUT) of
        {ok, Socket} ->
            Answer = exchange(Socket, [Line, " HTTP/1.0\r\n\r\n"]),
            gen_tcp:close(Socket),
            Answer;
        {error, Reason} ->
            {error, Reason}
    end.

exchange(Socket, Request) ->
    case gen_tcp:send(Socket, Request) of
        ok -> read_all(Socket, <<>>);
        {error, Reason} -> {error, Reason}
    end.

read_all(Socket, Read) ->
    case gen_tcp:recv(Socket, 0, ?TIMEOUT) of
        {ok, More} -> read_all(Socket, <<Read/binary, More/binary>>);
        {error, closed} when Read =/= <<>> -> parse(Read);
        {error, Reason} -> {error, Reason}
    end.

parse(<<"HTTP/1.", _, " ", Status:3/binary, Rest/binary>>) ->
    case binary:split(Rest, <<"\r\n\r\n">>) of
        [_Header, Body] -> {ok, binary_to_integer(Status), Body};
        [_Part] -> {error, closed}
    end;
parse(_Part) ->
    {error, closed}.

is_primary(Json) ->
    match =:= re:run(Json, "\"isPrimary\": ?true", [{capture, none}]).

hostname(Json) ->
    Pattern = "\"hostname\": ?\"([^\"]*)\"",
    case re:run(Json, Pattern, [{capture, [1], binary}]) of
        {match, [Hostname]} -> Hostname;
        nomatch -> <<>>
    end.

%% Follows /events, also through restarts, until unwatch/1.
-spec watch(inet:port_number()) -> watcher().
watch(Port) ->
    Table = ets:new(?MODULE, [public, ordered_set]),
    Pid = spawn(fun() -> follow(Port, Table) end),
    {Pid, Table}.

-spec unwatch(watcher()) -> ok.
unwatch({Pid, Table}) ->
    exit(Pid, kill),
    true = ets:delete(Table),
    ok.

%% When (e2e_wait:us/0) this node first said after Since that it is primary.
-spec primary_since(watcher(), integer()) -> {ok, integer()} | none.
primary_since(Watcher, Since) ->
    case [At || {At, Line} <- events(Watcher), At >= Since,
                is_primary(Line)] of
        [First | _] -> {ok, First};
        [] -> none
    end.

%% When it first said after Since that it is not.
-spec demoted_since(watcher(), integer()) -> {ok, integer()} | none.
demoted_since(Watcher, Since) ->
    case [At || {At, Line} <- events(Watcher), At >= Since,
                match =:= re:run(Line, "\"isPrimary\": ?false",
                                 [{capture, none}])] of
        [First | _] -> {ok, First};
        [] -> none
    end.

-spec events(watcher()) -> [{integer(), binary()}].
events({_Pid, Table}) ->
    [{At, Line} || {{At, _N}, Line} <- ets:tab2list(Table)].

follow(Port, Table) ->
    Options = [binary, {active, false}, {packet, line}, {buffer, 65536}],
    case gen_tcp:connect({127, 0, 0, 1}, Port, Options, ?TIMEOUT) of
        {ok, Socket} ->
            _Ended = gen_tcp:send(Socket, "GET /events HTTP/1.0\r\n\r\n"),
            read_events(Socket, Table),
            gen_tcp:close(Socket);
        {error, _NotUp} ->
            ok
    end,
    timer:sleep(20),
    follow(Port, Table).

%% HTTP/1.0 has no chunks: after the header every line is an event.
read_events(Socket, Table) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, Line = <<"{", _/binary>>} ->
            Key = {e2e_wait:us(), erlang:unique_integer([monotonic])},
            true = ets:insert(Table, {Key, Line}),
            read_events(Socket, Table);
        {ok, _HeaderLine} ->
            read_events(Socket, Table);
        {error, _Closed} ->
            ok
    end.
