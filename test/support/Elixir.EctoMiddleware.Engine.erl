%% A stand-in for the engine of EctoMiddleware 2.1: what yield/2 does with the
%% answers of process/2, whom it hands bulk calls to, and nothing else (no
%% telemetry, no v1 middleware).
-module('Elixir.EctoMiddleware.Engine').

-export([yield/2]).
-export([reject_non_bulk_middleware/2]).

-spec yield(term(), map()) -> {term(), map()}.
yield(Resource, #{middleware := [], private := Private} = Resolution) ->
    Resolution1 = Resolution#{before_output => Resource},
    Super = maps:get('__super__', Private),
    Result = Super(Resource, Resolution1),
    {Result, Resolution1#{after_input => unwrap(Result)}};
yield(Resource, #{middleware := [Module | Rest]} = Resolution) ->
    Resolution1 = Resolution#{middleware := Rest},
    case Module:process(Resource, Resolution1) of
        {halt, Value, #{} = Resolution2} -> {Value, Resolution2};
        {halt, Value} -> {Value, Resolution1};
        {cont, Value, #{} = Resolution2} -> {Value, Resolution2};
        {cont, Value} -> {Value, Resolution1};
        Value -> {Value, Resolution1}
    end.

-spec reject_non_bulk_middleware([module()], atom()) -> [module()].
reject_non_bulk_middleware(Modules, Action)
  when Action =:= insert_all; Action =:= update_all; Action =:= delete_all ->
    lists:filter(fun handles_bulk/1, Modules);
reject_non_bulk_middleware(Modules, _Action) ->
    Modules.

handles_bulk(Module) ->
    {module, Module} = code:ensure_loaded(Module),
    erlang:function_exported(Module, '__ecto_middleware_handles_bulk__', 0)
        andalso Module:'__ecto_middleware_handles_bulk__'().

unwrap({ok, Value}) -> Value;
unwrap(Value) -> Value.
