%% One for each Repo: holds all who wait for a position, so that ten thousand of
%% them cost one subscription to what C hears of LiteFS, and no descriptor.
%%
%% C hints at a new position. While the event stream is up and has said anything
%% nobody polls; else C reads LiteFS's file for as long as somebody waits. A
%% glance at the status cell each 50 ms makes a lost hint, a stream that broke
%% off and a detector that was restarted a late one.
-module(ecto_litefs_await_server).

-behaviour(gen_server).

-export([child_spec/1]).
-export([start_link/1]).
-export([ask/3]).
-export([waiters/1]).

-export([init/1]).
-export([handle_call/3]).
-export([handle_cast/2]).
-export([handle_info/2]).

-export_type([question/0]).

-type question() :: here | {await, ecto_litefs_position:t()}.

-record(state,
        {repo :: module(),
         handle = none :: none | ecto_litefs_nif:handle(), % subscribed to
         db = <<>> :: binary(),
         era = {none, 0} :: ecto_litefs_local_term:era(),
         watched = false :: boolean(),
         waiters = ecto_litefs_waiters:new() :: ecto_litefs_waiters:t(),
         look = none :: none | reference(),  % finds out the local term
         tick = none :: none | reference()}).

-define(TICK_MS, 50).
-define(MARGIN_MS, 1_000).
-define(FRESH_MS, 2_000).    % LiteFS's reconnect-delay, 1 s, and some more

-spec child_spec(ecto_litefs_config:t()) -> supervisor:child_spec().
child_spec(Config) ->
    #{id => ?MODULE, start => {?MODULE, start_link, [Config]}}.

-spec start_link(ecto_litefs_config:t()) ->
          {ok, pid()} | {error, {already_started, pid()}}.
start_link(#{repo := Repo}) ->
    gen_server:start_link({local, name(Repo)}, ?MODULE, Repo, []).

%% Until the deadline, in monotonic milliseconds. Exits as gen_server:call/3.
-spec ask(module(), question(), Deadline :: integer()) -> term().
ask(Repo, here, Deadline) ->
    Left = max(0, Deadline - now_ms()),
    gen_server:call(name(Repo), {here, Deadline}, Left + ?MARGIN_MS);
ask(Repo, {await, Wanted}, Deadline) ->
    Left = max(0, Deadline - now_ms()),
    gen_server:call(name(Repo), {await, Wanted, Deadline}, Left + ?MARGIN_MS).

-spec waiters(module()) -> non_neg_integer().
waiters(Repo) ->
    try gen_server:call(name(Repo), waiters, ?MARGIN_MS)
    catch
        exit:{_Reason, {gen_server, call, _}} -> 0
    end.

name(Repo) ->
    ecto_litefs_name:of_repo('Elixir.EctoLiteFS.Await', Repo).

%% -- gen_server --------------------------------------------------------------

-spec init(module()) -> {ok, #state{}}.
init(Repo) ->
    {ok, #state{repo = Repo}}.

-spec handle_call(waiters | {here, integer()}
                  | {await, ecto_litefs_position:t(), integer()},
                  gen_server:from(), #state{}) ->
          {reply, term(), #state{}} | {noreply, #state{}}.
handle_call(waiters, _From, #state{waiters = Waiters} = State) ->
    {reply, ecto_litefs_waiters:size(Waiters), State};
handle_call({here, Deadline}, From, State) ->
    {noreply, here(From, Deadline, connect(State))};
handle_call({await, Wanted, Deadline}, From, State) ->
    newcomer(From, Wanted, Deadline, connect(State)).

-spec handle_cast(term(), #state{}) -> {stop, term(), #state{}}.
handle_cast(Request, State) ->
    {stop, {unknown_cast, Request}, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info({timeout, Tick, tick}, #state{tick = Tick} = State) ->
    {noreply, evaluate(State#state{tick = none})};
handle_info({timeout, _Old, tick}, State) ->
    {noreply, State};
handle_info({timeout, _Timer, {deadline, Key}}, State) ->
    {noreply, left(ecto_litefs_waiters:expire(Key, State#state.waiters), State)};
handle_info({'DOWN', Look, process, _Pid, Result},
            #state{look = Look} = State) ->
    {noreply, found(Result, State#state{look = none})};
handle_info({'DOWN', Key, process, _Pid, _Reason}, State) ->
    {noreply, left(ecto_litefs_waiters:gone(Key, State#state.waiters), State)};
handle_info({ecto_litefs_position, _Handle}, State) ->
    {noreply, evaluate(State)};
handle_info(Unexpected, #state{repo = Repo} = State) ->
    ok = ecto_litefs_report:unexpected(Repo, Unexpected),
    {noreply, State}.

%% -- what is known -----------------------------------------------------------

%% The others are looked at when something has changed.
newcomer(From, Wanted, Deadline, State) ->
    {Position, Known, #state{waiters = Waiters} = Here} = place(State),
    case ecto_litefs_waiters:outcome(Position, Known, Wanted) of
        wait ->
            Added = ecto_litefs_waiters:add(From, Wanted, Deadline, Waiters),
            {noreply, tick(look(Position, Here#state{waiters = Added}))};
        Outcome ->
            {reply, Outcome, idle(Here)}
    end.

evaluate(#state{waiters = Waiters} = State) ->
    case ecto_litefs_waiters:size(Waiters) of
        0 -> idle(State);
        _ -> tick(evaluate(place(connect(State))))
    end;
evaluate({unknown, _Known, State}) ->
    State;
evaluate({Position, Known, State}) ->
    look(Position, decide(Position, Known, State)).

idle(#state{waiters = Waiters, watched = Watched} = State) ->
    case ecto_litefs_waiters:size(Waiters) of
        0 when Watched -> watch(false, State);
        _ -> State
    end.

tick(#state{tick = none} = State) ->
    State#state{tick = erlang:start_timer(?TICK_MS, self(), tick)};
tick(State) ->
    State.

%% The detector that was restarted has another handle.
connect(#state{repo = Repo, handle = Handle} = State) ->
    case ecto_litefs_place:of_repo(Repo) of
        {Handle, _Db} -> State;
        {Another, Db} -> subscribe(Another, Db, State);
        none -> State#state{handle = none, watched = false}
    end.

subscribe(Handle, Db, State) ->
    case ecto_litefs_nif:subscribe(Handle) of
        ok -> State#state{handle = Handle, db = Db, era = {none, 0},
                          watched = false};
        {error, closed} -> State#state{handle = none, watched = false}
    end.

place(#state{handle = none} = State) ->
    {unknown, unknown, State};
place(#state{repo = Repo, handle = Handle, db = Db} = State) ->
    _ = ecto_litefs_nif:positions(Handle), % asks for the next hint
    {Position, Era} = ecto_litefs_nif:position(Handle, Db),
    #{stream := Stream} = ecto_litefs_nif:snapshot(Handle),
    Watched = watch(Stream =/= up orelse Position =:= unknown, State),
    {Position, remembered(Repo, {Handle, Era}), era(Era, Watched)}.

%% A row may have come since, with a newer term: what is remembered proves that a
%% position is reached, and never that it is not.
remembered(Repo, Era) ->
    case ecto_litefs_known_term:get(Repo) of
        {Era, Term} -> {fresh, Term};
        _OfBefore -> unknown
    end.

era(Era, #state{era = {Era, _Since}} = State) -> State;
era(Era, State) -> State#state{era = {Era, now_ms()}}.

watch(true, #state{watched = false, handle = Handle, db = Db} = State) ->
    Watched = ecto_litefs_nif:watch_position(Handle, Db, true) =:= ok,
    State#state{watched = Watched};
watch(false, #state{watched = true, handle = Handle, db = Db} = State) ->
    _ = ecto_litefs_nif:watch_position(Handle, Db, false),
    State#state{watched = false};
watch(_Same, State) ->
    State.

decide(Position, Known, #state{waiters = Waiters} = State) ->
    left(ecto_litefs_waiters:decide(Position, Known, Waiters), State).

%% Right after a promotion somebody may wait here for the new primary's position,
%% on a copy that is ahead of it in the history that is lost.
known(Term, #state{era = {_Era, Since}}) ->
    case now_ms() - Since < ?FRESH_MS of
        true -> {fresh, Term};
        false -> {known, Term}
    end.

%% These are those who wait still.
left(Waiters, State) ->
    idle(State#state{waiters = Waiters}).

%% -- the local term ----------------------------------------------------------

%% Only for somebody whose transaction has come. In its own history the row came
%% before it, so that a row which is read from now on has to be that one.
look({TxId, _Checksum} = At, #state{look = none, waiters = Waiters} = State) ->
    case ecto_litefs_waiters:is_due(TxId, Waiters) of
        true -> State#state{look = start_look(At, State)};
        false -> State
    end;
look(_Position, State) ->
    State.

start_look(At, #state{repo = Repo, handle = Handle, db = Db, era = Era}) ->
    {_Pid, Look} = spawn_monitor(fun() ->
        Found = ecto_litefs_local_term:find(Repo, {Handle, Db}, Era, At),
        exit({found, Handle, At, Found})
    end),
    Look.

found({found, Handle, At, {in_era, Era, Term, Keep}},
      #state{handle = Handle, era = {Era, _Since}} = State) ->
    ok = keep(Keep, Term, State),
    decide(At, known(Term, State), State);
found({found, Handle, _At, {at, Position, Term}},
      #state{handle = Handle} = State) ->
    decide(Position, known(Term, State), State);
found({found, Handle, {TxId, _}, {failed, _Reason}},
      #state{handle = Handle, waiters = Waiters} = State) ->
    left(ecto_litefs_waiters:give_up(TxId, Waiters), State);
found(_UnsettledOrKilled, State) -> State. % the next tick tries again

keep(keep, Term, #state{repo = Repo, handle = Handle, era = {Era, _Since}}) ->
    ecto_litefs_known_term:put(Repo, {Handle, Era}, Term);
keep(once, _Term, _State) ->
    ok.

%% In a process beside, which answers by itself.
here(From, _Deadline, #state{handle = none} = State) ->
    gen_server:reply(From, {error, unavailable}),
    State;
here(From, Deadline, #state{repo = Repo, handle = Handle, db = Db} = State) ->
    {_Position, Now} = ecto_litefs_nif:position(Handle, Db),
    #state{era = Era} = State1 = era(Now, State),
    _ = spawn(fun() ->
        Here = ecto_litefs_local_term:here(Repo, {Handle, Db}, Era, Deadline),
        gen_server:reply(From, Here)
    end),
    State1.

now_ms() ->
    erlang:monotonic_time(millisecond).
