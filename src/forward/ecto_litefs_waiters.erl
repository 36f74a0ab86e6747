%% Who waits for which position, ordered by the number of the transaction, so
%% that a new position touches those whose time has come and no other. Pure.
-module(ecto_litefs_waiters).

-export([new/0]).
-export([size/1]).
-export([add/4]).
-export([remove/2]).
-export([take_due/2]).
-export([first/1]).

-export_type([t/1]).

%% Key: what the owner finds a waiter by. Value: what it wants to know of it.
-opaque t(Value) ::
        {Order :: gb_trees:tree({TxId :: non_neg_integer(), reference()}, Value),
         TxIds :: #{reference() => TxId :: non_neg_integer()}}.

-spec new() -> t(_Value).
new() ->
    {gb_trees:empty(), #{}}.

-spec size(t(_Value)) -> non_neg_integer().
size({_Order, TxIds}) ->
    maps:size(TxIds).

-spec add(reference(), TxId :: non_neg_integer(), Value, t(Value)) -> t(Value).
add(Key, TxId, Value, {Order, TxIds}) ->
    {gb_trees:insert({TxId, Key}, Value, Order), TxIds#{Key => TxId}}.

-spec remove(reference(), t(Value)) -> {Value, t(Value)} | none.
remove(Key, {Order, TxIds}) ->
    case maps:take(Key, TxIds) of
        {TxId, Rest} ->
            {Value, Smaller} = gb_trees:take({TxId, Key}, Order),
            {Value, {Smaller, Rest}};
        error ->
            none
    end.

%% Those who wait for this transaction or an earlier one.
-spec take_due(TxId :: non_neg_integer(), t(Value)) ->
          {[{reference(), Value}], t(Value)}.
take_due(TxId, {Order, TxIds} = Waiters) ->
    case first(Waiters) of
        First when is_integer(First), First =< TxId ->
            {{_First, Key}, Value, Rest} = gb_trees:take_smallest(Order),
            {Due, Others} = take_due(TxId, {Rest, maps:remove(Key, TxIds)}),
            {[{Key, Value} | Due], Others};
        _LaterOrNone ->
            {[], Waiters}
    end.

%% The earliest transaction that anybody waits for.
-spec first(t(_Value)) -> TxId :: non_neg_integer() | none.
first({Order, _TxIds}) ->
    case gb_trees:is_empty(Order) of
        true -> none;
        false -> {{TxId, _Key}, _Value} = gb_trees:smallest(Order), TxId
    end.
