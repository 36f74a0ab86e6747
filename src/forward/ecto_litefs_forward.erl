%% The caller's side: choose a node, attempt, and retry what was certainly not
%% executed until the time to wait for a primary is over. Everything runs in
%% the calling process and leaves nothing in its mailbox.
-module(ecto_litefs_forward).

-export([run/2]).

-export_type([failure/0]).
-export_type([outcome/0]).

-type reason() ::
        primary_unavailable
      | {erpc, timeout | noconnection | notsup, node()}.

-type failure() ::
        #{reason := reason(),
          node := node() | nil,
          outcome := not_executed | unknown}.

%% local: meanwhile this node has become the primary.
-type outcome() ::
        local
      | {done, Result :: term()}
      | {raised, error | exit | throw, Reason :: term(), Stack :: list()}
      | {failed, failure()}.

-record(forward,
        {request :: ecto_litefs_executor:request(),
         call :: ecto_litefs_attempt:caller(),
         repo :: module(),
         kind :: ecto_litefs_status:kind(),
         erpc_timeout :: pos_integer(),
         deadline :: integer(),
         monitor = none :: none | reference(),
         pauses = [5, 10, 20, 50] :: [pos_integer()],
         failure = unavailable() :: failure()}).

%% How long several claimants may take to say which of them is the primary.
-define(CHOOSE_MS, 200).

-spec run(ecto_litefs_executor:request(), ecto_litefs_attempt:caller()) ->
          outcome().
run(#{repo := Repo, kind := Kind} = Request, Call) ->
    {_Access, Config} = ecto_litefs_instance:lookup(Repo),
    Deadline = now_ms() + wait_ms(Kind, Config),
    decide(#forward{request = Request,
                    call = Call,
                    repo = Repo,
                    kind = Kind,
                    erpc_timeout = maps:get(erpc_timeout, Config),
                    deadline = Deadline}).

%% Without LiteFS nobody is going to be elected.
wait_ms(litefs, #{primary_wait := Ms}) -> Ms;
wait_ms(plain, #{mount := auto}) -> 0;
wait_ms(plain, #{event_stream_url := undefined}) -> 0;
wait_ms(plain, #{primary_wait := Ms}) -> Ms.

decide(#forward{repo = Repo, kind = Kind} = Forward) ->
    Context = #{supervised => ecto_litefs_supervised:alive(Repo),
                candidates => ecto_litefs_directory:candidates(Repo, Kind),
                remaining_ms => remaining(Forward)},
    case ecto_litefs_route:decide(ecto_litefs_status:role(Repo), Context) of
        local -> local;
        {error, primary_unavailable} -> {failed, Forward#forward.failure};
        {wait, _Ms} -> pause(Forward);
        {forward, [Node]} -> attempt(Node, Forward);
        {forward, [_, _ | _]} -> choose(Forward)
    end.

choose(#forward{repo = Repo, kind = Kind} = Forward) ->
    case ecto_litefs_directory:choose(Repo, Kind, ?CHOOSE_MS) of
        {ok, Node} -> attempt(Node, Forward);
        none -> again(Forward)
    end.

attempt(Node, #forward{request = Request, call = Call} = Forward) ->
    #{repo := Repo, action := Action} = Request,
    Span = ecto_litefs_telemetry:start(Repo, Action, Node),
    Outcome = ecto_litefs_attempt:run(Node, Request, limits(Forward), Call),
    observe(Span, Outcome),
    case Outcome of
        {done, _Result} -> Outcome;
        {raised, _Class, _Reason, _Stack} -> Outcome;
        {unknown, timeout} -> {failed, unknown(Node)};
        {not_executed, Reason} ->
            again(Forward#forward{failure = not_executed(Reason, Node)})
    end.

observe(Span, {done, _Result}) ->
    ecto_litefs_telemetry:stop(Span);
observe(Span, {raised, Class, Reason, Stack}) ->
    ecto_litefs_telemetry:exception(Span, Class, Reason, Stack);
observe(Span, {_Outcome, Reason}) ->
    ecto_litefs_telemetry:exception(Span, error, Reason, []).

%% How long the call may take, and how long connecting may: not beyond the
%% time to wait for a primary, where there is one.
limits(#forward{erpc_timeout = Timeout} = Forward) ->
    case remaining(Forward) of
        0 -> {Timeout, Timeout};
        Ms -> {Timeout, min(Ms, Timeout)}
    end.

again(Forward) ->
    case remaining(Forward) of
        0 -> {failed, Forward#forward.failure};
        _ -> pause(Forward)
    end.

%% The first pause asks pg for news and looks again at once, so that a claim
%% made in between is not missed. The others wait for news or a few
%% milliseconds: a change of this node's own role is no news for pg.
pause(#forward{monitor = none, repo = Repo, kind = Kind} = Forward) ->
    {Monitor, _Pids} = ecto_litefs_claim:monitor(Repo, Kind),
    try decide(Forward#forward{monitor = Monitor})
    after
        _ = ecto_litefs_claim:demonitor(Monitor),
        flush(Monitor)
    end;
pause(#forward{monitor = Monitor, pauses = [Ms | Rest]} = Forward) ->
    receive
        {Monitor, _JoinOrLeave, _Group, _Pids} -> ok
    after min(Ms, remaining(Forward)) -> ok
    end,
    decide(Forward#forward{pauses = longer(Ms, Rest)}).

longer(Ms, []) -> [Ms];
longer(_Ms, Rest) -> Rest.

flush(Monitor) ->
    receive
        {Monitor, _JoinOrLeave, _Group, _Pids} -> flush(Monitor)
    after 0 -> ok
    end.

remaining(#forward{deadline = Deadline}) ->
    max(0, Deadline - now_ms()).

%% A node that says "not me" has answered; there is no primary to name.
not_executed(not_primary, _Node) ->
    unavailable();
not_executed(Reason, Node) ->
    ecto_litefs_breaker:skip(Node),
    #{reason => {erpc, Reason, Node}, node => Node, outcome => not_executed}.

unavailable() ->
    #{reason => primary_unavailable, node => nil, outcome => not_executed}.

unknown(Node) ->
    #{reason => {erpc, timeout, Node}, node => Node, outcome => unknown}.

now_ms() ->
    erlang:monotonic_time(millisecond).
