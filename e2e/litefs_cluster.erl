%% Three LiteFS nodes `a`, `b`, `c` and what elects among them: the stub of
%% Consul, or the real one where the environment variable CONSUL names it.
-module(litefs_cluster).

-export([start/1]).
-export([destroy/1]).
-export([node/2]).
-export([names/0]).
-export([elector/1]).
-export([primary/1]).
-export([await_primary/1]).
-export([await_primary/2]).
-export([await_replicas/2]).
-export([promote/2]).
-export([hand_over/2]).

-export_type([cluster/0]).
-export_type([name/0]).
-export_type([options/0]).

-type name() :: a | b | c.
-type options() :: #{log_dir := file:filename(),
                     ttl => string(),
                     lock_delay => string(),
                     reconnect_delay => string()}.
-opaque cluster() :: #{elector := {module(), pid()},
                       dir := file:filename(),
                       nodes := #{name() => pid()}}.

%% `a` is primary, and `b` and `c` follow it, when this returns.
-spec start(options()) -> cluster().
start(Options = #{log_dir := LogDir}) ->
    {ok, _Binary} = litefs_node:available(),
    Dir = private_dir(),
    ok = filelib:ensure_dir(filename:join(LogDir, "x")),
    Elector = {Module, Pid} = start_elector(LogDir),
    Nodes = [{Name, litefs_node:new(
                      (maps:merge(defaults(Module), Options))
                      #{name => atom_to_list(Name),
                        dir => filename:join(Dir, Name),
                        log => filename:join(LogDir, lists:concat(
                                               ["litefs_", Name, ".log"])),
                        consul_url => Module:open_door(Pid, Name)})}
             || Name <- names()],
    Cluster = #{elector => Elector, dir => Dir,
                nodes => maps:from_list(Nodes)},
    try
        start_nodes(Cluster)
    catch
        Class:Reason:Stack ->
            ok = destroy(Cluster),
            erlang:raise(Class, Reason, Stack)
    end.

start_nodes(Cluster) ->
    ok = litefs_node:start(node(Cluster, a)),
    a = await_primary(Cluster),
    ok = litefs_node:start(node(Cluster, b)),
    ok = litefs_node:start(node(Cluster, c)),
    ok = await_replicas(Cluster, a),
    Cluster.

%% As much of it as there is, whatever state it is in.
-spec destroy(cluster()) -> ok.
destroy(#{elector := {Module, Pid}, dir := Dir, nodes := Nodes}) ->
    _ = [ok = litefs_node:destroy(Node) || Node <- maps:values(Nodes)],
    ok = Module:stop(Pid),
    ok = file:del_dir(Dir).

-spec node(cluster(), name()) -> pid().
node(#{nodes := Nodes}, Name) ->
    maps:get(Name, Nodes).

-spec names() -> [name()].
names() ->
    [a, b, c].

%% The stub, for its orders (set_mode/3, expire/1).
-spec elector(cluster()) -> pid().
elector(#{elector := {_Module, Pid}}) ->
    Pid.

%% The nodes that call themselves primary: usually one.
-spec primary(cluster()) -> [name()].
primary(Cluster) ->
    [Name || {Name, #{primary := true}} <- infos(Cluster)].

-spec await_primary(cluster()) -> name().
await_primary(Cluster) ->
    await_primary(Cluster, names()).

%% Waits until one of these is primary, and it alone.
-spec await_primary(cluster(), [name()]) -> name().
await_primary(Cluster, Allowed) ->
    e2e_wait:until("one of these LiteFS nodes is primary", 45000, fun() ->
        case primary(Cluster) of
            [Name] -> lists:member(Name, Allowed) andalso {ok, Name};
            Seen -> {not_yet, Seen}
        end
    end).

%% Waits until every running node says that this one is the primary.
-spec await_replicas(cluster(), name()) -> ok.
await_replicas(Cluster, Name) ->
    Hostname = atom_to_binary(Name),
    true = e2e_wait:until("all LiteFS nodes follow one primary", fun() ->
        case [I || I = {_, #{hostname := H}} <- infos(Cluster),
                   H =/= Hostname] of
            [] -> true;
            Others -> {others, Others}
        end
    end),
    ok.

-spec promote(cluster(), name()) -> ok | {error, term()}.
promote(Cluster, Name) ->
    litefs_http:promote(litefs_node:port(node(Cluster, Name))).

%% LiteFS refuses the order while the replica is not connected, and does not
%% always obey it: then it is given again.
-spec hand_over(cluster(), name()) -> ok.
hand_over(Cluster, Name) ->
    true = e2e_wait:until("the promoted node is the primary", 30000, fun() ->
        case promote(Cluster, Name) of
            ok -> is_primary_until(Cluster, Name, e2e_wait:us() + 2000000);
            {error, Reason} -> Reason
        end
    end),
    ok.

is_primary_until(Cluster, Name, Deadline) ->
    case primary(Cluster) of
        [Name] ->
            true;
        Seen ->
            timer:sleep(5),
            case e2e_wait:us() < Deadline of
                true -> is_primary_until(Cluster, Name, Deadline);
                false -> {not_obeyed, Seen}
            end
    end.

infos(#{nodes := Nodes}) ->
    [{Name, Info}
     || {Name, Node} <- maps:to_list(Nodes), litefs_node:running(Node),
        {ok, Info} <- [litefs_http:info(litefs_node:port(Node))]].

start_elector(LogDir) ->
    case os:getenv("CONSUL") of
        false ->
            {ok, Stub} = consul_stub:start(),
            {consul_stub, Stub};
        _Path ->
            {ok, Agent} = consul_agent:start(LogDir),
            {consul_agent, Agent}
    end.

%% Consul accepts no TTL below 10 s.
defaults(consul_stub) ->
    #{ttl => "2s", lock_delay => "1ms", reconnect_delay => "100ms"};
defaults(consul_agent) ->
    #{ttl => "10s", lock_delay => "1ms", reconnect_delay => "100ms"}.

private_dir() ->
    Name = "ecto_litefs_e2e." ++ os:getpid() ++ "."
        ++ integer_to_list(erlang:unique_integer([positive])),
    Dir = filename:join(os:getenv("TMPDIR", "/tmp"), Name),
    ok = file:make_dir(Dir),
    ok = file:change_mode(Dir, 8#700),
    Dir.
