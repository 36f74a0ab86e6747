%% The link between two nodes, from B to A through a proxy. B was started with
%% `-epmd_module ecto_litefs_test_epmd`, and A with `-kernel dist_auto_connect
%% never`, so that they reach each other in no other way.
%%
%%   {ok, Proxy} = ecto_litefs_test_link:open(A, B),
%%   ok = ecto_litefs_test_link:silent(A, B, Proxy),
%%   ok = ecto_litefs_test_proxy:cut(Proxy).
-module(ecto_litefs_test_link).

-export([open/2]).
-export([port/1]).
-export([reach/3]).
-export([silent/3]).

-export_type([side/0]).

%% A node, and a way past the link to call a function on it.
-type side() :: {node(), on()}.
-type on() :: fun((module(), atom(), [term()]) -> term()).

-define(PROXY, ecto_litefs_test_proxy).

-spec open(side(), side()) -> {ok, Proxy :: pid()}.
open({A, _OnA}, {_B, OnB}) ->
    {ok, Proxy} = ?PROXY:start(port(A)),
    ok = OnB(ecto_litefs_test_epmd, redirect, [A, ?PROXY:port(Proxy)]),
    {ok, Proxy}.

%% Where the node itself listens.
-spec port(node()) -> inet:port_number().
port(Node) ->
    [Name, Host] = string:split(atom_to_list(Node), "@"),
    {port, Port, _Version} = erl_epmd:port_please(Name, Host),
    Port.

%% As what keeps a cluster together does: B connects, again after a cut. Just
%% after that it may still believe in the connection that it had.
-spec reach(side(), side(), pid()) -> ok.
reach({A, _OnA}, {_B, OnB}, Proxy) ->
    ecto_litefs_test_wait:until(
      true, fun() -> OnB(net_kernel, connect_node, [A])
                         andalso ?PROXY:linked(Proxy) end).

%% And what pg says to itself when a node comes is over.
-spec silent(side(), side(), pid()) -> ok.
silent(A, B, Proxy) ->
    ok = reach(A, B, Proxy),
    ecto_litefs_test_wait:until(
      true, fun() -> knows(A, B) andalso knows(B, A) end),
    [ok = round_trip(A, B) || _ <- [discover, sync]],
    ok.

%% pg watches the other pg when it has heard of it.
knows({_Node, On}, {Other, _}) ->
    Pg = On(erlang, whereis, [ecto_litefs]),
    {monitors, Monitors} = On(erlang, process_info, [Pg, monitors]),
    lists:member(Other, [node(Pid) || {process, Pid} <- Monitors]).

%% Whatever a pg had to answer is sent, and has arrived.
round_trip({A, OnA}, {_B, OnB}) ->
    [begin
         _ = On(sys, get_state, [ecto_litefs]),
         _ = OnB(erpc, call, [A, erlang, node, []])
     end || On <- [OnA, OnB]],
    ok.
