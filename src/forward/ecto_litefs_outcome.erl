%% What became of a call whose answer did not come: the connection broke, or the
%% call's time ran out. Asks the node that it was sent to, which keeps a ledger,
%% for as long as the caller has time. Only what cannot be learnt in that time
%% is unknown.
-module(ecto_litefs_outcome).

-export([certain/3]).

%% refused: it has not run, and never will.
-type outcome() ::
        {done, ecto_litefs_executor:answer()}
      | refused
      | running       % still, when the time was over
      | unreachable   % the node could not be asked
      | gone.         % it does not know

-record(question,
        {node :: node(),
         request :: ecto_litefs_executor:request(),
         deadline :: integer()}).

%% Milliseconds that the question has, even if the call has taken all its time.
-define(GRACE_MS, 500).

%% So that "it still runs" is here before the time is over.
-define(MARGIN_MS, 50).

-define(PAUSES, [5, 10, 20, 50, 100]).

%% Deadline: of the call, as erlang:monotonic_time(millisecond) has it.
-spec certain(node(), ecto_litefs_executor:request(), Deadline :: integer()) ->
          outcome().
certain(_Node, #{incarnation := unknown}, _Deadline) ->
    refused; % nobody executes such a request
certain(Node, Request, Deadline) ->
    ask(#question{node = Node, request = Request,
                  deadline = max(Deadline, now_ms() + ?GRACE_MS)}, ?PAUSES).

ask(Question, Pauses) ->
    StartedAt = erlang:monotonic_time(),
    Found = claim(Question),
    observe(StartedAt, Found, Question),
    case Found of
        running -> await(Question, Pauses);
        unreachable -> again(Question, Pauses);
        _ -> Found
    end.

claim(#question{request = Request} = Question) ->
    #{incarnation := Incarnation, id := Id, budget_ms := CallMs} = Request,
    in_time(call(claim, [Incarnation, Id, CallMs], Question), Question).

%% The ledger forgets. What it says after the caller's time, because this VM or
%% that one was frozen, may be no longer true.
in_time(refused, #question{deadline = Deadline}) ->
    case now_ms() =< Deadline of
        true -> refused;
        false -> gone
    end;
in_time(Found, _Question) ->
    Found.

await(#question{request = Request} = Question, Pauses) ->
    #{incarnation := Incarnation, id := Id} = Request,
    StartedAt = erlang:monotonic_time(),
    Args = [Incarnation, Id, max(0, left(Question) - ?MARGIN_MS)],
    Found = in_time(call(await, Args, Question), Question),
    observe(StartedAt, Found, Question),
    case {Found, left(Question)} of
        {unreachable, 0} -> running; % it has answered the claim
        {unreachable, _Left} -> again(Question, Pauses);
        _ -> Found
    end.

call(Function, Args, #question{node = Node} = Question) ->
    case ecto_litefs_connection:connect(Node, left(Question)) of
        ok -> called(Node, Function, Args, left(Question));
        {error, noconnection} -> unreachable
    end.

called(Node, Function, Args, Ms) ->
    try erpc:call(Node, ecto_litefs_ledger, Function, Args, Ms)
    catch
        error:{erpc, _Reason} -> unreachable;
        error:{exception, _Reason, _Stack} -> gone % another version, or none
    end.

again(#question{node = Node} = Question, [Ms | Rest]) ->
    case left(Question) of
        0 -> unreachable;
        Left ->
            case ecto_litefs_connection:'gone?'(Node, Left) of
                true -> gone;
                false -> pause(min(Ms, Left)), ask(Question, longer(Ms, Rest))
            end
    end.

pause(Ms) ->
    receive after Ms -> ok end.

longer(Ms, []) -> [Ms];
longer(_Ms, Rest) -> Rest.

observe(StartedAt, Found, #question{node = Node, request = Request}) ->
    #{repo := Repo, action := Action} = Request,
    ecto_litefs_telemetry:claim(StartedAt, result(Found),
                                #{repo => Repo, action => Action,
                                  primary_node => Node}).

result({done, _Answer}) -> done;
result(Found) -> Found.

left(#question{deadline = Deadline}) ->
    max(0, Deadline - now_ms()).

now_ms() ->
    erlang:monotonic_time(millisecond).
