%% One for each Repo: owns the NIF handle and tells the other nodes what it
%% says. C keeps the role; this process only acts on its changes, so that a
%% reader never waits for it. C hints at a change; a look now and then
%% (ecto_litefs_look) makes a lost hint a late one.
%%
%% It is the member of the Repo's claim group (ecto_litefs_claim).
-module(ecto_litefs_detector).

-behaviour(gen_server).

-export([start_link/1]).
-export([child_spec/1]).
-export([name/1]).
-export([set_manual/2]).

-export([init/1]).
-export([handle_call/3]).
-export([handle_cast/2]).
-export([handle_info/2]).
-export([terminate/2]).

-export_type([start_error/0]).

-type start_error() ::
        {ecto_litefs_nif:open_error() | not_started, binary()}
      | ecto_litefs_without_nif:refusal().

-record(state,
        {repo :: module(),
         config :: ecto_litefs_config:t(),
         handle :: ecto_litefs_nif:handle() | passthrough,
         scope :: reference() | undefined,    % monitors pg, when it runs
         claim = none :: none | ecto_litefs_status:kind(),
         renewal = none :: none | {reference(), Epoch :: non_neg_integer()},
         failed = none :: none | non_neg_integer(), % renewal, since a look
         released = false :: boolean(),       % the pool, from a dead mount
         look = ecto_litefs_look:none() :: ecto_litefs_look:t(),
         reported = ecto_litefs_report:new() :: ecto_litefs_report:t()}).

-define(SETTLE_MS, 1_500).   % how long the start waits for the first role
-define(SHUTDOWN_MS, 5_000).

-spec start_link(ecto_litefs_config:t()) ->
          {ok, pid()} | {error, start_error() | {already_started, pid()}}.
start_link(#{repo := Repo} = Config) ->
    gen_server:start_link({local, name(Repo)}, ?MODULE, Config, []).

-spec child_spec(ecto_litefs_config:t()) -> supervisor:child_spec().
child_spec(Config) ->
    #{id => ?MODULE,
      start => {?MODULE, start_link, [Config]},
      shutdown => ?SHUTDOWN_MS}.

%% 1.0's Tracker had this name, and users find its process by it.
-spec name(module()) -> atom().
name(Repo) ->
    ecto_litefs_name:of_repo('Elixir.EctoLiteFS.Tracker', Repo).

%% What the user says where there is no LiteFS. When this returns the claim
%% says it too.
-spec set_manual(module(), primary | replica | none) ->
          ok | {error, managed_by_litefs | closed | unavailable}.
set_manual(Repo, Role) ->
    gen_server:call(name(Repo), {set_manual, Role}).

%% -- gen_server --------------------------------------------------------------

-spec init(ecto_litefs_config:t()) -> {ok, #state{}} | {stop, start_error()}.
init(#{repo := Repo} = Config) ->
    _ = process_flag(trap_exit, true), % so that terminate/2 is called
    maybe_start(whereis(ecto_litefs_claim:scope()),
                #state{repo = Repo, config = Config, handle = passthrough}).

-spec handle_call({set_manual, primary | replica | none},
                  gen_server:from(), #state{}) -> {reply, term(), #state{}}.
handle_call({set_manual, _Role}, _From, #state{handle = passthrough} = State) ->
    {reply, {error, unavailable}, State};
handle_call({set_manual, Role}, _From, #state{handle = Handle} = State) ->
    Reply = ecto_litefs_nif:set_manual(Handle, Role),
    {reply, Reply, refresh(State)}.

-spec handle_cast(term(), #state{}) -> {stop, term(), #state{}}.
handle_cast(Request, State) ->
    {stop, {unknown_cast, Request}, State}.

-spec handle_info(term(), #state{}) ->
          {noreply, #state{}} | {stop, start_error(), #state{}}.
handle_info({ecto_litefs_changed, Handle}, #state{handle = Handle} = State) ->
    {noreply, refresh(State)};
handle_info({timeout, Timer, look}, #state{look = Look} = State) ->
    case ecto_litefs_look:is_due(Timer, Look) of
        true -> look(refusal(State),
                     State#state{look = ecto_litefs_look:none()});
        false -> {noreply, State}
    end;
handle_info({ecto_litefs_check, _Ref, _Role, none}, State) ->
    ok = tell_lag(State),
    {noreply, State};
handle_info({'DOWN', Ref, process, _Pid, _Reason},
            #state{scope = Ref} = State) ->
    {noreply, look_soon(State#state{scope = undefined, claim = none})};
handle_info({'DOWN', Ref, process, _Pid, Outcome},
            #state{renewal = {Ref, Epoch}} = State) ->
    {noreply, renewed(Outcome, Epoch, State#state{renewal = none})};
handle_info(Unexpected, #state{repo = Repo} = State) ->
    ok = ecto_litefs_report:unexpected(Repo, Unexpected),
    {noreply, State}.

-spec terminate(term(), #state{}) -> ok.
terminate(_Reason, #state{handle = passthrough} = State) ->
    ecto_litefs_instance:put(State#state.repo, gone, State#state.config);
terminate(_Reason, #state{handle = Handle}) ->
    ecto_litefs_nif:close(Handle).

%% -- start -------------------------------------------------------------------

maybe_start(undefined, _State) ->
    {stop, {not_started, <<"the application ecto_litefs is not running">>}};
maybe_start(_Scope, State) ->
    case ecto_litefs_nif:available() of
        true -> start(look_soon(State));
        false -> start_without_nif(refusal(State), look_soon(State))
    end.

start(#state{repo = Repo, config = Config} = State) ->
    Seen = ecto_litefs_instance:litefs_seen(Repo),
    case ecto_litefs_nif:open(ecto_litefs_config:nif_options(Config, Seen)) of
        {ok, Handle} ->
            ok = ecto_litefs_instance:put(Repo, Handle, Config),
            Deadline = now_ms() + ?SETTLE_MS,
            ok = await_settled(Handle, Deadline),
            State1 = refresh(watch_scope(State#state{handle = Handle})),
            {ok, await_renewed(State1, Deadline)};
        {error, Reason} ->
            {stop, Reason}
    end.

%% Both sources report within milliseconds unless LiteFS hangs; then the role
%% is unknown, which is right too.
await_settled(Handle, Deadline) ->
    case ecto_litefs_nif:take(Handle) of
        #{settled := true} -> ok;
        #{settled := false} ->
            receive
                {ecto_litefs_changed, Handle} -> await_settled(Handle, Deadline)
            after max(0, Deadline - now_ms()) ->
                    ok
            end
    end.

%% So that on a healthy mount the first write need not wait.
await_renewed(#state{renewal = none} = State, _Deadline) ->
    State;
await_renewed(#state{renewal = {Ref, Epoch}} = State, Deadline) ->
    receive
        {'DOWN', Ref, process, _Pid, Outcome} ->
            renewed(Outcome, Epoch, State#state{renewal = none})
    after max(0, Deadline - now_ms()) ->
            State
    end.

start_without_nif(none, #state{repo = Repo, config = Config} = State) ->
    Reason = ecto_litefs_nif:unavailable_reason(),
    ok = ecto_litefs_instance:put(Repo, {passthrough, self()}, Config),
    Reported = ecto_litefs_report:without_nif(Repo, take(State), Reason),
    {ok, refresh(watch_scope(State#state{reported = Reported}))};
start_without_nif(Refusal, #state{repo = Repo, config = Config}) ->
    ok = ecto_litefs_instance:put(Repo, gone, Config), % its writes wait
    {stop, Refusal}.

%% LiteFS may mount after the start: asked again with each look. A restart is
%% refused then, so that somebody hears of it.
refusal(#state{handle = passthrough, config = Config}) ->
    ecto_litefs_without_nif:refusal(Config);
refusal(_State) ->
    none.

%% -- acting on a change ------------------------------------------------------

look(none, State) ->
    Looked = refresh(watch_scope(State#state{failed = none})),
    ok = ask_lag(Looked),
    {noreply, Looked};
look(Refusal, State) ->
    {stop, Refusal, State}.

%% The claim first: what other nodes wait for is who may write. The end of a
%% renewal changes the role, so nobody is told of the one at its beginning.
refresh(#state{repo = Repo, config = Config} = State) ->
    Snapshot = take(State),
    Kind = ecto_litefs_status:kind(Snapshot, Config),
    ok = ecto_litefs_primaryship:observe(Repo, Kind, Snapshot),
    ok = ecto_litefs_tracking:observe(Repo, Kind, Snapshot),
    Claimed = claim(wanted(Snapshot, Config), State),
    ok = remember(Repo, Snapshot),
    case reconnect(Snapshot, release(Snapshot, Claimed)) of
        {begun, State1} -> next_look(Snapshot, State1);
        {nothing, State1} -> next_look(Snapshot, report(Snapshot, State1))
    end.

take(#state{handle = passthrough, repo = Repo}) ->
    ecto_litefs_status:snapshot(Repo);
take(#state{handle = Handle}) ->
    ecto_litefs_nif:take(Handle).

%% The role that is published is whole and newer than any claim made of it.
wanted(#{role := primary} = Snapshot, Config) ->
    ecto_litefs_status:kind(Snapshot, Config);
wanted(#{role := not_litefs}, _Config) ->
    plain;
wanted(_Snapshot, _Config) ->
    none.

claim(Claim, #state{claim = Claim} = State) ->
    State;
claim(_Claim, #state{scope = undefined} = State) ->
    State; % pg is down, and with it every claim
claim(Claim, #state{repo = Repo, claim = none} = State) ->
    ok = ecto_litefs_claim:join(Repo, Claim),
    State#state{claim = Claim};
claim(Claim, #state{repo = Repo, claim = Old} = State) ->
    _ = ecto_litefs_claim:leave(Repo, Old),
    claim(Claim, State#state{claim = none}).

remember(Repo, #{litefs_seen := true}) ->
    ecto_litefs_instance:mark_litefs_seen(Repo);
remember(_Repo, #{litefs_seen := false}) ->
    ok.

report(Snapshot, #state{repo = Repo, config = Config} = State) ->
    Kind = ecto_litefs_status:kind(Snapshot, Config),
    Reported = ecto_litefs_report:role(Repo, Kind, Snapshot, directory(Config),
                                       State#state.reported),
    State#state{reported = Reported}.

%% -- the Repo's pool ---------------------------------------------------------

%% LiteFS that died cannot start again where its dead mount is in use.
release(#{mount := dead}, #state{released = false, repo = Repo} = State) ->
    _ = try ecto_litefs_pool:release(Repo) catch Class:Why -> {Class, Why} end,
    State#state{released = true};
release(#{mount := Mount}, State) ->
    State#state{released = Mount =:= dead}.

%% SQLite handles from before the mount write into a file that it hides, so
%% the role stays unknown until the pool has opened new ones.
reconnect(#{reconnect := {pending, Epoch}},
          #state{renewal = none, failed = Failed, repo = Repo} = State)
  when Epoch =/= Failed ->
    {begun, State#state{renewal = {ecto_litefs_pool:start_renewal(Repo),
                                   Epoch}}};
reconnect(_Snapshot, State) ->
    {nothing, State}.

%% Where the mount has changed again meanwhile, its number is a newer one.
%% Whatever the Repo raised, the next look tries again; until then no write
%% runs here.
renewed(renewed, Epoch, #state{handle = Handle} = State) ->
    ok = ecto_litefs_nif:reconnected(Handle, Epoch),
    refresh(State);
renewed(Failure, Epoch, #state{repo = Repo} = State) ->
    Reported = ecto_litefs_report:not_reconnected(Repo, Failure,
                                                  State#state.reported),
    ok = ecto_litefs_last_error:put(Repo, {reconnect, Failure}),
    refresh(State#state{failed = Epoch, reported = Reported}).

%% -- pg ----------------------------------------------------------------------

%% A pg that was restarted has forgotten its members.
watch_scope(#state{scope = undefined} = State) ->
    case whereis(ecto_litefs_claim:scope()) of
        undefined -> State;
        Pid -> State#state{scope = monitor(process, Pid)}
    end;
watch_scope(State) ->
    State.

%% -- looks -------------------------------------------------------------------

%% A pg or a pool that is to be tried again tells nobody.
next_look(Snapshot, #state{scope = Scope, failed = none, config = Config,
                           look = Look} = State) when Scope =/= undefined ->
    case ecto_litefs_look:is_calm(Snapshot, Config) of
        true -> State#state{look = ecto_litefs_look:later(Look)};
        false -> look_soon(State)
    end;
next_look(_Snapshot, State) ->
    look_soon(State).

look_soon(#state{look = Look} = State) ->
    State#state{look = ecto_litefs_look:soon(Look)}.

%% What is known of the lag is as old as poll_interval.
ask_lag(#state{repo = Repo, handle = Handle}) ->
    case ecto_litefs_status:snapshot(Repo) of
        #{mount := litefs} ->
            _ = ecto_litefs_nif:check(Handle, make_ref(), none),
            ok;
        _NoLag ->
            ok
    end.

tell_lag(#state{repo = Repo, config = Config}) ->
    Snapshot = ecto_litefs_status:snapshot(Repo),
    ecto_litefs_telemetry:lag(Repo, Snapshot,
                              ecto_litefs_status:degraded(Snapshot, Config)).

%% -- small things ------------------------------------------------------------

directory(#{primary_file := File}) ->
    filename:dirname(File).

now_ms() ->
    erlang:monotonic_time(millisecond).
