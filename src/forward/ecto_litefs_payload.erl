%% What a call takes along: how large it is, and whether it means the same on
%% this node. Pure but for the modules that are loaded.
-module(ecto_litefs_payload).

-export([check/2]).
-export([foreign/1]).

-export_type([too_large/0]).

-type too_large() ::
        {payload_too_large, Size :: pos_integer(), Max :: pos_integer()}.

%% Of what the user passed, whichever way it goes. One large message delays all
%% others between two nodes, heartbeats included.
-spec check(ecto_litefs_executor:payload(), pos_integer()) ->
          ok | {error, too_large()}.
check(Payload, Max) ->
    case erlang:external_size(args(Payload)) of
        Size when Size =< Max -> ok;
        Size -> {error, {payload_too_large, Size, Max}}
    end.

%% A fun of another build of its module, or of a module that is not here, could
%% not be called when its turn comes.
-spec foreign(ecto_litefs_executor:payload()) -> boolean().
foreign(Payload) ->
    strange(args(Payload)).

%% Below the middleware of the caller the resource is what that made of it, and
%% the other arguments are in the resolution.
args({args, Args}) -> Args;
args({super, _, [Resource, #{args := [_ | Rest]}]}) -> [Resource | Rest];
args({super, _, Args}) -> Args.

strange([Head | Tail]) -> strange(Head) orelse strange(Tail);
strange(Tuple) when is_tuple(Tuple) -> strange(tuple_to_list(Tuple));
strange(Map) when is_map(Map) -> strange(maps:to_list(Map));
strange(Fun) when is_function(Fun) -> strange_fun(Fun);
strange(_Term) -> false.

strange_fun(Fun) ->
    {module, Module} = erlang:fun_info(Fun, module),
    {env, Env} = erlang:fun_info(Fun, env),
    case erlang:fun_info(Fun, type) of
        {type, external} -> false;
        {type, local} -> build(Fun) =/= loaded(Module) orelse strange(Env)
    end.

build(Fun) ->
    {new_uniq, Build} = erlang:fun_info(Fun, new_uniq),
    Build.

loaded(Module) ->
    case code:ensure_loaded(Module) of
        {module, Module} -> Module:module_info(md5);
        {error, _} -> none
    end.
