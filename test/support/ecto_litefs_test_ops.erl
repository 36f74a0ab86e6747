%% Sequences of what an application does with its Repo, as data, so that PropEr
%% can make them up, shrink and print them. ecto_litefs_test_interpreter does
%% what they say.
%%
%% There are few names and few rows, so that operations meet: many names are
%% taken, and rows that one operation has read are changed by another.
-module(ecto_litefs_test_ops).

-export([sequence/0]).
-export([crashes/0]).

-export_type([op/0, ending/0, modifier/0, queryable/0, resource/0, step/0]).

-type op() ::
        {write, Function :: atom(), resource(), [modifier()], options()}
      | {insert_all, [{name(), value()}], options()}
      | {update_all, query(), value(), options()}
      | {delete_all, query(), options()}
      | {get, Id :: integer()}
      | {all | one | 'exists?', queryable()}
      | {sql, Function :: atom(), {iodata(), Params :: list()}, options()}
      | {transaction, api(), fun0 | fun1 | mfa, options(), [op()], ending()}
      | {multi, api(), options(), [step()]}
      | {run_on_primary, fun0 | mfa, options(), [op()], ending()}
      | {with, user | tenant, option(), [op()]}          % default_options/1
      | {in_other_repo, [op()]}                          % put_dynamic_repo/1
      | {rollback, term()}
      | 'in_transaction?'.

%% Functions of the Repo, or EctoLiteFS.transaction/3.
-type api() :: transaction | transact | 'EctoLiteFS.transaction'.

%% Changesets, but for struct and row. stale: of a row that is not there any
%% more, as are the others where there is none of that name.
-type resource() ::
        {new | struct, name(), value()}
      | {stored | stale, name(), [{name | value, name() | value()}]}
      | {row, name()}.

%% The operations of a hook run in prepare_changes.
-type modifier() :: unique | {hook, [op()], ending()}.

%% How a fun ends that has done its operations.
-type ending() ::
        {value | ok | error | rollback | raise | exit | throw, term()}
      | {crash, term()}              % with Erlang's own errors
      | {last, op()}.

-type step() ::
        {insert | update | delete | insert_or_update, resource(), [modifier()]}
      | {insert_all, [{name(), value()}], options()}
      | {update_all, query(), value()}
      | {delete_all, query()}
      | {all | one | 'exists?', queryable()}
      | {put | error, term()}
      | {run, fun0 | mfa, [op()], ending()}
      | {merge, fun0 | mfa, [step()]}
      | {given, step()}              % by a fun of the changes so far
      | {same_name, step()}.         % as the first one has

-type queryable() :: items | query().
-type query() :: {named | selected, name()}.
-type option() :: {atom(), term()}.
-type options() :: [option()].
-type name() :: binary() | nil.
-type value() :: integer() | nil.

-define(T, proper_types).
-define(DEPTH, 3).

-spec sequence() -> proper_types:raw_type().
sequence() ->
    Outermost = {in_other_repo, ops(transaction, ?DEPTH)},
    ?T:list(?T:frequency([{12, op(transaction, ?DEPTH)}, {1, Outermost}])).

%% Inside: of a `call` it is known that it is in no transaction; there a BEGIN
%% would leave one open on the primary, for whoever comes next.
ops(Inside, Depth) ->
    ?T:resize(4, ?T:list(op(Inside, Depth))).

op(Inside, Depth) ->
    ?T:frequency(reads() ++ writes([]) ++ writes([unique]) ++ bulk()
                 ++ [{12, sql()}, {1, {rollback, anything()}}]
                 ++ [{1, 'in_transaction?'}]
                 ++ [{1, control()} || Inside =:= transaction]
                 ++ nested(Inside, Depth)).

nested(_Inside, 0) ->
    [];
nested(Inside, Depth) ->
    Lazy = fun(Type) -> ?T:lazy(fun() -> Type(Depth - 1) end) end,
    Ops = Lazy(fun(D) -> ops(transaction, D) end),
    Ending = Lazy(fun(D) -> ending(transaction, D) end),
    [{7, {transaction, api(), ?T:elements([fun0, fun1, mfa]),
          transaction_options(), Ops, Ending}},
     {7, {multi, api(), transaction_options(), Lazy(fun steps/1)}},
     {3, {multi, api(), transaction_options(), reading_steps()}},
     {2, {run_on_primary, work(), ?T:elements([[], [{timeout, infinity}]]),
          Lazy(fun(D) -> ops(call, D) end),
          Lazy(fun(D) -> ending(call, D) end)}},
     {5, {with, ?T:elements([user, tenant]), default_option(),
          Lazy(fun(D) -> ops(Inside, D) end)}}
     | writes([{hook, Ops, Ending}])].

ending(Inside, Depth) ->
    How = [value, value, value, ok, ok, error, rollback, raise, exit, throw],
    ?T:frequency([{12, {?T:elements(How), anything()}},
                  {1, {crash, ?T:elements(crashes())}},
                  {2, {last, op(Inside, Depth)}}]).

%% Some are words of erpc's, which carries the calls.
-spec crashes() -> [term()].
crashes() ->
    [badarg, {erpc, timeout}, {erpc, noconnection}, {exception, badarg, []},
     <<"attempt to write a readonly database">>].

api() -> ?T:elements([transaction, transact, 'EctoLiteFS.transaction']).

work() -> ?T:elements([fun0, mfa]).

transaction_options() ->
    ?T:frequency([{4, []}, {2, [{read_only, true}]}, {1, [{mode, immediate}]},
                  {1, [{mode, immediate}, {timeout, infinity}]},
                  {1, [{read_only, true}, {mode, immediate}]}]).

%% Some of them can be seen in what insert_all and a transaction do.
default_option() ->
    ?T:elements([{tenant, 1}, {tenant, 2}, {returning, true},
                 {on_conflict, nothing}, {mode, immediate}]).

%%% Multi

steps(Depth) ->
    ?T:resize(8, ?T:list(step(Depth))).

step(Depth) ->
    in_its_way(reads_of_a_multi() ++ writes_of_a_multi() ++ works(Depth)).

reading_steps() ->
    ?T:resize(5, ?T:list(in_its_way(reads_of_a_multi()))).

in_its_way(Steps) ->
    Step = ?T:frequency(Steps),
    ?T:frequency([{9, Step}, {2, {given, Step}}, {1, {same_name, Step}}]).

reads_of_a_multi() ->
    [{5, {put, anything()}}, {1, {error, anything()}} | selects()].

writes_of_a_multi() ->
    Modifiers = ?T:elements([[], [unique]]),
    [{6, {insert, new(), Modifiers}},
     {3, {update, stored(), Modifiers}},
     {2, {delete, ?T:oneof([unchanged(), {row, name()}]), []}},
     {2, {insert_or_update, ?T:oneof([new(), stored()]), Modifiers}},
     {1, {insert_all, rows(), options([{returning, true}])}},
     {1, {update_all, query(), value()}},
     {1, {delete_all, query()}}].

works(Depth) ->
    Ops = ?T:lazy(fun() -> ops(transaction, Depth) end),
    Ending = ?T:frequency([{2, {ok, anything()}}, {1, ending(transaction, 0)}]),
    [{3, {run, work(), Ops, Ending}}
     | [{2, {merge, work(), ?T:lazy(fun() -> steps(Depth - 1) end)}}
        || Depth > 0]].

%%% Single operations

reads() ->
    [{2, {get, ?T:range(1, 4)}} | selects()].

selects() ->
    [{2, {Function, ?T:frequency([{1, items}, {3, query()}])}}
     || Function <- [all, one, 'exists?']].

%% A bare struct has no modifiers.
writes(Modifiers) ->
    Changesets = [{insert, new()}, {update, stored()}, {delete, unchanged()},
                  {insert_or_update, ?T:oneof([new(), stored()])}],
    Structs = [{insert, {struct, ?T:elements([nil | names()]), value()}},
               {delete, {row, name()}}],
    All = Changesets ++ [Struct || Modifiers =:= [], Struct <- Structs],
    [{1, {write, ?T:oneof([Function, bang(Function)]), Resource, Modifiers,
          options([])}} || {Function, Resource} <- All].

bang(Function) -> list_to_atom(atom_to_list(Function) ++ "!").

bulk() ->
    [{2, {insert_all, rows(),
          options([{returning, true}, {on_conflict, nothing}])}},
     {2, {update_all, query(), value(), options([])}},
     {2, {delete_all, query(), options([])}}].

new() -> {new, name_or_none(), value()}.

stored() ->
    Changes = ?T:oneof([{value, value()}, {name, name_or_none()}]),
    {?T:frequency([{5, stored}, {1, stale}]), name(),
     ?T:resize(2, ?T:list(Changes))}.

unchanged() -> {?T:frequency([{3, stored}, {1, stale}]), name(), []}.

rows() -> ?T:resize(3, ?T:list({name(), value()})).

query() -> {?T:elements([named, selected]), name()}.

name() -> ?T:elements(names()).

name_or_none() -> ?T:frequency([{9, name()}, {1, <<>>}]).

names() -> [<<"ann">>, <<"bob">>, <<"cid">>, <<"dan">>, <<"eve">>].

value() -> ?T:elements([1, 2, nil]).

options(More) ->
    All = [{given, 1}, {timeout, infinity} | More],
    ?T:oneof([[], ?T:elements([[Option] || Option <- All])]).

%% Values that are the library's own words somewhere, or SQLite's.
anything() ->
    ?T:elements([1, nil, <<"cid">>, normal, local, {done, 1}, {exception, 1},
                 {error, overloaded}, {error, {erpc, timeout, 'a@b'}},
                 <<"attempt to write a readonly database">>,
                 <<"database is locked">>]).

%%% SQL

sql() ->
    {sql, query_function(), ecto_litefs_test_statements:any(name(), value()),
     ?T:frequency([{6, []}, {2, [{on, primary}]}, {1, [{on, local}]}])}.

control() ->
    {sql, query_function(),
     {?T:elements(ecto_litefs_test_statements:controls()), []},
     ?T:frequency([{3, []}, {1, [{on, primary}]}])}.

query_function() ->
    ?T:frequency([{9, query}, {9, 'query!'}, {1, query_many},
                  {1, 'query_many!'}]).
