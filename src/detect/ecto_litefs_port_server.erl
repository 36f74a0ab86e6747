%% One for each Repo: what becomes of the requests to the port program. One is
%% in the program, the others wait. Whatever happens, each is answered by its
%% own deadline: one that is not answered in time costs its caller the deadline
%% and the program its life, and those behind it wait for the next program. This
%% process itself never waits: for the program, the Repo's config/0, or a file.
-module(ecto_litefs_port_server).

-behaviour(gen_server).

-export([init/1]).
-export([handle_call/3]).
-export([handle_cast/2]).
-export([handle_info/2]).
-export([terminate/2]).

%% What has to be found out before the database can be opened.
-type place() :: {place, Database :: {ok, binary()} | {error, no_database},
                  Program :: {ok, file:filename()} | {error, term()}}.

%% What the current request waits for: the place, the time at which a program
%% may be started, the end of the last one, an answer.
-type step() ::
        none
      | {locating, pid(), reference()}
      | {starting, reference(), place()}
      | {ending, place()}
      | {asked, Id :: non_neg_integer(),
         {open, ecto_litefs_port:mode()} | operation}.

-record(state,
        {config :: ecto_litefs_config:t(),
         mode = query_only :: ecto_litefs_port:mode(),
         queue = ecto_litefs_port_queue:new() :: ecto_litefs_port_queue:t(),
         current = none :: none | ecto_litefs_port_queue:request(),
         step = none :: step(),
         program :: ecto_litefs_port_program:t(),
         opened = none :: none | stale | ecto_litefs_port:mode(),
         next_id = 0 :: non_neg_integer()}).

-define(CLOSE_MS, 2_000).
-define(MARGIN_MS, 100).     % so that "busy" is said before the deadline

-spec init(ecto_litefs_config:t()) -> {ok, #state{}}.
init(#{repo := Repo} = Config) ->
    _ = process_flag(trap_exit, true), % ports are linked
    {ok, #state{config = Config,
                program = ecto_litefs_port_program:new(Repo)}}.

-spec handle_call({ecto_litefs_port_packet:operation(), Deadline :: integer()},
                  gen_server:from(), #state{}) -> {noreply, #state{}}.
handle_call({Operation, Deadline}, From, #state{queue = Queue} = State) ->
    Request = ecto_litefs_port_queue:request(Operation, From, Deadline),
    Waiting = ecto_litefs_port_queue:in(Request, Queue),
    {noreply, proceed(State#state{queue = Waiting})}.

-spec handle_cast(close | {mode, ecto_litefs_port:mode()}, #state{}) ->
          {noreply, #state{}}.
handle_cast({mode, Mode}, State) ->
    {noreply, State#state{mode = Mode}};
handle_cast(close, State) ->
    {noreply, proceed(want_close(is_closing(State), State))}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info({timeout, Timer, deadline}, State) ->
    {noreply, proceed(deadline(Timer, State))};
handle_info({timeout, Timer, start},
            #state{step = {starting, Timer, Place}} = State) ->
    {noreply, proceed(start(Place, State))};
handle_info({'DOWN', Ref, process, _Pid, Place},
            #state{step = {locating, _, Ref}} = State) ->
    {noreply, proceed(located(Place, State#state{step = none}))};
handle_info(Message, #state{program = Program} = State) ->
    Event = ecto_litefs_port_program:event(Message, Program),
    {noreply, proceed(event(Event, State))}.

-spec terminate(term(), #state{}) -> ok.
terminate(_Reason, #state{program = Program}) ->
    ecto_litefs_port_program:close(Program).

%% -- the current request -----------------------------------------------------

%% Takes it, or the next one, as far as it goes by itself.
proceed(#state{step = Step} = State) when Step =/= none ->
    State;
proceed(#state{current = none, queue = Queue} = State) ->
    case ecto_litefs_port_queue:out(Queue) of
        {Request, Rest} ->
            proceed(State#state{current = Request, queue = Rest});
        empty ->
            State
    end;
proceed(#state{current = #{operation := close}, opened = none} = State) ->
    proceed(answer(ok, State));
proceed(#state{current = #{operation := Operation},
               opened = Opened, mode = Mode} = State)
  when Operation =:= close; Opened =:= Mode ->
    #state{config = #{table_name := Table}} = State,
    ask(operation, ecto_litefs_port_packet:body(Operation, Table), State);
proceed(#state{config = Config} = State) ->
    {Pid, Ref} = spawn_monitor(fun() -> exit(place(Config)) end),
    State#state{step = {locating, Pid, Ref}}.

place(Config) ->
    {place, ecto_litefs_database:path(Config), ecto_litefs_port_program:find()}.

located({place, {ok, _}, _} = Place, #state{program = Program} = State) ->
    case ecto_litefs_port_program:status(Program) of
        running -> open(Place, State);
        dying -> State#state{step = {ending, Place}};
        missing -> answer({error, unavailable}, State);
        {none, Wait} when Wait > 0 ->
            Timer = erlang:start_timer(Wait, self(), start),
            State#state{step = {starting, Timer, Place}};
        {none, _Now} -> start(Place, State)
    end;
located(_NoneOrKilled, State) ->
    answer({error, no_database}, State).

start({place, _, File} = Place, #state{program = Program} = State) ->
    case ecto_litefs_port_program:start(File, Program) of
        {ok, Started} ->
            open(Place, State#state{program = Started});
        {unavailable, Missing} ->
            answer({error, unavailable}, State#state{program = Missing})
    end.

open({place, {ok, Path}, _}, #state{mode = Mode} = State) ->
    ask({open, Mode}, {open, Path, Mode}, State).

ask(What, Body, #state{current = #{deadline := Deadline}} = State) ->
    #state{program = Program, next_id = Id} = State,
    Left = Deadline - erlang:monotonic_time(millisecond),
    Packet = ecto_litefs_port_packet:request(
               Id, Left - min(?MARGIN_MS, Left div 4), Body),
    ok = ecto_litefs_port_program:send(Packet, Program),
    State#state{step = {asked, Id, What}, next_id = Id + 1}.

answer(Reply, #state{current = Request} = State) ->
    ok = ecto_litefs_port_queue:answer(Request, Reply),
    State#state{current = none, step = none}.

%% -- what the program says ---------------------------------------------------

event({packet, Packet, Program}, State) ->
    reply_came(ecto_litefs_port_packet:reply(Packet),
               State#state{program = Program});
event({part, Program}, State) ->
    State#state{program = Program};
event(too_much, State) ->
    fail(bad_reply, {error, bad_reply}, State);
event({gone, Reason, Program}, State) ->
    gone(Reason, State#state{program = Program, opened = none});
event(nothing, State) ->
    State.

reply_came({Id, Reply}, #state{step = {asked, Id, What}} = State) ->
    replied(What, Reply, State);
reply_came(_BadOrUnasked, State) ->
    fail(bad_reply, {error, bad_reply}, State).

replied({open, Mode}, ok, State) ->
    State#state{opened = Mode, step = none};
replied({open, _Mode}, {error, Failure}, State) ->
    answer({error, Failure}, State#state{opened = none});
replied(operation, Reply, #state{current = #{operation := Operation},
                                 opened = Opened, program = Program} = State) ->
    case ecto_litefs_port_packet:meaning(Operation, Reply) of
        bad -> fail(bad_reply, {error, bad_reply}, State);
        Meaning ->
            Good = ecto_litefs_port_program:good(Program),
            answer(Reply, State#state{program = Good,
                                      opened = opened(Meaning, Opened)})
    end;
replied(_Open, _Reply, State) ->
    fail(bad_reply, {error, bad_reply}, State).

%% A LiteFS that was restarted leaves its old files behind.
opened(closed, _Opened) -> none;
opened(doubtful, _Opened) -> stale;
opened(sound, Opened) -> Opened.

%% -- the end of a program ----------------------------------------------------

%% The program has to go, and takes the request with it that it has.
fail(Cause, Reply, #state{step = Step} = State) ->
    Dying = State#state{program = finish(Cause, State), opened = none},
    case Step of
        {asked, _, _} -> answer(Reply, Dying);
        _ -> Dying
    end.

finish(Cause, #state{step = {asked, _, operation},
                     current = #{operation := {write_row, _}},
                     program = Program}) ->
    ecto_litefs_port_program:stop(Cause, Program);
finish(Cause, #state{program = Program}) ->
    ecto_litefs_port_program:kill(Cause, Program).

gone(Reason, #state{step = {asked, _, _}} = State) ->
    answer({error, Reason}, State);
gone(_Reason, #state{step = {ending, Place}} = State) ->
    located(Place, State#state{step = none});
gone(_Reason, State) ->
    State.

%% -- time --------------------------------------------------------------------

deadline(Timer, #state{current = #{timer := Timer}} = State) ->
    expired(State);
deadline(Timer, #state{queue = Queue} = State) ->
    case ecto_litefs_port_queue:take(Timer, Queue) of
        {Request, Rest} -> expired(Request, State#state{queue = Rest});
        none -> State % it was answered a moment before
    end.

expired(#state{current = #{operation := close}} = State) ->
    fail(closing, ok, State);
expired(#state{step = {asked, _, _}} = State) ->
    fail(timeout, {error, timeout}, State);
expired(#state{step = {locating, Pid, Ref}} = State) ->
    true = demonitor(Ref, [flush]),
    true = exit(Pid, kill),
    answer({error, timeout}, State);
expired(State) ->
    answer({error, timeout}, State).

%% One that still waited. The current one kept close/1 from the program.
expired(#{operation := close}, State) ->
    case may_be_open(State) of
        true -> fail(closing, {error, closed}, State);
        false -> State
    end;
expired(Request, State) ->
    ok = ecto_litefs_port_queue:answer(Request, {error, timeout}),
    State.

want_close(false, #state{queue = Queue} = State) ->
    Deadline = erlang:monotonic_time(millisecond) + ?CLOSE_MS,
    Request = ecto_litefs_port_queue:request(close, nobody, Deadline),
    State#state{queue = ecto_litefs_port_queue:in_front(Request, Queue)};
want_close(true, State) ->
    State.

is_closing(#state{current = #{operation := close}}) -> true;
is_closing(#state{queue = Queue} = State) ->
    not may_be_open(State) orelse ecto_litefs_port_queue:is_closing(Queue).

may_be_open(#state{step = {asked, _, {open, _}}}) -> true;
may_be_open(#state{opened = Opened}) -> Opened =/= none.
