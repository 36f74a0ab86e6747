%% Who waits, in the order of what they wait for.
-module(ecto_litefs_waiters_tests).

-include_lib("eunit/include/eunit.hrl").

-define(w, ecto_litefs_waiters).

nobody_test() ->
    ?assertEqual(0, ?w:size(?w:new())),
    ?assertEqual(none, ?w:first(?w:new())),
    ?assertMatch({[], _}, ?w:take_due(99, ?w:new())),
    ?assertEqual(none, ?w:remove(make_ref(), ?w:new())).

those_whose_transaction_has_come_test() ->
    {Keys, Waiters} = waiters([7, 3, 5, 5, 9]),
    [Seven, Three, Five, FiveToo, Nine] = Keys,
    {Due, Others} = ?w:take_due(6, Waiters),
    ?assertEqual(lists:sort([{Three, 3}, {Five, 5}, {FiveToo, 5}]),
                 lists:sort(Due)),
    ?assertEqual(2, ?w:size(Others)),
    ?assertEqual(7, ?w:first(Others)),
    ?assertMatch({[{Seven, 7}, {Nine, 9}], _}, ?w:take_due(9, Others)).

removed_test() ->
    {[Seven, Three], Waiters} = waiters([7, 3]),
    {3, Rest} = ?w:remove(Three, Waiters),
    ?assertEqual(none, ?w:remove(Three, Rest)),
    ?assertEqual(1, ?w:size(Rest)),
    ?assertMatch({[{Seven, 7}], _}, ?w:take_due(100, Rest)).

waiters(TxIds) ->
    Keyed = [{make_ref(), TxId} || TxId <- TxIds],
    {[Key || {Key, _TxId} <- Keyed],
     lists:foldl(fun({Key, TxId}, Acc) -> ?w:add(Key, TxId, TxId, Acc) end,
                 ?w:new(), Keyed)}.
