%% The EctoMiddleware: a write on a node that is not the primary runs on the
%% primary. Reads, and writes on the primary, pass.
%%
%% Where this module comes first in the Repo's list, the call itself travels,
%% as data, and the rest of the middleware runs once, on the primary. Else
%% all other middleware runs here, as in ecto_litefs 1.0, and what is below
%% it travels, as a fun.
%%
%% EctoMiddleware 2.1 hands insert_all, update_all and delete_all over to those
%% that say that they want them, and leaves all others out of the list.
-module('Elixir.EctoLiteFS.Middleware').

-export(['__ecto_middleware_handles_bulk__'/0]).
-export([process/2]).

-define(IS_WRITE(Action),
        (Action =:= insert orelse Action =:= 'insert!' orelse
         Action =:= update orelse Action =:= 'update!' orelse
         Action =:= delete orelse Action =:= 'delete!' orelse
         Action =:= insert_or_update orelse Action =:= 'insert_or_update!'
         orelse ?IS_BULK(Action))).
-define(IS_BULK(Action),
        (Action =:= insert_all orelse Action =:= update_all
         orelse Action =:= delete_all)).

-type resolution() :: #{repo := module(), action := atom(), args := list(),
                        private := map(), atom() => term()}.

-spec '__ecto_middleware_handles_bulk__'() -> true.
'__ecto_middleware_handles_bulk__'() ->
    true.

-spec process(term(), resolution()) ->
          {cont, term(), resolution()} | {halt, term()}.
process(Resource, #{action := Action, repo := Repo} = Resolution)
  when ?IS_WRITE(Action) ->
    case ecto_litefs_write:decide(Repo) of
        local -> pass(Resource, Resolution);
        remote -> remote(Resource, Resolution)
    end;
process(Resource, Resolution) ->
    pass(Resource, Resolution).

pass(Resource, Resolution) ->
    {Result, Resolution1} =
        'Elixir.EctoMiddleware.Engine':yield(Resource, Resolution),
    {cont, Result, Resolution1}.

%% Other middleware may have written before it is refused, so that such a call
%% is not repeated elsewhere.
remote(Resource, Resolution) ->
    case chain(Resource, Resolution) of
        [?MODULE] -> forward(Resource, again, Resolution);
        [?MODULE | _] -> forward(Resource, raise, Resolution);
        _ -> pass(Resource, forward_super(Resolution))
    end.

%% What the primary would run, if it came to this point with this very
%% resource.
chain(Resource, #{args := [Resource | _]} = Resolution) ->
    #{repo := Repo, action := Action, entity := Entity} = Resolution,
    case erlang:function_exported(Repo, middleware, 2) of
        true -> used(Action, Repo:middleware(Action, Entity));
        false -> []
    end;
chain(_Resource, _Resolution) ->
    [].

%% Of a bulk call the engine leaves the others out. One that does not say which
%% may run them all: then we are alone only in a list that names nobody else.
used(Action, Listed) when ?IS_BULK(Action) ->
    Engine = 'Elixir.EctoMiddleware.Engine',
    case erlang:function_exported(Engine, reject_non_bulk_middleware, 2) of
        true -> Engine:reject_non_bulk_middleware(Listed, Action);
        false -> Listed
    end;
used(_Action, Listed) ->
    Listed.

forward(Resource, OnRefusal, #{args := Args} = Resolution) ->
    case run({args, Args}, OnRefusal, Resolution) of
        local -> pass(Resource, Resolution);
        {value, Value} -> {halt, Value}
    end.

forward_super(#{private := #{'__super__' := Super} = Private} = Resolution) ->
    Forward =
        fun(Resource, Below) ->
                Payload = {super, Super, [Resource, Below]},
                case run(Payload, again, Resolution) of
                    local -> Super(Resource, Below);
                    {value, Value} -> Value
                end
        end,
    Resolution#{private := Private#{'__super__' := Forward}}.

run(Payload, OnRefusal, #{repo := Repo, action := Action}) ->
    Options = #{on_refusal => OnRefusal,
                call => fun 'Elixir.EctoLiteFS.RPC':call/3},
    case ecto_litefs_write:run(Repo, Action, Payload, Options) of
        local -> local;
        {done, Value} -> {value, Value};
        {failed, Failure} ->
            {value, ecto_litefs_answer:failed(Failure, Repo, Action)}
    end.
