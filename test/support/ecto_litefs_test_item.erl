%% The one schema of the stand-ins, shaped like Ecto's structs: a table `items`
%% with a unique name and a value, and changesets of it.
%%
%%   Item = ecto_litefs_test_item:new(),
%%   Changeset = ecto_litefs_test_item:changeset(Item, #{name => <<"ann">>}),
%%   {ok, Item1} = 'Elixir.TestRepo':insert(Changeset, []).
-module(ecto_litefs_test_item).

-export([new/0]).
-export([new/1]).
-export([loaded/3]).
-export([changeset/2]).
-export([change/1]).
-export([unique_constraint/1]).
-export([prepare_changes/2]).
-export([apply_changes/2]).
-export([add_error/3]).
-export([state/1]).

-export_type([item/0]).
-export_type([changeset/0]).

-define(STRUCT, 'Elixir.TestItem').

-type item() :: #{'__struct__' := atom(), atom() => term()}.
-type changeset() :: #{'__struct__' := atom(), atom() => term()}.

-spec new() -> item().
new() ->
    new(#{}).

-spec new(#{atom() => term()}) -> item().
new(Fields) ->
    maps:merge(#{'__struct__' => ?STRUCT, '__meta__' => meta(built),
                 id => nil, name => nil, value => nil}, Fields).

%% A row as it was read.
-spec loaded(integer(), binary(), integer() | null) -> item().
loaded(Id, Name, Value) ->
    (new(#{id => Id, name => Name, value => from_null(Value)}))
        #{'__meta__' := meta(loaded)}.

-spec changeset(item(), #{atom() => term()}) -> changeset().
changeset(Item, Params) ->
    Changes = maps:filter(fun(Key, Value) -> maps:get(Key, Item) =/= Value end,
                          maps:with([name, value], Params)),
    Changeset = #{'__struct__' => 'Elixir.Ecto.Changeset',
                  data => Item, params => Params, changes => Changes,
                  errors => [], 'valid?' => true, action => nil,
                  constraints => [], prepare => [], repo => nil},
    case maps:get(name, maps:merge(Item, Changes)) of
        Name when is_binary(Name), Name =/= <<>> ->
            Changeset;
        _ ->
            add_error(Changeset, name,
                      {<<"can't be blank">>, [{validation, required}]})
    end.

%% Of a bare struct, as Ecto.Changeset.change/1: nothing is validated.
-spec change(item()) -> changeset().
change(Item) ->
    (changeset(Item, #{}))#{errors := [], 'valid?' := true}.

%% Declares the unique index, as Ecto.Changeset.unique_constraint/2 does: its
%% violation becomes an error of the changeset instead of an exception.
-spec unique_constraint(changeset()) -> changeset().
unique_constraint(#{constraints := Constraints} = Changeset) ->
    Constraint = #{type => unique, field => name,
                   constraint => <<"items_name_index">>,
                   error_message => <<"has already been taken">>},
    Changeset#{constraints := [Constraint | Constraints]}.

%% Runs in the transaction of the write, before it.
-spec prepare_changes(changeset(), fun((changeset()) -> changeset())) ->
          changeset().
prepare_changes(#{prepare := Prepare} = Changeset, Fun) ->
    Changeset#{prepare := [Fun | Prepare]}.

-spec apply_changes(changeset(), built | loaded | deleted) -> item().
apply_changes(#{data := Item, changes := Changes}, State) ->
    (maps:merge(Item, Changes))#{'__meta__' := meta(State)}.

-spec add_error(changeset(), atom(), {binary(), list()}) -> changeset().
add_error(#{errors := Errors} = Changeset, Field, Error) ->
    Changeset#{errors := [{Field, Error} | Errors], 'valid?' := false}.

-spec state(item()) -> built | loaded | deleted.
state(#{'__meta__' := #{state := State}}) ->
    State.

meta(State) ->
    #{'__struct__' => 'Elixir.Ecto.Schema.Metadata',
      state => State, source => <<"items">>, schema => ?STRUCT}.

from_null(null) -> nil;
from_null(Value) -> Value.
