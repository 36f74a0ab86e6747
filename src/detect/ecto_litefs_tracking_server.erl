%% One for each Repo: hears from the detector what this node is, has the row
%% written when it is primary, and read for who asks. It never waits for the
%% port, nor for the Repo's config/0: both are asked in processes beside.
-module(ecto_litefs_tracking_server).

-behaviour(gen_server).

-export([init/1]).
-export([handle_call/3]).
-export([handle_cast/2]).
-export([handle_info/2]).

-record(state,
        {repo :: module(),
         config :: ecto_litefs_config:t(),
         seen = none :: none | ecto_litefs_tracking:seen(),
         claim = none :: none | untracked | {row, ecto_litefs_tracking_claim:t()},
         waiting = #{} :: #{reference() => gen_server:from()}, % for the row
         cache :: ecto_litefs_tracking_cache:t(),
         place :: ecto_litefs_tracking_place:t()}).

%% The term that was committed stays in the table: the row is there.
-spec init(ecto_litefs_config:t()) -> {ok, #state{}}.
init(#{repo := Repo} = Config) ->
    _ = process_flag(trap_exit, true), % jobs are linked
    ok = ecto_litefs_tracking_table:release(Repo),
    ok = ecto_litefs_tracking_table:unsee(Repo),
    ok = ecto_litefs_tracking:observe(Config),
    {ok, #state{repo = Repo, config = Config,
                cache = ecto_litefs_tracking_cache:new(Config),
                place = ecto_litefs_tracking_place:find(Config)}}.

-spec handle_call({await_term, Deadline :: integer()}
                  | {row, Force :: boolean(), Deadline :: integer()},
                  gen_server:from(), #state{}) ->
          {reply, {ok, non_neg_integer()} | none, #state{}}
        | {noreply, #state{}}.
handle_call({await_term, Deadline}, From, #state{repo = Repo} = State) ->
    case ecto_litefs_tracking:term(Repo) of
        {ok, _Term} = Known -> {reply, Known, State};
        none -> await(is_hopeless(State), From, Deadline, State)
    end;
handle_call({row, Force, Deadline}, From, #state{cache = Cache} = State) ->
    Asked = ecto_litefs_tracking_cache:ask(From, Force, Deadline, Cache),
    {noreply, State#state{cache = Asked}}.

-spec handle_cast({observe, ecto_litefs_tracking:seen()} | invalidate,
                  #state{}) -> {noreply, #state{}}.
handle_cast({observe, Seen}, #state{repo = Repo} = State) ->
    Known = known(ecto_litefs_tracking_table:seen(Repo), State),
    State1 = observe(Seen, forget_row(Seen, let_go(Seen, Known))),
    ok = ecto_litefs_tracking_table:see(Repo, Seen),
    {noreply, settle(State1#state{seen = Seen})};
handle_cast(invalidate, State) ->
    {noreply, forget(State)}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info({timeout, Timer, await}, State) ->
    {noreply, expired(Timer, State)};
handle_info(Message, State) ->
    {noreply, settle(event([claim, cache, place], Message, State))}.

%% -- what the detector saw ---------------------------------------------------

%% The application ecto_litefs was stopped and started again under this process,
%% and its tables are empty.
known(none, #state{config = Config, seen = Seen} = State) when Seen =/= none ->
    Place = ecto_litefs_tracking_place:find(Config),
    (stepped_down(State))#state{place = Place};
known(_Seen, State) ->
    State.

%% The database may be on a mount that is dead, or is another one now.
let_go(#{kind := litefs, mount := Mount},
       #state{repo = Repo, config = #{tracking := true}} = State)
  when Mount =/= same ->
    _ = Mount =:= mount(State) orelse ecto_litefs_port:close(Repo),
    State;
let_go(_Seen, State) ->
    State.

mount(#state{seen = none}) -> same;
mount(#state{seen = #{mount := Mount}}) -> Mount.

%% Where the primary is another one, the row is.
forget_row(#{role := Role, primary := Primary},
           #state{seen = #{role := Role, primary := Primary}} = State) ->
    State;
forget_row(_Seen, State) ->
    forget(State).

forget(#state{cache = Cache} = State) ->
    State#state{cache = ecto_litefs_tracking_cache:forget(Cache)}.

%% A primaryship that is not known to be over may go on.
observe(#{kind := litefs, role := primary, id := Id} = Seen, State)
  when Id =/= none ->
    primary(Seen, State);
observe(#{kind := litefs, role := unknown, id := Id}, State)
  when Id =/= none ->
    State;
observe(_Seen, State) ->
    stepped_down(State).

primary(#{id := Id},
        #state{repo = Repo, config = #{tracking := false}} = State) ->
    ok = ecto_litefs_tracking_table:commit(Repo, Id, 0),
    State#state{claim = untracked};
primary(#{id := Id} = Seen,
        #state{claim = {row, Claim}, seen = #{id := Id}} = State) ->
    State#state{claim = {row, ecto_litefs_tracking_claim:see(Seen, Claim)}};
primary(Seen, #state{repo = Repo} = State) ->
    Free = stepped_down(State),
    Free#state{claim = {row,
                          ecto_litefs_tracking_claim:start(Repo, Seen)}}.

stepped_down(#state{claim = none} = State) ->
    State;
stepped_down(#state{repo = Repo, claim = untracked} = State) ->
    ok = ecto_litefs_tracking_table:doubt(Repo),
    State#state{claim = none};
stepped_down(#state{claim = {row, Claim}} = State) ->
    ok = ecto_litefs_tracking_claim:stop(Claim),
    State#state{claim = none}.

%% -- what comes from beside --------------------------------------------------

event([claim | Others], Message, #state{claim = {row, Claim}} = State) ->
    case ecto_litefs_tracking_claim:event(Message, Claim) of
        {committed, Claim1} -> forget(State#state{claim = {row, Claim1}});
        {_NotYet, Claim1} -> State#state{claim = {row, Claim1}};
        other -> event(Others, Message, State)
    end;
event([claim | Others], Message, State) ->
    event(Others, Message, State);
event([cache | Others], Message, #state{cache = Cache} = State) ->
    case ecto_litefs_tracking_cache:event(Message, Cache) of
        {ok, Cache1} -> State#state{cache = Cache1};
        other -> event(Others, Message, State)
    end;
event([place], Message, #state{place = Place} = State) ->
    State#state{place = ecto_litefs_tracking_place:event(Message, Place)}.

%% -- who waits for the row ---------------------------------------------------

await(true, _From, _Deadline, State) ->
    {reply, none, State};
await(false, From, Deadline, #state{waiting = Waiting} = State) ->
    Left = max(0, Deadline - erlang:monotonic_time(millisecond)),
    Timer = erlang:start_timer(Left, self(), await),
    {noreply, State#state{waiting = Waiting#{Timer => From}}}.

expired(Timer, #state{waiting = Waiting} = State) ->
    case maps:take(Timer, Waiting) of
        {From, Rest} ->
            ok = gen_server:reply(From, none),
            State#state{waiting = Rest};
        error ->
            State
    end.

%% All who wait, if there is something to say.
settle(#state{waiting = Waiting} = State) when Waiting =:= #{} ->
    State;
settle(#state{repo = Repo} = State) ->
    case {ecto_litefs_tracking:term(Repo), is_hopeless(State)} of
        {{ok, _Term} = Known, _} -> answer(Known, State);
        {none, true} -> answer(none, State);
        {none, false} -> State
    end.

answer(Reply, #state{waiting = Waiting} = State) ->
    _ = [begin
             _ = erlang:cancel_timer(Timer),
             gen_server:reply(From, Reply)
         end || {Timer, From} <- maps:to_list(Waiting)],
    State#state{waiting = #{}}.

%% The detector may not yet have told of a promotion that callers see.
is_hopeless(#state{seen = #{kind := plain}}) ->
    true;
is_hopeless(#state{repo = Repo, claim = Claim}) ->
    ecto_litefs_status:role(Repo) =/= primary orelse is_hopeless_claim(Claim).

is_hopeless_claim({row, Claim}) ->
    ecto_litefs_tracking_claim:hopeless(Claim);
is_hopeless_claim(_NotYet) ->
    false.
