%% The demo's cluster on real LiteFS: the one of the end-to-end cases, with
%% LiteFS's own default delays. Elections are held by a stub of Consul.
-module(demo_litefs).

-export([start/2]).
-export([options/2]).
-export([stop/2]).
-export([start_node/2]).
-export([destroy/1]).

-spec start(file:filename(), [litefs_cluster:name()]) ->
          litefs_cluster:cluster().
start(Directory, _Names) ->
    litefs_cluster:start(#{log_dir => Directory, ttl => "10s",
                           lock_delay => "1s", reconnect_delay => "1s"}).

-spec options(litefs_cluster:cluster(), litefs_cluster:name()) ->
          #{atom() => term()}.
options(Cluster, Name) ->
    Node = litefs_cluster:node(Cluster, Name),
    Mount = litefs_node:mount_dir(Node),
    Url = io_lib:format("http://127.0.0.1:~b/events", [litefs_node:port(Node)]),
    #{database => to_binary(filename:join(Mount, "app.db")),
      primary_file => to_binary(filename:join(Mount, ".primary")),
      event_stream_url => to_binary(Url),
      mount => required}.

-spec stop(litefs_cluster:cluster(), litefs_cluster:name()) -> ok.
stop(Cluster, Name) ->
    Node = litefs_cluster:node(Cluster, Name),
    _Status = litefs_node:stop(Node),
    litefs_node:unmount(Node).

-spec start_node(litefs_cluster:cluster(), litefs_cluster:name()) -> ok.
start_node(Cluster, Name) ->
    ok = litefs_node:start(litefs_cluster:node(Cluster, Name)).

-spec destroy(litefs_cluster:cluster()) -> ok.
destroy(Cluster) ->
    litefs_cluster:destroy(Cluster).

to_binary(Text) ->
    unicode:characters_to_binary(Text).
