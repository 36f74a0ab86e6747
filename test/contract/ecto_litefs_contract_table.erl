%% Reads test/contract/cases.terms: the cells of its grid, and the cases that
%% are written out. Its head says what a call and a column are.
-module(ecto_litefs_contract_table).

-export([cases/1]).
-export([impossible/1]).
-export([name/2]).

-define(SEEDS, [{seed, <<"ann">>}, {seed, <<"eve">>}]).
-define(ERROR, 'Elixir.EctoLiteFS.Error').

%% Where a case is written out that has the name of a cell, it takes its place.
-spec cases(file:filename()) -> [ecto_litefs_contract:spec()].
cases(File) ->
    {ok, Terms} = file:consult(File),
    Cases = [Case || {_, _, _, _, _} = Case <- Terms],
    [Cell || {Name, _, _, _, _} = Cell <- cells(Terms),
             not lists:keymember(Name, 1, Cases)] ++ Cases.

%% The names of the cells that cannot be.
-spec impossible(file:filename()) -> [atom()].
impossible(File) ->
    {ok, Terms} = file:consult(File),
    excluded(Terms).

excluded(Terms) ->
    [name(Column, Function) || {impossible, Columns, Functions, _Why} <- Terms,
                               Column <- Columns, Function <- Functions].

%% Of the cell in that column for that function.
-spec name(Column :: atom(), Function :: atom()) -> atom().
name(Column, Function) ->
    list_to_atom(lists:concat([Column, "_", Function])).

cells(Terms) ->
    Excluded = excluded(Terms),
    [Cell || {column, _, _, Case, _, _} = Column <- Terms,
             {call, Which, _, _, _, _} = Call <- Terms, Which =:= Case,
             Cell <- [cell(Column, Call, Terms)],
             not lists:member(element(1, Cell), Excluded)].

cell({column, Column, Where, _, More, Outcome},
     {call, _, Action, {Resource, Modifiers}, Result, Rows}, Terms) ->
    {name(Column, function(Action, Resource)), Where, Action,
     {Resource, Modifiers ++ More ++ ?SEEDS},
     expected(Outcome, Result, Rows, failing(Action, Terms))}.

function(Action, {Kind, _Steps})
  when Kind =:= 'fun'; Kind =:= multi; Kind =:= mfa ->
    name(Action, Kind);
function(Action, _Resource) ->
    Action.

%% Its own way to fail, and its name in the exception.
failing(Action, Terms) ->
    [How] = [How || {fails, How, Actions} <- Terms,
                    lists:member(Action, Actions)],
    {How, error_action(Action)}.

error_action('EctoLiteFS.transaction') -> transaction;
error_action('EctoLiteFS.run_on_primary') -> run_on_primary;
error_action(Action) -> Action.

expected(here, Result, Rows, _) ->
    #{result => Result, caller => Rows, primary => unchanged};
expected(there, Result, Rows, _) ->
    #{result => Result, primary => Rows, caller => unchanged};
expected({nothing, Result}, _, _, _) ->
    #{result => Result, primary => unchanged, caller => unchanged};
expected({not_executed, Reason}, _, _, Failing) ->
    #{result => failure(Failing, Reason, not_executed),
      primary => unchanged, caller => unchanged};
expected({unknown, Reason}, _, Rows, Failing) ->
    #{result => failure(Failing, Reason, unknown),
      primary => Rows, caller => unchanged}.

failure({reason, _Action}, Reason, _Outcome) ->
    {error, Reason};
failure({exception, Action}, Reason, Outcome) ->
    {failure, ?ERROR, fields(Action, Reason, Outcome)};
failure({raises, Action}, Reason, Outcome) ->
    {raises, ?ERROR, fields(Action, Reason, Outcome)}.

fields(Action, Reason, Outcome) ->
    #{reason => Reason, outcome => Outcome, action => Action, repo => repo}.
