%% The words for the result of a call: what came of it in the table's terms,
%% with as much of it as the expectation names, so that the two can be compared
%% with =:=.
-module(ecto_litefs_contract_result).

-export([expected/3]).
-export([got/2]).

%% The nodes and the Repo have other names each time.
-spec expected(term(), Repo :: module(), Primary :: node()) -> term().
expected(primary_node, _Repo, Node) ->
    Node;
expected(repo, Repo, _Node) ->
    Repo;
expected(Tuple, Repo, Node) when is_tuple(Tuple) ->
    list_to_tuple(expected(tuple_to_list(Tuple), Repo, Node));
expected([Head | Tail], Repo, Node) ->
    [expected(Head, Repo, Node) | expected(Tail, Repo, Node)];
expected(Map, Repo, Node) when is_map(Map) ->
    maps:map(fun(_, Value) -> expected(Value, Repo, Node) end, Map);
expected(Term, _Repo, _Node) ->
    Term.

-spec got(Expected :: term(), ecto_litefs_test_capture:outcome()) -> term().
got(Expected, {returned, Value, _Left}) ->
    value(Expected, Value);
got({raises, _, Fields}, {error, #{'__struct__' := Module} = Error, _, _}) ->
    {raises, Module, fields(Fields, Error)};
got({exits, _}, {exit, Reason, _, _}) ->
    {exits, Reason};
got({throws, _}, {throw, Value, _, _}) ->
    {throws, Value};
got(_Expected, Outcome) ->
    Outcome.

value({ok, Fields}, {ok, Value}) ->
    {ok, value(Fields, Value)};
value({struct, Fields}, #{'__struct__' := _} = Struct) ->
    {struct, fields(Fields, Struct)};
value({changes, Names}, {ok, Changes}) when is_map(Changes) ->
    {changes, changes(Names, Changes)};
value({invalid, Field, _}, {error, #{errors := [{Field, {Text, _}} | _]}}) ->
    {invalid, Field, Text};
value({failed, _, Why, _}, {error, Name, Value, Changes}) ->
    {failed, Name, value(Why, {error, Value}), lists:sort(maps:keys(Changes))};
value({failure, _, Fields}, {error, #{'__struct__' := Module} = Exception}) ->
    {failure, Module, fields(Fields, Exception)};
value({error, _}, {error, Reason}) ->
    {error, reason(Reason)};
value({count, _, nil}, {Count, nil}) ->
    {count, Count, nil};
value({count, _, [_ | _] = Rows}, {Count, Items})
  when length(Items) =:= length(Rows) ->
    {count, Count, lists:zipwith(fun fields/2, Rows, Items)};
value({names, _}, Items) when is_list(Items) ->
    {names, lists:sort([Name || #{name := Name} <- Items])};
value(Fields, #{'__struct__' := _} = Struct) when is_map(Fields) ->
    fields(Fields, Struct);
value(_Expected, Value) ->
    Value.

%% Those that nobody expects, too.
changes(Names, Changes) ->
    maps:map(fun(Name, Value) -> value(maps:get(Name, Names, other), Value) end,
             Changes).

fields(Fields, Struct) ->
    maps:map(fun(_, Value) -> reason(Value) end,
             maps:with(maps:keys(Fields), Struct)).

%% How large a struct is, is no part of the contract.
reason({payload_too_large, Size, Max}) when Size > Max ->
    {payload_too_large, size, Max};
reason(Value) ->
    Value.
