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
add({Pid, _Tag} = From, Wanted, Deadline, Waiters) ->
    Key = monitor(process, Pid),
    Timer = erlang:start_timer(Deadline, self(), {deadline, Key},
                               [{abs, true}]),
    keep(#waiter{key = Key, from = From, wanted = Wanted, timer = Timer},
         Waiters).

keep(#waiter{key = Key, wanted = {_, TxId, _}} = Waiter, {Order, TxIds}) ->
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
decide({TxId, _Checksum} = Position, unknown, Waiters) ->
    lists:foldl(fun(#waiter{key = Key} = Waiter, Acc) ->
                        answer_if(outcome(Position, unknown, Waiter#waiter.wanted),
                                  Waiter, Key, Acc)
                end, Waiters, those_of(TxId, Waiters));
decide({TxId, _Checksum} = Position, Known, Waiters) ->
    {Due, Others} = take_due(TxId, Waiters),
    lists:foldl(fun(Waiter, Acc) -> decide(Waiter, Position, Known, Acc) end,
                Others, Due).

decide(#waiter{wanted = Wanted} = Waiter, Position, Known, Waiters) ->
    case outcome(Position, Known, Wanted) of
        wait -> keep(Waiter, Waiters);
        Outcome -> answer(Waiter, Outcome), Waiters
    end.

%% Without a term only the very transaction says anything: there may be
%% thousands who wait for an earlier one. An integer comes before a reference.
those_of(TxId, {Order, _TxIds}) ->
    those_of(TxId, gb_trees:next(gb_trees:iterator_from({TxId, 0}, Order)), []).

those_of(TxId, {{TxId, _Key}, Waiter, Next}, Found) ->
    those_of(TxId, gb_trees:next(Next), [Waiter | Found]);
those_of(_TxId, _LaterOrNone, Found) ->
    Found.

answer_if(wait, _Waiter, _Key, Waiters) ->
    Waiters;
answer_if(Outcome, Waiter, Key, Waiters) ->
    remove(Key, fun(_Same) -> answer(Waiter, Outcome) end, Waiters).

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
give_up(TxId, Waiters) ->
    {Due, Others} = take_due(TxId, Waiters),
    _ = [answer(Waiter, {error, unavailable}) || Waiter <- Due],
    Others.

answer(#waiter{key = Key, from = From, timer = Timer}, Outcome) ->
    true = demonitor(Key, [flush]),
    _ = erlang:cancel_timer(Timer),
    gen_server:reply(From, Outcome).

take_due(TxId, {Order, TxIds} = Waiters) ->
    case is_due(TxId, Waiters) of
        true ->
            {{_TxId, Key}, Waiter, Rest} = gb_trees:take_smallest(Order),
            {Due, Others} = take_due(TxId, {Rest, maps:remove(Key, TxIds)}),
            {[Waiter | Due], Others};
        false ->
            {[], Waiters}
    end.
