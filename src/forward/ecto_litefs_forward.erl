%% The caller's side: choose a node, attempt, and retry what was certainly not
%% executed until the time to wait for a primary is over. Everything runs in
%% the calling process and leaves nothing in its mailbox.
-module(ecto_litefs_forward).

-export([run/3]).

-export_type([failure/0]).
-export_type([outcome/0]).
-export_type([reason/0]).

%% What a caller is told, closed: EctoLiteFS.Error has a sentence for each.
-type reason() ::
        primary_unavailable
      | overloaded
      | {erpc, noconnection | timeout, node()}
      | {not_executed, why()}.

-type why() ::
        {timeout, node()}                      % it was not its turn in time
      | {demoted, node()}
      | {repo_not_started, node()}
      | {repeated_id, node()}
      | {other_version, node()}                % of this library
      | {no_library, node()}
      | {other_build, module(), node()}
      | {no_function, {module(), atom(), arity()}, node()}.

-type failure() ::
        #{reason := reason(),
          node := node() | nil,
          outcome := not_executed | unknown}.

%% local: meanwhile this node has become the primary.
-type outcome() ::
        local
      | {done, Result :: term(), ecto_litefs_committed:position()}
      | {raised, error | exit | throw, Reason :: term(), Stack :: list(),
         Text :: binary() | none}
      | {failed, failure()}.

-record(forward,
        {request :: ecto_litefs_executor:request(),
         call :: ecto_litefs_attempt:caller(),
         repo :: module(),
         kind :: ecto_litefs_status:kind(),
         call_ms :: pos_integer(),
         deadline :: integer(),
         monitor = none :: none | reference(),
         pauses = [5, 10, 20, 50] :: [pos_integer()],
         failure = unavailable() :: failure()}).

%% How long several claimants may take to say which of them is the primary.
-define(CHOOSE_MS, 200).

%% CallMs: how long one attempt may take.
-spec run(ecto_litefs_executor:request(), CallMs :: pos_integer(),
          ecto_litefs_attempt:caller()) -> outcome().
run(#{repo := Repo, kind := Kind} = Request, CallMs, Call) ->
    {_Access, Config} = ecto_litefs_instance:lookup(Repo),
    Deadline = now_ms() + wait_ms(Kind, Config),
    Forward = #forward{request = Request,
                       call = Call,
                       repo = Repo,
                       kind = Kind,
                       call_ms = CallMs,
                       deadline = Deadline},
    note(Request,
         ecto_litefs_in_flight:during(Repo, fun() -> decide(Forward) end)).

note(#{repo := Repo, action := Action}, {failed, Failure} = Outcome) ->
    ok = ecto_litefs_last_error:put(Repo, {forward, Action, Failure}),
    Outcome;
note(_Request, Outcome) ->
    Outcome.

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
    concluded(Outcome, Node, Forward).

concluded({not_executed, Why}, Node, Forward) ->
    skip(Why, Node),
    Failure = not_executed(reason(Why, Node), Node),
    retry(Why, Forward#forward{failure = Failure});
concluded({unknown, Why}, Node, _Forward) ->
    skip(Why, Node),
    {failed, #{reason => {erpc, timeout, Node}, node => Node,
               outcome => unknown}};
concluded(DoneOrRaised, _Node, _Forward) ->
    DoneOrRaised.

observe(Span, {done, _Result, _Position}) ->
    ecto_litefs_telemetry:stop(Span);
observe(Span, {raised, Class, Reason, Stack, _Text}) ->
    ecto_litefs_telemetry:raised(Span, Class, Reason, Stack);
observe(Span, {Outcome, Reason}) ->
    ecto_litefs_telemetry:failed(Span, Outcome, Reason).

%% A node that did not answer is left alone for a while, by all callers.
skip(noconnection, Node) -> ecto_litefs_breaker:skip(Node);
skip(silent, Node) -> ecto_litefs_breaker:skip(Node);
skip(_Answered, _Node) -> ok.

%% Another primary, or the same one in a moment, may do what this one did not.
retry(not_primary, Forward) -> again(Forward);
retry(noconnection, Forward) -> again(Forward);
retry(silent, Forward) -> again(Forward);
retry(cut, Forward) -> again(Forward);
retry(expired, Forward) -> again(Forward);
retry(repo_not_started, Forward) -> again(Forward);
retry(_SameAgain, #forward{failure = Failure}) -> {failed, Failure}.

%% How long the call may take, and how long connecting may: not beyond the
%% time to wait for a primary, where there is one.
limits(#forward{call_ms = Timeout} = Forward) ->
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
not_executed(primary_unavailable, _Node) ->
    unavailable();
not_executed(Reason, Node) ->
    #{reason => Reason, node => Node, outcome => not_executed}.

unavailable() ->
    #{reason => primary_unavailable, node => nil, outcome => not_executed}.

-spec reason(ecto_litefs_attempt:not_executed(), node()) -> reason().
reason(not_primary, _Node) -> primary_unavailable;
reason(overloaded, _Node) -> overloaded;
reason(noconnection, Node) -> {erpc, noconnection, Node};
reason(silent, Node) -> {erpc, noconnection, Node};
reason(cut, Node) -> {erpc, noconnection, Node};
reason(expired, Node) -> {not_executed, {timeout, Node}};
reason({What, Which}, Node) -> {not_executed, {What, Which, Node}};
reason(Why, Node) -> {not_executed, {Why, Node}}.

now_ms() ->
    erlang:monotonic_time(millisecond).
