%% How many forwarded calls run at once on a primary: as many as the Repo's pool
%% has connections, the others wait in the order in which they came. Without it
%% they would all stand in the pool's own queue, which drops those that wait
%% too long (seen: 512 inserts at once, three of four were dropped).
%%
%% One process for each Repo; each of its pools (put_dynamic_repo/1) has a queue
%% of its own. A call that is refused here has not begun.
-module(ecto_litefs_admission).

-behaviour(gen_server).

-export([child_spec/1]).
-export([start_link/1]).
-export([enter/4]).
-export([leave/2]).
-export([counts/1]).

-export([init/1]).
-export([handle_call/3]).
-export([handle_cast/2]).
-export([handle_info/2]).

-export_type([refusal/0]).

%% expired: its turn came after the caller's time. closed: there is no
%% admission, the Repo's supervisor has just ended.
-type refusal() :: overloaded | expired | closed.

-record(pool,
        {running = #{} :: #{pid() => reference()},
         queue = queue:new() :: queue:queue(waiting())}).

-type waiting() :: {gen_server:from(), Deadline :: integer()}.

-type state() ::
        #{max_queue := non_neg_integer(), pools := #{atom() => #pool{}}}.

-spec child_spec(ecto_litefs_config:t()) -> supervisor:child_spec().
child_spec(Config) ->
    #{id => ?MODULE, start => {?MODULE, start_link, [Config]}}.

-spec start_link(ecto_litefs_config:t()) ->
          {ok, pid()} | {error, term()} | ignore.
start_link(#{repo := Repo, max_queue := Max}) ->
    gen_server:start_link({local, name(Repo)}, ?MODULE, Max, []).

name(Repo) ->
    ecto_litefs_name:of_repo('Elixir.EctoLiteFS.Admission', Repo).

%% Returns when it is the calling process' turn, which then calls leave/2, or
%% ends. Pool: the name of the dynamic repo. Deadline: as now_ms() has it.
-spec enter(module(), atom(), pos_integer(), Deadline :: integer()) ->
          ok | {error, refusal()}.
enter(Repo, Pool, Size, Deadline) ->
    try gen_server:call(name(Repo), {enter, Pool, Size, Deadline}, infinity)
    catch
        exit:{_Reason, {gen_server, call, _}} -> {error, closed}
    end.

-spec leave(module(), atom()) -> ok.
leave(Repo, Pool) ->
    gen_server:cast(name(Repo), {leave, Pool, self()}).

%% Of all pools.
-spec counts(module()) -> #{running := non_neg_integer(),
                            queued := non_neg_integer()}.
counts(Repo) ->
    gen_server:call(name(Repo), counts).

-spec init(non_neg_integer()) -> {ok, state()}.
init(Max) ->
    {ok, #{max_queue => Max, pools => #{}}}.

-spec handle_call(term(), gen_server:from(), state()) ->
          {reply, term(), state()} | {noreply, state()}.
handle_call({enter, Name, Size, Deadline}, From, State) ->
    #pool{running = Running, queue = Queue} = Pool = pool(Name, State),
    case {map_size(Running) < Size, queue:len(Queue), State} of
        {true, _Queued, _} ->
            {reply, ok, put_pool(Name, admit(From, Pool), State)};
        {false, Queued, #{max_queue := Max}} when Queued < Max ->
            Waiting = queue:in({From, Deadline}, Queue),
            {noreply, put_pool(Name, Pool#pool{queue = Waiting}, State)};
        {false, _Queued, _} ->
            {reply, {error, overloaded}, State}
    end;
handle_call(counts, _From, #{pools := Pools} = State) ->
    All = maps:values(Pools),
    {reply,
     #{running => lists:sum([map_size(P#pool.running) || P <- All]),
       queued => lists:sum([queue:len(P#pool.queue) || P <- All])}, State}.

-spec handle_cast({leave, atom(), pid()}, state()) -> {noreply, state()}.
handle_cast({leave, Name, Pid}, State) ->
    {noreply, left(Name, Pid, State)}.

%% A call whose process was killed has left, too.
-spec handle_info(term(), state()) -> {noreply, state()}.
handle_info({'DOWN', _Monitor, process, Pid, _Reason}, State) ->
    #{pools := Pools} = State,
    In = [Name || {Name, #pool{running = #{Pid := _}}} <- maps:to_list(Pools)],
    {noreply, lists:foldl(fun(Name, S) -> left(Name, Pid, S) end, State, In)};
handle_info(_Unknown, State) ->
    {noreply, State}.

pool(Name, #{pools := Pools}) ->
    maps:get(Name, Pools, #pool{}).

%% A pool that nobody uses is forgotten: its Repo may have been one of many.
put_pool(Name, #pool{running = Running}, #{pools := Pools} = State)
  when map_size(Running) =:= 0 ->
    State#{pools := maps:remove(Name, Pools)};
put_pool(Name, Pool, #{pools := Pools} = State) ->
    State#{pools := Pools#{Name => Pool}}.

%% One that has died while it waited is down at once.
admit({Pid, _Tag}, #pool{running = Running} = Pool) ->
    Pool#pool{running = Running#{Pid => monitor(process, Pid)}}.

left(Name, Pid, State) ->
    #pool{running = Running} = Pool = pool(Name, State),
    case maps:take(Pid, Running) of
        {Monitor, Rest} ->
            true = demonitor(Monitor, [flush]),
            put_pool(Name, next(Pool#pool{running = Rest}), State);
        error ->
            State
    end.

next(#pool{queue = Queue} = Pool) ->
    case queue:out(Queue) of
        {empty, _} -> Pool;
        {{value, {From, Deadline}}, Rest} ->
            turn(From, Deadline, Pool#pool{queue = Rest})
    end.

turn(From, Deadline, Pool) ->
    case erlang:monotonic_time(millisecond) < Deadline of
        true ->
            gen_server:reply(From, ok),
            admit(From, Pool);
        false ->
            gen_server:reply(From, {error, expired}),
            next(Pool)
    end.
