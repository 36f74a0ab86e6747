%% Who waits for which position, ordered by the number of the transaction, so
%% that a new position touches those whose time has come and no other. Monitors,
%% timers and replies are those of the process that calls it.
-module(ecto_litefs_waiters).

-export([new/0]).
-export([size/1]).
-export([add/4]).
-export([expire/2]).
-export([gone/2]).
-export([is_due/2]).
-export([decide/3]).
-export([outcome/3]).
-export([give_up/2]).

-export_type([t/0]).
-export_type([known/0]).

%% The key is the monitor of the process that waits.
-record(waiter,
        {key :: reference(),
         from :: gen_server:from(),
         wanted :: ecto_litefs_position:t(),
         timer :: reference()}).

-opaque t() ::
        {gb_trees:tree({TxId :: non_neg_integer(), reference()}, #waiter{}),
         TxIds :: #{reference() => TxId :: non_neg_integer()}}.

%% In which term the local copy is. fresh: it may be in another one by now, or
%% be replaced by that of the wanted term in a moment.
-type known() ::
        unknown | {known | fresh, ecto_litefs_local_term:local_term()}.

-spec new() -> t().
new() ->
    {gb_trees:empty(), #{}}.

-spec size(t()) -> non_neg_integer().
size({_Order, TxIds}) ->
    maps:size(TxIds).

%% Until the deadline, in monotonic milliseconds, when the calling process gets
%% {timeout, _, {deadline, Key}}; {'DOWN', Key, ...} when the waiter has died.
-spec add(gen_server:from(), ecto_litefs_position:t(), integer(), t()) -> t().
add({Pid, _Tag} = From, {_, TxId, _} = Wanted, Deadline, {Order, TxIds}) ->
    Key = monitor(process, Pid),
    Timer = erlang:start_timer(Deadline, self(), {deadline, Key},
                               [{abs, true}]),
    Waiter = #waiter{key = Key, from = From, wanted = Wanted, timer = Timer},
    {gb_trees:insert({TxId, Key}, Waiter, Order), TxIds#{Key => TxId}}.

-spec expire(reference(), t()) -> t().
expire(Key, Waiters) ->
    remove(Key, fun(Waiter) -> answer(Waiter, {error, timeout}) end, Waiters).

-spec gone(reference(), t()) -> t().
gone(Key, Waiters) ->
    remove(Key, fun(#waiter{timer = Timer}) -> erlang:cancel_timer(Timer) end,
           Waiters).

remove(Key, Then, {Order, TxIds} = Waiters) ->
    case maps:take(Key, TxIds) of
        {TxId, Rest} ->
            {Waiter, Others} = gb_trees:take({TxId, Key}, Order),
            _ = Then(Waiter),
            {Others, Rest};
        error ->
            Waiters % it was answered a moment before
    end.

%% Whether anybody waits for this transaction or an earlier one.
-spec is_due(TxId :: non_neg_integer(), t()) -> boolean().
is_due(TxId, {Order, _TxIds}) ->
    case gb_trees:is_empty(Order) of
        true -> false;
        false ->
            {{First, _Key}, _Waiter} = gb_trees:smallest(Order),
            First =< TxId
    end.

%% Answers those for whom it can be told; the others stay.
-spec decide(ecto_litefs_nif:position(), known(), t()) -> t().
decide({TxId, _Checksum} = Position, Known, Waiters) ->
    Outcome = fun(#waiter{wanted = Wanted}) ->
                      outcome(Position, Known, Wanted)
              end,
    answer_all(Outcome, candidates(TxId, Known, Waiters), Waiters).

%% Without a term only the very transaction says anything, and there may be
%% thousands who wait for an earlier one. An integer comes before a reference.
candidates(TxId, unknown, {Order, _TxIds}) ->
    up_to(TxId, gb_trees:iterator_from({TxId, 0}, Order));
candidates(TxId, _Known, {Order, _TxIds}) ->
    up_to(TxId, gb_trees:iterator(Order)).

up_to(TxId, Iterator) ->
    case gb_trees:next(Iterator) of
        {{First, _Key}, Waiter, Next} when First =< TxId ->
            [Waiter | up_to(TxId, Next)];
        _LaterOrNone ->
            []
    end.

answer_all(Outcome, Candidates, Waiters) ->
    lists:foldl(fun(Waiter, Acc) ->
                        answer_one(Outcome(Waiter), Waiter, Acc)
                end, Waiters, Candidates).

answer_one(wait, _Waiter, Waiters) ->
    Waiters;
answer_one(Outcome, #waiter{key = Key}, Waiters) ->
    remove(Key, fun(Waiter) -> answer(Waiter, Outcome) end, Waiters).

%% The same number and checksum are the same content, in whatever term.
-spec outcome(ecto_litefs_nif:position() | unknown, known(),
              ecto_litefs_position:t()) -> ok | {error, other_term} | wait.
outcome(unknown, _Known, _Wanted) -> wait;
outcome({TxId, Checksum}, _Known, {_, TxId, Checksum}) -> ok;
outcome(_Position, unknown, _Wanted) -> wait;
outcome(_Position, {How, none}, _Wanted) -> other_term(How);
outcome({TxId, Checksum}, {How, Term}, Wanted) ->
    case ecto_litefs_position:compare({Term, TxId, Checksum}, Wanted) of
        reached -> ok;
        before -> wait;
        forked -> other_term(How)
    end.

other_term(known) -> {error, other_term};
other_term(fresh) -> wait.

%% Nobody can tell those who are due.
-spec give_up(TxId :: non_neg_integer(), t()) -> t().
give_up(TxId, {Order, _TxIds} = Waiters) ->
    Unavailable = fun(_Waiter) -> {error, unavailable} end,
    answer_all(Unavailable, up_to(TxId, gb_trees:iterator(Order)), Waiters).

answer(#waiter{key = Key, from = From, timer = Timer}, Outcome) ->
    true = demonitor(Key, [flush]),
    _ = erlang:cancel_timer(Timer),
    gen_server:reply(From, Outcome).
