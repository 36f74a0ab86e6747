%% What goes along of the caller's process: the keys of its dictionary that the
%% option `propagate` names, and what its Repo adds to the options of each call.
%% The call runs in a process of its own, so that changes do not come back.
-module(ecto_litefs_context).

-export([collect/1]).
-export([apply/1]).
-export([with_default_options/3]).

-export_type([t/0]).

-type t() :: [{Key :: term(), Value :: term()}].

%% The calling process is the first of the callers, as Elixir's Task has it.
-spec collect([term()]) -> t().
collect(Keys) ->
    [{Key, Value} || Key <- Keys, Value <- values(Key, get(Key))].

values('$callers', undefined) -> [[self()]];
values('$callers', Callers) -> [[self() | Callers]];
values(_Key, undefined) -> [];
values(_Key, Value) -> [Value].

-spec apply(t()) -> ok.
apply(Context) ->
    lists:foreach(fun({Key, Value}) -> put(Key, Value) end, Context).

%% Ecto asks Repo:default_options/1 where the call runs. A tenant in the
%% caller's process would be unknown there, so that it is asked here, too; what
%% it answers there is overruled.
-spec with_default_options(module(), atom(), [term()]) -> [term()].
with_default_options(Repo, Action, Args) ->
    Asks = erlang:function_exported(Repo, default_options, 1),
    case operation(Action) of
        none -> Args;
        Operation when Asks -> merge(Repo:default_options(Operation), Args);
        _Operation -> Args
    end.

merge([], Args) ->
    Args;
merge(Defaults, Args) ->
    {Before, [Given]} = lists:split(length(Args) - 1, Args),
    Missing = [Default || {Key, _} = Default <- Defaults,
                          not lists:keymember(Key, 1, Given)],
    Before ++ [Missing ++ Given].

%% In Ecto's words, which knows no function with an exclamation mark here, and
%% does not ask for those of raw SQL.
operation('insert!') -> insert;
operation('update!') -> update;
operation('delete!') -> delete;
operation('insert_or_update!') -> insert_or_update;
operation(transact) -> transaction;
operation(query) -> none;
operation('query!') -> none;
operation(query_many) -> none;
operation('query_many!') -> none;
operation(Action) -> Action.
