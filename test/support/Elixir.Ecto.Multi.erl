%% A stand-in for Ecto.Multi: the same struct and the same operations, so that
%% what looks into a real one can be tested on it. Where Ecto keeps a fun of
%% its own, so does this module, one expression for each that Ecto has.
-module('Elixir.Ecto.Multi').

-export([new/0]).
-export([put/3, error/3, inspect/1, inspect/2]).
-export([run/3, run/5, merge/2, merge/4]).
-export([insert/3, insert/4, update/3, update/4, delete/3, delete/4]).
-export([insert_or_update/3, insert_or_update/4]).
-export([insert_all/4, insert_all/5, update_all/4, update_all/5]).
-export([delete_all/3, delete_all/4]).
-export([one/3, one/4, all/3, all/4, 'exists?'/3, 'exists?'/4]).

%% Called by the Repo.
-export(['__apply__'/4]).

-export_type([t/0]).
-export_type([operation/0]).

-compile({no_auto_import, [error/3]}).

-define(IS_CHANGESET(Term),
        (is_map_key('__struct__', Term)
         andalso map_get('__struct__', Term) =:= 'Elixir.Ecto.Changeset')).

-type t() :: #{'__struct__' := 'Elixir.Ecto.Multi',
               operations := [{name(), operation()}], % the newest first
               names := #{atom() => term()}}.         % a MapSet
-type name() :: term().
-type changes() :: #{name() => term()}.
-type run() :: fun((Repo :: module(), changes()) -> {ok | error, term()}).
-type merge() :: fun((changes()) -> t()).
-type given(Type) :: Type | fun((changes()) -> Type).
-type options() :: [{atom(), term()}].
-type operation() ::
        {changeset, changeset(), options()} % its action says which
      | {run, run() | mfargs()}
      | {put, term()}
      | {inspect, options()}
      | {error, term()}
      | {merge, merge() | mfargs()}
      | {insert_all, Schema :: term(), Rows :: term(), options()}
      | {update_all, Query :: term(), Updates :: term(), options()}
      | {delete_all, Query :: term(), options()}.
-type mfargs() :: {module(), atom(), [term()]}.
-type changeset() :: ecto_litefs_test_item:changeset().
-type item() :: ecto_litefs_test_item:item().

-spec new() -> t().
new() ->
    #{'__struct__' => ?MODULE, operations => [],
      names => #{'__struct__' => 'Elixir.MapSet', map => #{}, version => 2}}.

-spec put(t(), name(), term()) -> t().
put(Multi, Name, Value) ->
    add(Multi, Name, {put, Value}).

-spec error(t(), name(), term()) -> t().
error(Multi, Name, Value) ->
    add(Multi, Name, {error, Value}).

-spec inspect(t()) -> t().
inspect(Multi) ->
    inspect(Multi, []).

-spec inspect(t(), options()) -> t().
inspect(Multi, Options) ->
    nameless(Multi, {inspect, Options}).

-spec run(t(), name(), run()) -> t().
run(Multi, Name, Run) when is_function(Run, 2) ->
    add(Multi, Name, {run, Run}).

-spec run(t(), name(), module(), atom(), [term()]) -> t().
run(Multi, Name, Module, Function, Args) ->
    add(Multi, Name, {run, {Module, Function, Args}}).

-spec merge(t(), merge()) -> t().
merge(Multi, Merge) when is_function(Merge, 1) ->
    nameless(Multi, {merge, Merge}).

-spec merge(t(), module(), atom(), [term()]) -> t().
merge(Multi, Module, Function, Args) ->
    nameless(Multi, {merge, {Module, Function, Args}}).

%%% Changesets, structs, and funs that give one

-spec insert(t(), name(), given(changeset() | item())) -> t().
insert(Multi, Name, Given) ->
    insert(Multi, Name, Given, []).

-spec insert(t(), name(), given(changeset() | item()), options()) -> t().
insert(Multi, Name, Given, Options) ->
    write(Multi, insert, Name, Given, Options).

-spec update(t(), name(), given(changeset())) -> t().
update(Multi, Name, Given) ->
    update(Multi, Name, Given, []).

-spec update(t(), name(), given(changeset()), options()) -> t().
update(Multi, Name, Given, Options)
  when is_function(Given, 1); ?IS_CHANGESET(Given) ->
    write(Multi, update, Name, Given, Options).

-spec delete(t(), name(), given(changeset() | item())) -> t().
delete(Multi, Name, Given) ->
    delete(Multi, Name, Given, []).

-spec delete(t(), name(), given(changeset() | item()), options()) -> t().
delete(Multi, Name, Given, Options) ->
    write(Multi, delete, Name, Given, Options).

-spec insert_or_update(t(), name(), given(changeset())) -> t().
insert_or_update(Multi, Name, Given) ->
    insert_or_update(Multi, Name, Given, []).

-spec insert_or_update(t(), name(), given(changeset()), options()) -> t().
insert_or_update(Multi, Name, Fun, Options) when is_function(Fun, 1) ->
    write(Multi, insert_or_update, Name, Fun, Options);
insert_or_update(Multi, Name, #{data := Item} = Changeset, Options) ->
    case ecto_litefs_test_item:state(Item) of
        loaded -> write(Multi, update, Name, Changeset, Options);
        _ -> write(Multi, insert, Name, Changeset, Options)
    end.

write(Multi, Action, Name, Fun, Options) when is_function(Fun, 1) ->
    run(Multi, Name, operation_fun({Action, Fun}, Options));
write(Multi, Action, Name, Changeset, Options) when ?IS_CHANGESET(Changeset) ->
    add(Multi, Name, {changeset, with_action(Action, Changeset), Options});
write(Multi, Action, Name, Item, Options) ->
    write(Multi, Action, Name, ecto_litefs_test_item:change(Item), Options).

with_action(Action, #{action := Before} = Changeset)
  when Before =:= nil; Before =:= Action ->
    Changeset#{action := Action};
with_action(Action, #{action := Before}) ->
    ecto_litefs_test_error:raise('Elixir.ArgumentError',
                                 "the action of the changeset is ~p, not ~p",
                                 [Before, Action]).

%%% Bulk functions

-spec insert_all(t(), name(), term(), given(term())) -> t().
insert_all(Multi, Name, Schema, Given) ->
    insert_all(Multi, Name, Schema, Given, []).

-spec insert_all(t(), name(), term(), given(term()), options()) -> t().
insert_all(Multi, Name, Schema, Fun, Options) when is_function(Fun, 1) ->
    run(Multi, Name, operation_fun({insert_all, Schema, Fun}, Options));
insert_all(Multi, Name, Schema, Rows, Options) ->
    add(Multi, Name, {insert_all, Schema, Rows, Options}).

-spec update_all(t(), name(), given(term()), term()) -> t().
update_all(Multi, Name, Given, Updates) ->
    update_all(Multi, Name, Given, Updates, []).

-spec update_all(t(), name(), given(term()), term(), options()) -> t().
update_all(Multi, Name, Fun, Updates, Options) when is_function(Fun, 1) ->
    run(Multi, Name, operation_fun({update_all, Fun, Updates}, Options));
update_all(Multi, Name, Query, Updates, Options) ->
    add(Multi, Name, {update_all, Query, Updates, Options}).

-spec delete_all(t(), name(), given(term())) -> t().
delete_all(Multi, Name, Given) ->
    delete_all(Multi, Name, Given, []).

-spec delete_all(t(), name(), given(term()), options()) -> t().
delete_all(Multi, Name, Fun, Options) when is_function(Fun, 1) ->
    run(Multi, Name, operation_fun({delete_all, Fun}, Options));
delete_all(Multi, Name, Query, Options) ->
    add(Multi, Name, {delete_all, Query, Options}).

%%% Reads

-spec one(t(), name(), given(term())) -> t().
one(Multi, Name, Given) ->
    one(Multi, Name, Given, []).

-spec one(t(), name(), given(term()), options()) -> t().
one(Multi, Name, Fun, Options) when is_function(Fun, 1) ->
    run(Multi, Name, operation_fun({one, Fun}, Options));
one(Multi, Name, Query, Options) ->
    one(Multi, Name, fun(_Changes) -> Query end, Options).

-spec all(t(), name(), given(term())) -> t().
all(Multi, Name, Given) ->
    all(Multi, Name, Given, []).

-spec all(t(), name(), given(term()), options()) -> t().
all(Multi, Name, Fun, Options) when is_function(Fun, 1) ->
    run(Multi, Name, operation_fun({all, Fun}, Options));
all(Multi, Name, Query, Options) ->
    all(Multi, Name, fun(_Changes) -> Query end, Options).

-spec 'exists?'(t(), name(), given(term())) -> t().
'exists?'(Multi, Name, Given) ->
    'exists?'(Multi, Name, Given, []).

-spec 'exists?'(t(), name(), given(term()), options()) -> t().
'exists?'(Multi, Name, Fun, Options) when is_function(Fun, 1) ->
    run(Multi, Name, operation_fun({'exists?', Fun}, Options));
'exists?'(Multi, Name, Query, Options) ->
    'exists?'(Multi, Name, fun(_Changes) -> Query end, Options).

%%% The funs, which the Repo calls as it calls those of run/3

operation_fun({update_all, Fun, Updates}, Options) ->
    fun(Repo, Changes) ->
            {ok, Repo:update_all(Fun(Changes), Updates, Options)}
    end;
operation_fun({insert_all, Schema, Fun}, Options) ->
    fun(Repo, Changes) ->
            {ok, Repo:insert_all(Schema, Fun(Changes), Options)}
    end;
operation_fun({delete_all, Fun}, Options) ->
    fun(Repo, Changes) -> {ok, Repo:delete_all(Fun(Changes), Options)} end;
operation_fun({one, Fun}, Options) ->
    fun(Repo, Changes) -> {ok, Repo:one(Fun(Changes), Options)} end;
operation_fun({all, Fun}, Options) ->
    fun(Repo, Changes) -> {ok, Repo:all(Fun(Changes), Options)} end;
operation_fun({'exists?', Fun}, Options) ->
    fun(Repo, Changes) -> {ok, Repo:'exists?'(Fun(Changes), Options)} end;
operation_fun({Action, Fun}, Options) ->
    fun(Repo, Changes) -> Repo:Action(Fun(Changes), Options) end.

add(#{operations := Operations, names := Names} = Multi, Name, Operation) ->
    #{map := Map} = Names,
    case is_map_key(Name, Map) of
        false ->
            Multi#{operations := [{Name, Operation} | Operations],
                   names := Names#{map := Map#{Name => []}}};
        true ->
            ecto_litefs_test_error:raise('Elixir.RuntimeError',
                                         "~p is in the Ecto.Multi already",
                                         [Name])
    end.

%% It has the name of its kind, which may be there several times.
nameless(#{operations := Operations} = Multi, {Kind, _} = Operation) ->
    Multi#{operations := [{Kind, Operation} | Operations]}.

-spec '__apply__'(t(), module(), ecto_litefs_test_multi:wrap(),
                  ecto_litefs_test_multi:return()) ->
          {ok, changes()} | {error, term()}.
'__apply__'(Multi, Repo, Wrap, Return) ->
    ecto_litefs_test_multi:run(Multi, Repo, Wrap, Return).
