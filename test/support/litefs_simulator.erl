%% A scripted LiteFS cluster without FUSE: for each node a plain directory
%% with `.primary` as LiteFS keeps it, and an HTTP server with /events, /info
%% and POST /promote. All nodes share one database file, so that what one
%% writes the others have; nothing is replicated.
%%
%%   {ok, Sim} = litefs_simulator:start(#{directory => Dir,
%%                                        nodes => [<<"node-1">>, <<"node-2">>]}),
%%   #{primary_file := File, event_stream_url := Url, database := Db} =
%%       litefs_simulator:node(Sim, <<"node-2">>),
%%   ok = litefs_simulator:stop_node(Sim, <<"node-1">>),   % node-2 takes over
%%   ok = litefs_simulator:start_node(Sim, <<"node-1">>),  % as a replica
%%   ok = litefs_simulator:promote(Sim, <<"node-1">>),
%%   ok = litefs_simulator:tx(Sim, <<"node-2">>, <<"app.db">>, {7, 16#aa}).
%%
%% A Repo on it uses `mount: :plain`. The sequences of events are those that
%% LiteFS v0.5.14 shows; the delays are options, in milliseconds.
-module(litefs_simulator).

-behaviour(gen_server).

-export([start/1]).
-export([stop/1]).
-export([node/2]).
-export([primary/1]).
-export([stop_node/2]).
-export([start_node/2]).
-export([promote/2]).
-export([tx/4]).

%% For litefs_simulator_http.
-export([subscribe/2]).
-export([info/2]).

-export([init/1]).
-export([handle_call/3]).
-export([handle_cast/2]).
-export([handle_info/2]).
-export([terminate/2]).

-type name() :: binary().

-type options() ::
        #{directory := file:filename(),
          nodes := [name(), ...],       % the first one starts as the primary
          election_delay => non_neg_integer(),   % nobody -> somebody primary
          reconnect_delay => non_neg_integer()}. % until the others know

-record(member,
        {directory :: file:filename(),
         server :: litefs_simulator_http:server() | undefined, % down
         port :: inet:port_number() | undefined,               % kept for ever
         view = none :: primary | none | {replica, name()},
         subscribers = #{} :: #{pid() => reference()}}).

-spec start(options()) -> {ok, pid()} | {error, term()}.
start(Options) ->
    gen_server:start_link(?MODULE, Options, []).

-spec stop(pid()) -> ok.
stop(Sim) ->
    gen_server:stop(Sim).

%% What to give to EctoLiteFS.Supervisor and to the Repo.
-spec node(pid(), name()) -> #{atom() => binary()}.
node(Sim, Name) ->
    gen_server:call(Sim, {node, Name}).

-spec primary(pid()) -> name() | none.
primary(Sim) ->
    gen_server:call(Sim, primary).

%% As SIGTERM does: the streams break off, the lease is free.
-spec stop_node(pid(), name()) -> ok.
stop_node(Sim, Name) ->
    gen_server:call(Sim, {stop_node, Name}).

-spec start_node(pid(), name()) -> ok.
start_node(Sim, Name) ->
    gen_server:call(Sim, {start_node, Name}).

-spec promote(pid(), name()) -> ok | {error, no_primary}.
promote(Sim, Name) ->
    gen_server:call(Sim, {promote, Name}).

%% The node's stream tells that this database has this position now.
-spec tx(pid(), name(), Db :: binary(),
         {TxId :: non_neg_integer(), Checksum :: non_neg_integer()}) -> ok.
tx(Sim, Name, Db, Position) ->
    gen_server:call(Sim, {tx, Name, Db, Position}).

%% The caller gets {litefs_event, Line} for each line, the first at once.
-spec subscribe(pid(), name()) -> ok.
subscribe(Sim, Name) ->
    gen_server:call(Sim, {subscribe, Name}).

-spec info(pid(), name()) -> iodata().
info(Sim, Name) ->
    gen_server:call(Sim, {info, Name}).

init(#{directory := Directory, nodes := [First | _] = Names} = Options) ->
    process_flag(trap_exit, true),
    Members = maps:from_list(
                [{Name, #member{directory = filename:join(Directory, Name)}}
                 || Name <- Names]),
    State = maps:merge(#{election_delay => 100, reconnect_delay => 100},
                       Options#{members => Members, primary => First}),
    {ok, lists:foldl(fun up/2, State, Names)}.

handle_call({node, Name}, _From, #{directory := Directory} = State) ->
    #member{directory = Own, port = Port} = member(Name, State),
    {reply, #{primary_file => to_binary(filename:join(Own, ".primary")),
              database => to_binary(filename:join(Directory, "app.db")),
              event_stream_url =>
                  iolist_to_binary(io_lib:format("http://127.0.0.1:~b/events",
                                                 [Port]))},
     State};
handle_call(primary, _From, #{primary := Primary} = State) ->
    {reply, Primary, State};
handle_call({stop_node, Name}, _From, State) ->
    {reply, ok, lose_primary(Name, down(Name, State))};
handle_call({start_node, Name}, _From, State) ->
    {reply, ok, up(Name, State)};
handle_call({promote, Name}, _From, #{primary := Name} = State) ->
    {reply, ok, State};
handle_call({promote, _}, _From, #{primary := none} = State) ->
    {reply, {error, no_primary}, State};
handle_call({promote, Name}, _From, #{primary := Old} = State) ->
    {reply, ok, take_over(Name, see(Old, none, State))};
handle_call({tx, Name, Db, Position}, _From, State) ->
    tell(tx_line(Db, Position), member(Name, State)),
    {reply, ok, State};
handle_call({subscribe, Name}, {Pid, _}, State) ->
    #member{subscribers = Subscribers} = Member = member(Name, State),
    Pid ! {litefs_event, line("init", Member)},
    Subscribers1 = Subscribers#{Pid => monitor(process, Pid)},
    {reply, ok, set(Name, Member#member{subscribers = Subscribers1}, State)};
handle_call({info, Name}, _From, State) ->
    #member{view = View} = Member = member(Name, State),
    {reply, io_lib:format("{\"isPrimary\": ~p, \"candidate\": true, "
                          "\"path\": \"~ts\"~ts}\n",
                          [View =:= primary, Member#member.directory,
                           info_primary(View, Name)]),
     State}.

handle_cast(_Unknown, State) ->
    {stop, unknown_cast, State}.

%% Nobody is primary: the first node that is up takes the lease.
handle_info(elect, #{primary := none, nodes := Names} = State) ->
    case [Name || Name <- Names, is_up(Name, State)] of
        [Name | _] -> {noreply, take_over(Name, State)};
        [] -> {noreply, State}
    end;
handle_info(elect, State) ->
    {noreply, State};
%% The others notice, unless the primary has changed again.
handle_info({follow, Name}, #{primary := Name} = State) ->
    {noreply, follow(Name, State)};
handle_info({follow, _}, State) ->
    {noreply, State};
handle_info({'DOWN', _, process, Pid, _}, #{members := Members} = State) ->
    Forget = fun(_, #member{subscribers = Subscribers} = Member) ->
                     Member#member{subscribers = maps:remove(Pid, Subscribers)}
             end,
    {noreply, State#{members := maps:map(Forget, Members)}};
handle_info({'EXIT', Pid, Reason}, #{members := Members} = State) ->
    case [Pid || #member{server = Server} <- maps:values(Members),
                 Server =/= undefined,
                 litefs_simulator_http:pid(Server) =:= Pid] of
        [_] -> {stop, {http_server, Reason}, State};
        [] -> {noreply, State}
    end.

terminate(_Reason, #{nodes := Names} = State) ->
    lists:foldl(fun(Name, Acc) -> down(Name, Acc) end, State, Names).

%%% Nodes

up(Name, State) ->
    case member(Name, State) of
        #member{server = undefined, directory = Directory, port = Port} = Member ->
            ok = filelib:ensure_dir(filename:join(Directory, ".primary")),
            Server = litefs_simulator_http:start(self(), Name, Port),
            Started = Member#member{server = Server,
                                    port = litefs_simulator_http:port(Server)},
            join(Name, set(Name, Started, State));
        #member{} ->
            State
    end.

join(Name, #{primary := Name} = State) -> see(Name, primary, State);
join(Name, #{primary := none} = State) -> self() ! elect, see(Name, none, State);
join(Name, #{primary := Primary} = State) -> see(Name, {replica, Primary}, State).

%% The mount goes, and with it what it showed.
down(Name, State) ->
    case member(Name, State) of
        #member{server = undefined} ->
            State;
        #member{server = Server} = Member ->
            ok = litefs_simulator_http:stop(Server),
            Down = Member#member{server = undefined, view = none,
                                 subscribers = #{}},
            show_file(Down),
            set(Name, Down, State)
    end.

lose_primary(Name, #{primary := Name, nodes := Names,
                     election_delay := Delay} = State) ->
    erlang:send_after(Delay, self(), elect),
    lists:foldl(fun(Other, Acc) -> see(Other, none, Acc) end,
                State#{primary := none}, Names -- [Name]);
lose_primary(_Name, State) ->
    State.

%% The new primary knows at once, the others one reconnect delay later.
take_over(Name, #{reconnect_delay := Delay} = State) ->
    erlang:send_after(Delay, self(), {follow, Name}),
    see(Name, primary, State#{primary := Name}).

follow(Name, #{nodes := Names} = State) ->
    lists:foldl(fun(Other, Acc) -> see(Other, {replica, Name}, Acc) end,
                State, Names -- [Name]).

%% What a node's LiteFS shows from now on: first in the file, then on the
%% stream, and `none` in between, as LiteFS does.
see(Name, View, State) ->
    case member(Name, State) of
        #member{server = undefined} ->
            State;
        #member{view = View} = Member ->
            show_file(Member),
            State;
        #member{view = {replica, _}} = Member when View =/= none ->
            Between = Member#member{view = none},
            show(Between),
            see(Name, View, set(Name, Between, State));
        #member{} = Member ->
            Changed = Member#member{view = View},
            show(Changed),
            set(Name, Changed, State)
    end.

show(#member{} = Member) ->
    show_file(Member),
    tell(line("primaryChange", Member), Member).

tell(Line, #member{subscribers = Subscribers}) ->
    [Pid ! {litefs_event, Line} || Pid <- maps:keys(Subscribers)],
    ok.

%% Renamed into place: a reader sees the whole name or no file.
show_file(#member{directory = Directory, view = {replica, Primary}}) ->
    New = filename:join(Directory, ".primary.new"),
    ok = file:write_file(New, [Primary, "\n"]),
    ok = file:rename(New, filename:join(Directory, ".primary"));
show_file(#member{directory = Directory}) ->
    case file:delete(filename:join(Directory, ".primary")) of
        ok -> ok;
        {error, enoent} -> ok
    end.

line(Type, #member{view = View}) ->
    io_lib:format("{\"type\":\"~s\",\"data\":{\"isPrimary\":~p~ts}}\n",
                  [Type, View =:= primary, hostname(View)]).

tx_line(Db, {TxId, Checksum}) ->
    io_lib:format("{\"type\":\"tx\",\"db\":\"~ts\",\"data\":{\"txID\":"
                  "\"~16.16.0b\",\"postApplyChecksum\":\"~16.16.0b\","
                  "\"pageSize\":4096,\"commit\":2,"
                  "\"timestamp\":\"2023-09-06T19:12:34.985Z\"}}\n",
                  [Db, TxId, Checksum]).

%% LiteFS leaves the name out on the primary itself.
hostname({replica, Name}) -> [",\"hostname\":\"", Name, "\""];
hostname(_) -> "".

info_primary({replica, Primary}, _Name) ->
    [", \"primary\": {\"hostname\": \"", Primary, "\"}"];
info_primary(primary, Name) -> [", \"primary\": {\"hostname\": \"", Name, "\"}"];
info_primary(none, _Name) -> "".

is_up(Name, State) ->
    (member(Name, State))#member.server =/= undefined.

member(Name, #{members := Members}) ->
    maps:get(Name, Members).

set(Name, Member, #{members := Members} = State) ->
    State#{members := Members#{Name := Member}}.

to_binary(Path) ->
    unicode:characters_to_binary(Path).
