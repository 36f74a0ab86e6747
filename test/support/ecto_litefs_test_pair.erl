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
-export([side/1]).
-export([measure/2]).

-export_type([t/0]).

-type t() :: {A :: ecto_litefs_test_peer:t(), B :: ecto_litefs_test_peer:t(),
              Proxy :: pid()}.

-define(PEER, ecto_litefs_test_peer).
-define(PROXY, ecto_litefs_test_proxy).
-define(LINK, ecto_litefs_test_link).

-spec start() -> t().
start() ->
    A = ?PEER:start(a, #{args => ["-kernel", "dist_auto_connect", "never"]}),
    B = ?PEER:start(b, #{args => ["-epmd_module", "ecto_litefs_test_epmd"]}),
    {ok, Proxy} = ?LINK:open(side(A), side(B)),
    {A, B, Proxy}.

%% A and B are called past the link.
-spec side(ecto_litefs_test_peer:t()) -> ecto_litefs_test_link:side().
side(Peer) ->
    {?PEER:node(Peer), fun(Module, Function, Args) ->
                               ?PEER:call(Peer, Module, Function, Args)
                       end}.

-spec stop(t()) -> ok.
stop({A, B, Proxy}) ->
    [ok = ?PEER:stop(Peer) || Peer <- [A, B]],
    ?PROXY:stop(Proxy).

%% Another A, after the first was killed.
-spec restart(t()) -> t().
restart({A, B, Proxy}) ->
    Again = ?PEER:restart(A),
    ok = ?PROXY:target(Proxy, ?LINK:port(?PEER:node(Again))),
    {Again, B, Proxy}.

%% And the link is silent.
-spec connect(t()) -> ok.
connect({A, B, Proxy}) ->
    ?LINK:silent(side(A), side(B), Proxy).

-spec reach(t()) -> ok.
reach({A, B, Proxy}) ->
    ?LINK:reach(side(A), side(B), Proxy).

%% Bytes to A and to B of what Fun does, when it does it for a second time: at
%% first the names of new atoms cross with it. On a link that is silent.
-spec measure(t(), fun(() -> ok)) -> {non_neg_integer(), non_neg_integer()}.
measure({_A, _B, Proxy}, Fun) ->
    ok = Fun(),
    Before = [?PROXY:count(Proxy, D) || D <- [to_target, to_client]],
    ok = Fun(),
    After = [?PROXY:count(Proxy, D) || D <- [to_target, to_client]],
    list_to_tuple(lists:zipwith(fun erlang:'-'/2, After, Before)).
