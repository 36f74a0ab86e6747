%% What became of the forwarded calls that ran on this node. A call whose answer
%% was lost is looked up here by its caller, so that "it may have run" is said
%% only where nobody can know.
%%
%% Everything turns on one atomic operation, the first insert of an id: either
%% the executor has it, and the call runs, or the caller that asks has it, and
%% the call will never run, however late it arrives.
%%
%% An id is known for as long as anybody may ask for it: that is the call's own
%% time and half a minute. A caller takes no answer after its time. The rows are
%% a table's, which ecto_litefs_ledger_keeper sweeps; a table that was made anew
%% is another incarnation, and knows nothing of the calls of the one before.
-module(ecto_litefs_ledger).

-export([new/0]).
-export([incarnation/0]).
-export([register/2]).
-export([finish/2]).
-export([claim/3]).
-export([await/3]).
-export([ack/1]).
-export([sweep/1]).
-export([bytes/0]).

-export_type([id/0]).
-export_type([found/0]).

-type id() :: <<_:128>>.

%% refused: it has not run and never will. gone: it has run, or may have, and
%% what came of it is not to be had any more.
-type found() ::
        refused | running | {done, ecto_litefs_executor:answer()} | gone.

%% A row is {Id, State, ExpiresAt}.
-type state() ::
        {running, pid()}
      | {done, ecto_litefs_executor:answer(), Bytes :: non_neg_integer()}
      | refused
      | freed.       % the caller has its answer, or no room was left for it

-define(TABLE, ?MODULE).
-define(KEEP_MS, 30_000).

%% Late requests come out of a network's buffers, or of a VM that was frozen.
-define(REFUSED_MS, 600_000).

%% Answers that nobody has fetched yet. With this much waiting, further ones are
%% not kept: their callers would learn that the call has run, and no more.
-define(BYTES_MAX, 64 * 1024 * 1024).

%% The table belongs to the calling process, which is ecto_litefs_sup.
-spec new() -> ok.
new() ->
    ?TABLE = ets:new(?TABLE, [named_table, public, {write_concurrency, true}]),
    true = ets:insert(?TABLE, [{incarnation, rand:bytes(16)}, {bytes, 0}]),
    ok.

%% none: the application ecto_litefs does not run here.
-spec incarnation() -> ecto_litefs_incarnation:t() | none.
incarnation() ->
    try ets:lookup_element(?TABLE, incarnation, 2)
    catch
        error:badarg -> none
    end.

%% By the process that is going to run the call. repeated: it runs already, or
%% has run.
-spec register(id(), BudgetMs :: non_neg_integer()) -> ok | refused | repeated.
register(Id, BudgetMs) ->
    Row = {Id, {running, self()}, now_ms() + BudgetMs + ?KEEP_MS},
    try ets:insert_new(?TABLE, Row) of
        true -> ok;
        false -> known(ets:lookup(?TABLE, Id))
    catch
        error:badarg -> refused % the application has just been stopped
    end.

known([{_Id, refused, _}]) -> refused;
known(_Row) -> repeated.

-spec finish(id(), ecto_litefs_executor:answer()) -> ok.
finish(Id, Answer) ->
    try
        true = ets:update_element(?TABLE, Id, {2, ended(Answer)}),
        ok
    catch
        error:badarg -> ok % the application was stopped, nobody can ask
    end.

ended(Answer) ->
    Bytes = erlang:external_size(Answer),
    case ets:update_counter(?TABLE, bytes, Bytes) of
        Sum when Sum =< ?BYTES_MAX -> {done, Answer, Bytes};
        _TooMuch -> give_back(Bytes), freed
    end.

%% Called by the node that forwarded, while its call's time is not over.
%% CallMs: how long that call may take, whose id must be refused for longer.
-spec claim(ecto_litefs_incarnation:t(), id(), CallMs :: non_neg_integer()) ->
          found().
claim(Incarnation, Id, CallMs) ->
    case incarnation() of
        Incarnation -> claim_here(Id, CallMs);
        _Another -> gone
    end.

claim_here(Id, CallMs) ->
    Refused = {Id, refused, now_ms() + CallMs + ?REFUSED_MS},
    case ets:insert_new(?TABLE, Refused) of
        true -> refused;
        false -> found(ets:lookup(?TABLE, Id))
    end.

%% After a claim that found it running: until it has ended, or Ms are over.
-spec await(ecto_litefs_incarnation:t(), id(), Ms :: non_neg_integer()) ->
          found().
await(Incarnation, Id, Ms) ->
    case incarnation() =:= Incarnation andalso ets:lookup(?TABLE, Id) of
        [{_Id, {running, Pid}, _}] -> await_end(monitor(process, Pid), Id, Ms);
        false -> gone;
        Row -> found(Row)
    end.

await_end(Monitor, Id, Ms) ->
    receive
        {'DOWN', Monitor, process, _Pid, _Reason} ->
            without_process(found(ets:lookup(?TABLE, Id)))
    after Ms ->
            true = demonitor(Monitor, [flush]),
            running
    end.

%% Its process was killed in the middle of it.
without_process(running) -> gone;
without_process(Found) -> Found.

-spec found([{id(), state(), integer()}]) -> found().
found([{_Id, {running, _Pid}, _}]) -> running;
found([{_Id, {done, Answer, _Bytes}, _}]) -> {done, Answer};
found([{_Id, refused, _}]) -> refused;
found([{_Id, freed, _}]) -> gone;
found([]) -> gone.

%% The caller has its answer. The id stays known for a while: it never runs
%% again.
-spec ack(id()) -> ok.
ack(Id) ->
    try ets:lookup(?TABLE, Id) of
        [{_Id, {done, _Answer, Bytes}, _}] -> free(Id, Bytes);
        _Other -> ok
    catch
        error:badarg -> ok % the application was stopped
    end.

free(Id, Bytes) ->
    true = ets:insert(?TABLE, {Id, freed, now_ms() + ?KEEP_MS}),
    give_back(Bytes).

give_back(Bytes) ->
    _ = ets:update_counter(?TABLE, bytes, -Bytes),
    ok.

%% Forgets the ids that nobody can ask for any more, at the time Now.
-spec sweep(integer()) -> ok.
sweep(Now) ->
    Expired = [{{'_', '_', '$1'}, [{'<', '$1', Now}], ['$_']}],
    lists:foreach(fun expire/1, ets:select(?TABLE, Expired)).

expire({Id, {running, Pid}, _}) ->
    case is_process_alive(Pid) of
        true -> ok;
        false -> true = ets:delete(?TABLE, Id), ok
    end;
expire({Id, {done, _Answer, Bytes}, _}) ->
    true = ets:delete(?TABLE, Id),
    give_back(Bytes);
expire({Id, _State, _}) ->
    true = ets:delete(?TABLE, Id),
    ok.

%% Of the answers that are kept.
-spec bytes() -> non_neg_integer().
bytes() ->
    ets:lookup_element(?TABLE, bytes, 2).

now_ms() ->
    erlang:monotonic_time(millisecond).
