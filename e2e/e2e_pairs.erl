%% The account of transactions that insert two rows each, under the faults of
%% e2e_load: none is there by half, and each is there, or not, as its caller was
%% told.
-module(e2e_pairs).

-include_lib("stdlib/include/assert.hrl").

-export([under/2]).

%% A commit that its primary had not shipped when its LiteFS ended is lost,
%% whoever made it: one of the last milliseconds before that.
-define(UNSHIPPED_US, 200000).

-spec under([e2e_load:fault()], e2e_cluster:cluster()) -> ok.
under(Faults, Cluster) ->
    {Written, Deaths, Rows} = e2e_load:run(Cluster, insert_pair, Faults),
    Calls = [{kind(Name, Outcome), there(Pair, Rows), Outcome}
             || {Name, Pair, Outcome} <- Written],
    Counts = lists:foldl(fun({Kind, There, _Outcome}, Counts) ->
        maps:update_with({Kind, There}, fun(N) -> N + 1 end, 1, Counts)
    end, #{}, Calls),
    ct:pal("transactions: ~p", [Counts]),
    ?assertEqual([], [Call || {_, half, _} = Call <- Calls]),
    ?assertEqual([], [Call || {not_executed, whole, _} = Call <- Calls]),
    ?assertEqual([], [Call || {{other, _}, _, _} = Call <- Calls]),
    ?assertEqual([], [Call || {forwarded, none, Outcome} = Call <- Calls,
                              not unshipped(Outcome, Deaths)]),
    ?assert(maps:get({forwarded, whole}, Counts) > 20).

there(Pair, Rows) ->
    case [is_map_key(Row, Rows) || Row <- e2e_node:pair(Pair)] of
        [true, true] -> whole;
        [false, false] -> none;
        _One -> half
    end.

unshipped({returned, _, _From, To}, Deaths) ->
    lists:any(fun(At) -> abs(To - At) < ?UNSHIPPED_US end, Deaths).

%% Where it ran shows in the row. A local one is as LiteFS answers it, also
%% with SQLite's exceptions.
kind(Name, {returned, {ok, #{value := Number}}, _, _}) ->
    case lists:nth(Number, litefs_cluster:names()) of
        Name -> local;
        _Other -> forwarded
    end;
kind(_Name, {raised, #{'__struct__' := 'Elixir.EctoLiteFS.Error',
                       outcome := Outcome}, _, _}) ->
    Outcome;
kind(_Name, {raised, #{'__struct__' := Struct}, _, _})
  when Struct =:= 'Elixir.Exqlite.Error';
       Struct =:= 'Elixir.DBConnection.ConnectionError' ->
    raised;
kind(_Name, vm_ended) ->
    unknown;
kind(_Name, Other) ->
    {other, Other}.
