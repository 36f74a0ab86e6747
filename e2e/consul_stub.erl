%% Consul's HTTP API, as far as LiteFS uses it: sessions that expire, one
%% lock a key, lock-delay. Each LiteFS node gets a door (a port) of its own,
%% so that one node alone can be cut off from the elections, as a partition
%% would do it. A door serves, fails (500) or hangs (accepts, never answers).
-module(consul_stub).
-behaviour(gen_server).

-export([start/0]).
-export([stop/1]).
-export([open_door/2]).
-export([set_mode/3]).
-export([expire/1]).
-export([holder/1]).

-export([init/1]).
-export([handle_call/3]).
-export([handle_cast/2]).
-export([handle_info/2]).
-export([terminate/2]).

-export_type([mode/0]).

-type mode() :: serve | fail | hang.
-type door() :: term().
-type request() :: {request, door(), atom(), [binary()],
                    #{binary() => binary()}, binary()}.

-record(key, {value :: binary(), session = none :: binary() | none}).
-record(session, {ttl :: pos_integer(), lock_delay :: non_neg_integer(),
                  timer :: reference()}).
-record(state, {doors = #{} :: #{door() => {inet:port_number(), mode()}},
                keys = #{} :: #{binary() => #key{}},
                locked_until = #{} :: #{binary() => integer()},
                sessions = #{} :: #{binary() => #session{}},
                parked = [] :: [{gen_server:from(), request()}]}).

%% Not linked: init_per_* and the case may be different processes.
-spec start() -> {ok, pid()}.
start() ->
    gen_server:start(?MODULE, [], []).

-spec stop(pid()) -> ok.
stop(Stub) ->
    gen_server:stop(Stub).

%% The URL that the LiteFS node behind this door is given.
-spec open_door(pid(), door()) -> string().
open_door(Stub, Door) ->
    Port = gen_server:call(Stub, {open_door, Door}),
    "http://127.0.0.1:" ++ integer_to_list(Port).

-spec set_mode(pid(), all | door(), mode()) -> ok.
set_mode(Stub, Door, Mode) ->
    gen_server:call(Stub, {set_mode, Door, Mode}).

%% Ends every session now, as if its TTL had run out.
-spec expire(pid()) -> ok.
expire(Stub) ->
    gen_server:call(Stub, expire).

%% What the holder of the lock has written about itself, as JSON.
-spec holder(pid()) -> {ok, binary()} | none.
holder(Stub) ->
    gen_server:call(Stub, holder).

%%% The state: one process decides everything, in the order of arrival.

-spec init([]) -> {ok, #state{}}.
init([]) ->
    {ok, #state{}}.

-spec handle_call(term(), gen_server:from(), #state{}) ->
          {reply, term(), #state{}} | {noreply, #state{}}.
handle_call({open_door, Door}, _From, State = #state{doors = Doors}) ->
    Port = consul_stub_http:listen(self(), Door),
    {reply, Port, State#state{doors = Doors#{Door => {Port, serve}}}};
handle_call({set_mode, all, Mode}, _From, State = #state{doors = Doors}) ->
    Set = maps:map(fun(_Door, {Port, _}) -> {Port, Mode} end, Doors),
    {reply, ok, unpark(State#state{doors = Set})};
handle_call({set_mode, Door, Mode}, _From, State = #state{doors = Doors}) ->
    #{Door := {Port, _}} = Doors,
    {reply, ok, unpark(State#state{doors = Doors#{Door := {Port, Mode}}})};
handle_call(expire, _From, State = #state{sessions = Sessions}) ->
    {reply, ok, lists:foldl(fun end_session/2, State, maps:keys(Sessions))};
handle_call(holder, _From, State = #state{keys = Keys}) ->
    Held = [V || #key{value = V, session = S} <- maps:values(Keys), S =/= none],
    {reply, case Held of [Value] -> {ok, Value}; [] -> none end, State};
handle_call(Request, From, State) when element(1, Request) =:= request ->
    {noreply, at_door(From, Request, State)}.

-spec handle_cast(none(), #state{}) -> no_return().
handle_cast(Message, _State) ->
    error({unexpected_cast, Message}).

-spec handle_info({expired, binary()}, #state{}) -> {noreply, #state{}}.
handle_info({expired, Id}, State) ->
    {noreply, end_session(Id, State)}.

-spec terminate(term(), #state{}) -> ok.
terminate(_Reason, _State) ->
    ok.

at_door(From, Request, State = #state{doors = Doors, parked = Parked}) ->
    {request, Door, Method, Path, Query, Body} = Request,
    case Doors of
        #{Door := {_Port, serve}} ->
            {Answer, Next} = request(Method, Path, Query, Body, State),
            gen_server:reply(From, Answer),
            Next;
        #{Door := {_Port, fail}} ->
            gen_server:reply(From, {500, <<"failed on order">>}),
            State;
        #{Door := {_Port, hang}} ->
            State#state{parked = [{From, Request} | Parked]}
    end.

%% As after a partition: what was sent into it arrives when it has healed.
unpark(State = #state{parked = Parked}) ->
    lists:foldr(fun({From, Request}, S) -> at_door(From, Request, S) end,
                State#state{parked = []}, Parked).

request('PUT', [<<"session">>, <<"create">>], _, Body, State) ->
    Id = uuid(),
    Session = #session{ttl = duration(<<"TTL">>, Body),
                       lock_delay = duration(<<"LockDelay">>, Body),
                       timer = make_ref()},
    {{200, [<<"{\"ID\":\"">>, Id, <<"\"}">>]}, renew(Id, Session, State)};
request('PUT', [<<"session">>, <<"renew">>, Id], _, _, State) ->
    case State#state.sessions of
        #{Id := Session} ->
            {{200, [<<"[{\"ID\":\"">>, Id, <<"\"}]">>]},
             renew(Id, Session, State)};
        #{} ->
            {{404, <<"no such session">>}, State}
    end;
request('PUT', [<<"session">>, <<"destroy">>, Id], _, _, State) ->
    {{200, <<"true">>}, end_session(Id, State)};
request('GET', [<<"kv">> | Path], _, _, State) ->
    Name = key_name(Path),
    case State#state.keys of
        #{Name := Key} -> {{200, kv_json(Name, Key)}, State};
        #{} -> {{404, <<>>}, State}
    end;
request('PUT', [<<"kv">> | Path], #{<<"acquire">> := Id}, Value, State) ->
    acquire(key_name(Path), Id, Value, State);
request('PUT', [<<"kv">> | Path], #{<<"release">> := Id}, _, State) ->
    release(key_name(Path), Id, State);
request('PUT', [<<"kv">> | Path], _, Value, State) ->
    {{200, <<"true">>}, put_key(key_name(Path), #key{value = Value}, State)}.

acquire(Name, Id, Value, State = #state{keys = Keys, sessions = Sessions}) ->
    Key = maps:get(Name, Keys, #key{value = <<>>}),
    Now = now_ms(),
    Delayed = maps:get(Name, State#state.locked_until, Now) > Now,
    Free = Key#key.session =:= Id
        orelse (Key#key.session =:= none andalso not Delayed),
    case is_map_key(Id, Sessions) andalso Free of
        true ->
            Held = #key{value = Value, session = Id},
            {{200, <<"true">>}, put_key(Name, Held, State)};
        false ->
            {{200, <<"false">>}, State}
    end.

%% LiteFS reads a released key as "no primary", so the value goes with it.
release(Name, Id, State = #state{keys = Keys}) ->
    case Keys of
        #{Name := #key{session = Id}} ->
            {{200, <<"true">>}, State#state{keys = maps:remove(Name, Keys)}};
        #{} ->
            {{200, <<"false">>}, State}
    end.

put_key(Name, Key, State = #state{keys = Keys}) ->
    State#state{keys = Keys#{Name => Key}}.

renew(Id, Session, State = #state{sessions = Sessions}) ->
    _ = erlang:cancel_timer(Session#session.timer),
    Timer = erlang:send_after(Session#session.ttl, self(), {expired, Id}),
    Renewed = Session#session{timer = Timer},
    State#state{sessions = Sessions#{Id => Renewed}}.

%% A session that ends takes its keys with it and locks them for a while.
end_session(Id, State = #state{sessions = Sessions}) ->
    case maps:take(Id, Sessions) of
        {#session{timer = Timer, lock_delay = Delay}, Left} ->
            _ = erlang:cancel_timer(Timer),
            drop_keys(Id, now_ms() + Delay, State#state{sessions = Left});
        error ->
            State
    end.

drop_keys(Id, Until, State = #state{keys = Keys, locked_until = Locked}) ->
    Held = maps:filter(fun(_, #key{session = S}) -> S =:= Id end, Keys),
    Delays = maps:map(fun(_, _) -> Until end, Held),
    State#state{keys = maps:without(maps:keys(Held), Keys),
                locked_until = maps:merge(Locked, Delays)}.

%%% Words of Consul's API.

key_name(Path) ->
    iolist_to_binary(lists:join($/, Path)).

kv_json(Name, #key{value = Value, session = Session}) ->
    [<<"[{\"Key\":\"">>, Name, <<"\",\"Value\":\"">>, base64:encode(Value),
     <<"\"">>, [[<<",\"Session\":\"">>, Session, <<"\"">>]
                || Session =/= none], <<"}]">>].

%% "TTL":"2s", "LockDelay":"1ms": Go's notation, as LiteFS sends it.
duration(Field, Body) ->
    Pattern = <<"\"", Field/binary, "\":\"([^\"]*)\"">>,
    {match, [Text]} = re:run(Body, Pattern, [{capture, [1], list}]),
    Parts = "(?:([0-9.]+)m(?!s))?(?:([0-9.]+)s)?(?:([0-9.]+)ms)?$",
    {match, Found} = re:run(Text, "^" ++ Parts, [{capture, [1, 2, 3], list}]),
    Scaled = [number(T) * Ms || {T, Ms} <- lists:zip(Found, [60000, 1000, 1])],
    round(lists:sum(Scaled)).

number("") -> 0;
number(Text) ->
    case string:to_float(Text) of
        {error, no_float} -> list_to_integer(Text);
        {Number, ""} -> Number
    end.

uuid() ->
    <<A:4/binary, B:2/binary, C:2/binary, D:2/binary, E:6/binary>> =
        crypto:strong_rand_bytes(16),
    Hex = [string:lowercase(binary:encode_hex(P)) || P <- [A, B, C, D, E]],
    iolist_to_binary(lists:join($-, Hex)).

now_ms() ->
    erlang:monotonic_time(millisecond).
