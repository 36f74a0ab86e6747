%% A TCP proxy on loopback, from a client to one port, that cuts at a given
%% byte. A cut lets nothing more pass, in neither direction: both sides see
%% the end of their connection, and what they still send is dropped. (The
%% sockets are only shut: closing one that holds unread bytes resets it, and
%% a reset might overtake the bytes before the cut.)
%%
%%   {ok, Proxy} = ecto_litefs_test_proxy:start(TargetPort),
%%   Cut = ecto_litefs_test_proxy:cut(Proxy, to_target, 10),
%%   ... % a client connects to port(Proxy) and sends 11 bytes: 10 arrive
%%   ok = ecto_litefs_test_proxy:await(Cut).
-module(ecto_litefs_test_proxy).

-behaviour(gen_server).

-export([start/1]).
-export([stop/1]).
-export([port/1]).
-export([target/2]).
-export([count/2]).
-export([linked/1]).
-export([cut/1]).
-export([cut/3]).
-export([await/1]).
-export([block/1]).
-export([stall/2]).
-export([heal/1]).

-export([init/1]).
-export([handle_call/3]).
-export([handle_cast/2]).
-export([handle_info/2]).

-export_type([direction/0]).

-type direction() :: to_target | to_client.

-define(LOOPBACK, {127, 0, 0, 1}).
-define(OPTIONS, [binary, {ip, ?LOOPBACK}, {active, false}, {nodelay, true}]).
-define(NOTHING, #{to_target => 0, to_client => 0}).
-define(TIMEOUT, 60000).

-spec start(inet:port_number()) -> {ok, pid()}.
start(TargetPort) ->
    gen_server:start(?MODULE, TargetPort, []).

-spec stop(pid()) -> ok.
stop(Proxy) ->
    gen_server:stop(Proxy).

-spec port(pid()) -> inet:port_number().
port(Proxy) ->
    gen_server:call(Proxy, port).

%% Where the next connections go: a node that starts again has another port.
-spec target(pid(), inet:port_number()) -> ok.
target(Proxy, Port) ->
    gen_server:call(Proxy, {target, Port}).

%% Bytes that have passed on the newest connection.
-spec count(pid(), direction()) -> non_neg_integer().
count(Proxy, Direction) ->
    gen_server:call(Proxy, {count, Direction}).

%% Whether a connection stands: after a cut, a new one.
-spec linked(pid()) -> boolean().
linked(Proxy) ->
    gen_server:call(Proxy, linked).

%% Now.
-spec cut(pid()) -> ok.
cut(Proxy) ->
    gen_server:call(Proxy, cut).

%% When Offset more bytes have passed in this direction; with 0, as soon as
%% there is one that would. In the place of any cut that was armed before.
-spec cut(pid(), direction(), non_neg_integer()) -> reference().
cut(Proxy, Direction, Offset) ->
    gen_server:call(Proxy, {arm, Direction, Offset}).

%% Until the cut has happened. By the process that armed it.
-spec await(reference()) -> ok.
await(Cut) ->
    receive {Cut, cut} -> ok
    after ?TIMEOUT -> error(not_cut)
    end.

%% From now on a new connection is closed at once. One that is there stays.
-spec block(pid()) -> ok.
block(Proxy) ->
    gen_server:call(Proxy, block).

%% A silent partition: the connections stay, and what is sent in this direction
%% waits here, as it would wait to be sent again.
-spec stall(pid(), direction()) -> ok.
stall(Proxy, Direction) ->
    gen_server:call(Proxy, {stall, Direction}).

%% Neither blocked nor stalled any more.
-spec heal(pid()) -> ok.
heal(Proxy) ->
    gen_server:call(Proxy, heal).

%%% The process

%% links: each socket with the other one of its connection, and the direction
%% of what comes from it. stalled: what waits in a direction, newest first.
init(Target) ->
    {ok, Listener} = gen_tcp:listen(0, ?OPTIONS),
    Proxy = self(),
    spawn_link(fun() -> accept(Listener, Proxy) end),
    {ok, #{listener => Listener, target => Target, links => #{},
           counts => ?NOTHING, armed => none, blocked => false,
           stalled => #{}}}.

accept(Listener, Proxy) ->
    case gen_tcp:accept(Listener) of
        {ok, Client} ->
            ok = gen_tcp:controlling_process(Client, Proxy),
            Proxy ! {accepted, Client},
            accept(Listener, Proxy);
        {error, closed} ->
            ok % the proxy was stopped
    end.

handle_call(port, _From, #{listener := Listener} = State) ->
    {ok, Port} = inet:port(Listener),
    {reply, Port, State};
handle_call({target, Port}, _From, State) ->
    {reply, ok, State#{target := Port}};
handle_call({count, Direction}, _From, #{counts := Counts} = State) ->
    {reply, maps:get(Direction, Counts), State};
handle_call(linked, _From, #{links := Links} = State) ->
    {reply, Links =/= #{}, State};
handle_call(cut, _From, State) ->
    {reply, ok, shut(State)};
handle_call({arm, Direction, Offset}, {Pid, _}, State) ->
    Cut = make_ref(),
    {reply, Cut, State#{armed := {Direction, Offset, Pid, Cut}}};
handle_call(block, _From, State) ->
    {reply, ok, State#{blocked := true}};
handle_call({stall, Direction}, _From, #{stalled := Stalled} = State) ->
    {reply, ok, State#{stalled := maps:merge(#{Direction => []}, Stalled)}};
handle_call(heal, _From, #{stalled := Stalled} = State) ->
    Waiting = lists:append([lists:reverse(All) || All <- maps:values(Stalled)]),
    {reply, ok, lists:foldl(fun received/2,
                            State#{blocked := false, stalled := #{}}, Waiting)}.

handle_cast(_Message, State) ->
    {noreply, State}.

handle_info({accepted, Client}, #{blocked := true} = State) ->
    ok = gen_tcp:close(Client),
    {noreply, State};
handle_info({accepted, Client}, #{target := Port} = State) ->
    case gen_tcp:connect(?LOOPBACK, Port, ?OPTIONS) of
        {ok, Target} -> {noreply, connected(Client, Target, State)};
        {error, _} -> ok = gen_tcp:close(Client), {noreply, State}
    end;
handle_info({tcp, Socket, Data}, State) ->
    {noreply, received({Socket, Data}, State)};
handle_info({tcp_closed, Socket}, State) ->
    {noreply, closed(Socket, State)};
handle_info({tcp_error, _Socket, _Reason}, State) ->
    {noreply, State}. % tcp_closed follows

connected(Client, Target, #{links := Links} = State) ->
    [_ = inet:setopts(Socket, [{active, true}]) || Socket <- [Client, Target]],
    State#{links := Links#{Client => {Target, to_target},
                           Target => {Client, to_client}},
           counts := ?NOTHING}.

received({Socket, Data}, #{links := Links, stalled := Stalled} = State) ->
    case Links of
        #{Socket := {_, Direction}} when is_map_key(Direction, Stalled) ->
            Waiting = [{Socket, Data} | maps:get(Direction, Stalled)],
            State#{stalled := Stalled#{Direction := Waiting}};
        #{Socket := {Other, Direction}} ->
            pass(Direction, Other, Data, State);
        #{} ->
            State % it was cut
    end.

pass(Direction, Other, Data, #{armed := {Direction, Left, Pid, Cut}} = State)
  when byte_size(Data) >= Left ->
    State1 = shut(send(Direction, Other, binary:part(Data, 0, Left), State)),
    Pid ! {Cut, cut},
    State1#{armed := none};
pass(Direction, Other, Data, #{armed := {Direction, Left, Pid, Cut}} = State) ->
    send(Direction, Other, Data,
         State#{armed := {Direction, Left - byte_size(Data), Pid, Cut}});
pass(Direction, Other, Data, State) ->
    send(Direction, Other, Data, State).

send(Direction, Other, Data, #{counts := Counts} = State) ->
    _ = gen_tcp:send(Other, Data), % it may have closed meanwhile
    Count = maps:get(Direction, Counts) + byte_size(Data),
    State#{counts := Counts#{Direction := Count}}.

shut(#{links := Links} = State) ->
    [_ = gen_tcp:shutdown(Socket, write) || Socket <- maps:keys(Links)],
    State#{links := #{}}.

%% The socket is closed already when this is told.
closed(Socket, #{links := Links} = State) ->
    case Links of
        #{Socket := {Other, _}} ->
            ok = gen_tcp:close(Other),
            State#{links := maps:without([Socket, Other], Links)};
        #{} ->
            State
    end.
