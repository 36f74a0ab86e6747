%% The Ecto.Multi that the steps of ecto_litefs_test_ops say. The name of each
%% operation tells whether it writes, and its place; those of a Multi that is
%% merged have the place of the merge, too.
-module(ecto_litefs_test_steps).

-export([multi/2]).

%% Called by name.
-export([run/4]).
-export([merge/4]).

-type step() :: ecto_litefs_test_ops:step().
-type place() :: [pos_integer()].

-define(MULTI, 'Elixir.Ecto.Multi').
-define(INTERPRETER, ecto_litefs_test_interpreter).

-spec multi([step()], module()) -> ?MULTI:t().
multi(Steps, Repo) ->
    multi(Steps, [], Repo).

multi(Steps, Prefix, Repo) ->
    lists:foldl(fun({Index, Step}, Multi) ->
                        add(Step, [Index | Prefix], Multi, Repo)
                end, ?MULTI:new(), lists:enumerate(Steps)).

add({same_name, Step}, [_Index | Prefix], Multi, Repo) ->
    add(Step, [1 | Prefix], Multi, Repo);
add({given, Step}, Place, Multi, Repo) ->
    As = fun(Make) -> fun(_Changes) -> Make() end end,
    step(Step, {kind(Step), Place}, Multi, As, Repo);
add(Step, Place, Multi, Repo) ->
    As = fun(Make) -> Make() end,
    step(Step, {kind(Step), Place}, Multi, As, Repo).

kind(Step) ->
    case lists:member(element(1, Step), [put, error, all, one, 'exists?']) of
        true -> reads;
        false -> writes
    end.

%% As: as it is, or made by a fun of the changes so far.
step({put, Value}, Name, Multi, _As, _Repo) ->
    ?MULTI:put(Multi, Name, Value);
step({error, Value}, Name, Multi, _As, _Repo) ->
    ?MULTI:error(Multi, Name, Value);
step({insert_all, Rows, Options}, Name, Multi, As, _Repo) ->
    Given = As(fun() -> ?INTERPRETER:rows(Rows) end),
    ?MULTI:insert_all(Multi, Name, items, Given, Options);
step({update_all, Query, Value}, Name, Multi, As, _Repo) ->
    Given = As(fun() -> ?INTERPRETER:queryable(Query) end),
    ?MULTI:update_all(Multi, Name, Given, [{set, [{value, Value}]}]);
step({run, Form, Ops, Ending}, Name, Multi, _As, _Repo) ->
    add_run(Form, Multi, Name, [Ops, Ending]);
step({merge, Form, Steps}, {_Kind, Place}, Multi, _As, Repo) ->
    add_merge(Form, Multi, [Steps, Place, Repo]);
step({Write, Resource, Modifiers}, Name, Multi, As, Repo) ->
    Given = As(fun() -> ?INTERPRETER:resource(Resource, Modifiers, Repo) end),
    ?MULTI:Write(Multi, Name, Given);
step({ReadOrDeleteAll, Queryable}, Name, Multi, As, _Repo) ->
    Given = As(fun() -> ?INTERPRETER:queryable(Queryable) end),
    ?MULTI:ReadOrDeleteAll(Multi, Name, Given).

add_run(mfa, Multi, Name, Args) ->
    ?MULTI:run(Multi, Name, ?MODULE, run, Args);
add_run(fun0, Multi, Name, [Ops, Ending]) ->
    ?MULTI:run(Multi, Name, fun(Repo, Changes) ->
                                    run(Repo, Changes, Ops, Ending)
                            end).

%% Its value has the names of what was done before.
-spec run(module(), map(), [ecto_litefs_test_ops:op()],
          ecto_litefs_test_ops:ending()) -> term().
run(Repo, Changes, Ops, Ending) ->
    case ?INTERPRETER:call(Ops, Ending, Repo) of
        {ok, Value} -> {ok, {Value, maps:keys(Changes)}};
        Other -> Other
    end.

add_merge(mfa, Multi, Args) ->
    ?MULTI:merge(Multi, ?MODULE, merge, Args);
add_merge(fun0, Multi, Args) ->
    ?MULTI:merge(Multi, fun(Changes) ->
                                apply(?MODULE, merge, [Changes | Args])
                        end).

-spec merge(map(), [step()], place(), module()) -> ?MULTI:t().
merge(_Changes, Steps, Place, Repo) ->
    multi(Steps, Place, Repo).
