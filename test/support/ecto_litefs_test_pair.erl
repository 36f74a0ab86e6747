%% Two BEAM nodes and the link between them: B reaches A through a proxy and
%% in no other way, and A never connects to B by itself.
%%
%%   {A, B, Proxy} = Pair = ecto_litefs_test_pair:start(),
%%   ok = ecto_litefs_test_pair:connect(Pair),
%%   ok = ecto_litefs_test_proxy:cut(Proxy),
%%   ok = ecto_litefs_test_pair:stop(Pair).
-module(ecto_litefs_test_pair).

-export([start/0]).
-export([stop/1]).
-export([restart/1]).
-export([connect/1]).
-export([reach/1]).
-export([measure/2]).

-export_type([t/0]).

-type t() :: {A :: ecto_litefs_test_peer:t(), B :: ecto_litefs_test_peer:t(),
              Proxy :: pid()}.

-define(PEER, ecto_litefs_test_peer).
-define(PROXY, ecto_litefs_test_proxy).
-define(EPMD, ecto_litefs_test_epmd).

-spec start() -> t().
start() ->
    A = ?PEER:start(a, #{args => ["-kernel", "dist_auto_connect", "never"]}),
    B = ?PEER:start(b, #{args => ["-epmd_module", atom_to_list(?EPMD)]}),
    {ok, Proxy} = ?PROXY:start(distribution_port(A)),
    Redirect = [?PEER:node(A), ?PROXY:port(Proxy)],
    ok = ?PEER:call(B, ?EPMD, redirect, Redirect),
    {A, B, Proxy}.

-spec stop(t()) -> ok.
stop({A, B, Proxy}) ->
    [ok = ?PEER:stop(Peer) || Peer <- [A, B]],
    ?PROXY:stop(Proxy).

%% Another A, after the first was killed.
-spec restart(t()) -> t().
restart({A, B, Proxy}) ->
    Again = ?PEER:restart(A),
    ok = ?PROXY:target(Proxy, distribution_port(Again)),
    {Again, B, Proxy}.

distribution_port(Peer) ->
    [Name, Host] = string:split(atom_to_list(?PEER:node(Peer)), "@"),
    {port, Port, _Version} = erl_epmd:port_please(Name, Host),
    Port.

%% And the link is silent: what pg says to itself when a node comes is over.
-spec connect(t()) -> ok.
connect({A, B, _Proxy} = Pair) ->
    ok = reach(Pair),
    ecto_litefs_test_wait:until(
      true, fun() -> knows(A, B) andalso knows(B, A) end),
    [ok = round_trip(Pair) || _ <- [discover, sync]],
    ok.

%% As what keeps a cluster together does: B connects, again after a cut. Just
%% after that it may still believe in the connection that it had.
-spec reach(t()) -> ok.
reach({A, B, Proxy}) ->
    ecto_litefs_test_wait:until(
      true, fun() -> ?PEER:call(B, net_kernel, connect_node, [?PEER:node(A)])
                         andalso ?PROXY:linked(Proxy) end).

%% pg watches the other pg when it has heard of it.
knows(Peer, Other) ->
    Pg = ?PEER:call(Peer, erlang, whereis, [ecto_litefs]),
    {monitors, Monitors} =
        ?PEER:call(Peer, erlang, process_info, [Pg, monitors]),
    lists:member(?PEER:node(Other), [node(Pid) || {process, Pid} <- Monitors]).

%% Whatever a pg had to answer is sent, and has arrived.
round_trip({A, B, _Proxy}) ->
    Call = [?PEER:node(A), erlang, node, []],
    [begin
         _ = ?PEER:call(Peer, sys, get_state, [ecto_litefs]),
         _ = ?PEER:call(B, erpc, call, Call)
     end || Peer <- [A, B]],
    ok.

%% Bytes to A and to B of what Fun does, when it does it for a second time: at
%% first the names of new atoms cross with it. On a link that is silent.
-spec measure(t(), fun(() -> ok)) -> {non_neg_integer(), non_neg_integer()}.
measure({_A, _B, Proxy}, Fun) ->
    ok = Fun(),
    Before = [?PROXY:count(Proxy, D) || D <- [to_target, to_client]],
    ok = Fun(),
    After = [?PROXY:count(Proxy, D) || D <- [to_target, to_client]],
    list_to_tuple(lists:zipwith(fun erlang:'-'/2, After, Before)).
