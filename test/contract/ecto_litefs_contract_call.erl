%% The calls of the table, on the caller: what `Input` means as the arguments of
%% a Repo function, and the call itself.
-module(ecto_litefs_contract_call).

-export([arguments/3]).
-export([perform/4]).

%% Called on the primary, as {Module, Function, Args}.
-export([steps/2]).

-type step() :: {Action :: atom(), Args :: [term()]}
              | {rollback, term()}
              | {hook, fun(() -> term())}.

%% Before the call: what it takes from the database is read.
-spec arguments(module(), module(), ecto_litefs_contract:input()) -> [term()].
arguments(Words, Repo, {Resource, Modifiers}) ->
    args(Resource, Modifiers, {Words, Repo})
        ++ [Options || {options, Options} <- Modifiers].

args(table, _Modifiers, {Words, _Repo}) ->
    [Words:table()];
args({sql, Text, Params}, _Modifiers, _World) ->
    [Text, Params];
args({rows, Rows}, Modifiers, {Words, _Repo} = World) ->
    Words:rows([Row#{name := name(Name, Modifiers, World)}
                || #{name := Name} = Row <- Rows]);
args({named, Name}, Modifiers, World) ->
    [query(Name, Modifiers, World)];
args({named, Name, Set}, Modifiers, World) ->
    [query(Name, Modifiers, World), [{set, maps:to_list(Set)}]];
args({struct, Fields}, _Modifiers, {Words, _Repo}) ->
    [Words:item(Fields)];
args({new, Params}, Modifiers, {Words, _Repo} = World) ->
    [changeset(Words:item(#{}), Params, Modifiers, World)];
args({Stored, Name, Params}, Modifiers, {Words, Repo} = World)
  when Stored =:= stored; Stored =:= gone ->
    [changeset(Words:stored(Repo, Name), Params, Modifiers, World)];
args({Stored, Name}, _Modifiers, {Words, Repo})
  when Stored =:= stored_struct; Stored =:= gone_struct ->
    [Words:stored(Repo, Name)];
args({multi, Steps}, Modifiers, World) ->
    [multi(Steps ++ hooks(Modifiers), World)];
args({mfa, Steps}, Modifiers, {_Words, Repo} = World) ->
    [{?MODULE, steps, [Repo, prepared(Steps ++ hooks(Modifiers), World)]}];
args({'fun', Steps}, Modifiers, {_Words, Repo} = World) ->
    Prepared = prepared(Steps ++ hooks(Modifiers), World),
    [fun() -> steps(Repo, Prepared) end].

query(Name, Modifiers, {Words, _Repo} = World) ->
    Query = Words:named(name(Name, Modifiers, World)),
    case lists:member(select, Modifiers) of
        true -> Words:select(Query);
        false -> Query
    end.

name(Name, Modifiers, {Words, _Repo} = World) ->
    case hooks(Modifiers) of
        [] -> Name;
        [{hook, Hook}] -> Words:hooked(Name, hook(Hook, World))
    end.

changeset(Item, Params, Modifiers, {Words, _Repo} = World) ->
    lists:foldl(fun(Modifier, Changeset) -> modify(Modifier, Changeset, World)
                end, Words:changeset(Item, Params), Modifiers).

modify(unique, Changeset, {Words, _Repo}) ->
    Words:unique(Changeset);
modify({hook, Hook}, Changeset, {Words, _Repo} = World) ->
    Run = hook(Hook, World),
    Words:prepare(Changeset, fun(Prepared) -> _ = Run(), Prepared end);
modify(_NotOfAChangeset, Changeset, _World) ->
    Changeset.

%%% The user's own code

hooks(Modifiers) ->
    [Hook || {hook, _} = Hook <- Modifiers].

hook({insert, Name}, {Words, Repo}) ->
    Item = Words:item(#{name => Name}),
    fun() -> Repo:'insert!'(Item) end;
hook(raise, _World) ->
    fun() -> error(#{'__struct__' => 'Elixir.ArgumentError',
                     '__exception__' => true, message => <<"from the hook">>})
    end;
hook(exit, _World) ->
    fun() -> exit({from, hook}) end;
hook(throw, _World) ->
    fun() -> throw({from, hook}) end.

%%% Steps

prepared(Steps, World) ->
    [step(Step, World) || Step <- Steps].

step({rollback, _Value} = Step, _World) -> Step;
step({hook, Hook}, World) -> {hook, hook(Hook, World)};
step({Action, Input}, {Words, Repo}) -> {Action, arguments(Words, Repo, Input)}.

%% Gives what the last one gives.
-spec steps(module(), [step()]) -> term().
steps(Repo, Steps) ->
    lists:foldl(fun(Step, _Before) -> do(Repo, Step) end, nothing, Steps).

do(Repo, {rollback, Value}) -> Repo:rollback(Value);
do(_Repo, {hook, Hook}) -> Hook();
do(Repo, {Action, Args}) -> call(Repo, Action, Args).

%% Their names are 1, 2, 3...
multi(Steps, World) ->
    Numbered = lists:zip(lists:seq(1, length(Steps)), Steps),
    lists:foldl(fun({Name, Step}, Multi) -> operation(Name, Step, Multi, World)
                end, 'Elixir.Ecto.Multi':new(), Numbered).

operation(Name, {run, Step}, Multi, World) ->
    Prepared = step(Step, World),
    Run = fun(Repo, _Changes) -> do(Repo, Prepared) end,
    'Elixir.Ecto.Multi':run(Multi, Name, Run);
operation(Name, {hook, _} = Step, Multi, World) ->
    operation(Name, {run, Step}, Multi, World);
operation(Name, {Operation, Input}, Multi, {Words, Repo}) ->
    Args = arguments(Words, Repo, Input),
    apply('Elixir.Ecto.Multi', Operation, [Multi, Name | Args]).

%%% The call

-spec perform(Where :: term(), module(), Action :: atom(), [term()]) -> term().
perform({in_transaction, Where}, Repo, Action, Args) ->
    Options = [{read_only, true} || ecto_litefs_contract_state:'line?'(Where)],
    {ok, Value} = Repo:transaction(fun() -> call(Repo, Action, Args) end,
                                   Options),
    Value;
perform(_Where, Repo, Action, Args) ->
    call(Repo, Action, Args).

call(Repo, 'EctoLiteFS.transaction', Args) ->
    apply('Elixir.EctoLiteFS', transaction, [Repo | Args]);
call(Repo, 'EctoLiteFS.run_on_primary', Args) ->
    apply('Elixir.EctoLiteFS', run_on_primary, [Repo | Args]);
call(Repo, Action, Args) ->
    apply(Repo, Action, Args).
