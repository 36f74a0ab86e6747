%% One attempt to run a call on one node, and what became of it. The line
%% between "not executed" and "unknown" is drawn here, and nowhere else.
-module(ecto_litefs_attempt).

-export([run/4]).
-export([call/3]).

-export_type([caller/0]).
-export_type([limits/0]).
-export_type([outcome/0]).
-export_type([not_executed/0]).

%% How a fun gets to a node: 'Elixir.EctoLiteFS.RPC':call/3, or what a user's
%% test put in its place. Raises what call/3 raises.
-type caller() :: fun((node(), fun(() -> term()), pos_integer()) -> term()).

%% Milliseconds for the whole call, and for making a connection.
-type limits() :: {Timeout :: pos_integer(), ConnectMs :: non_neg_integer()}.

%% cut: the connection broke before the call began there; expired: so did the
%% time run out. silent: the node did not answer the first question, and got no
%% call.
-type not_executed() ::
        not_primary | noconnection | silent | cut
      | other_version | no_library | ecto_litefs_executor:why_not().

-type outcome() ::
        {done, Result :: term(), ecto_litefs_committed:position()}
      | {raised, error | exit | throw, Reason :: term(), Stack :: list(),
         Text :: binary() | none}
      | {not_executed, not_executed()}
      | {unknown, timeout}      % the node says that it may have run
      | {unknown, silent}.      % nobody can be asked

-spec run(node(), ecto_litefs_executor:request(), limits(), caller()) ->
          outcome().
run(Node, Request, {Timeout, ConnectMs}, Call) ->
    ok = ecto_litefs_breaker:probe(Node),
    Deadline = now_ms() + Timeout,
    case introduced(Node, Request, min(Timeout, ConnectMs)) of
        {ok, Incarnation} ->
            Request1 = Request#{id := rand:bytes(16),
                                incarnation := Incarnation},
            again(Node, Request1, Deadline, Call);
        {error, Why} ->
            {not_executed, Why}
    end.

%% Which VM it is has to be known before anything is sent. A user's own way to
%% a node makes its own connection, perhaps to one that does not exist.
introduced(Node, #{payload := {super, _, _}}, ConnectMs) ->
    case lists:member(Node, nodes(connected)) of
        true -> incarnation(Node, ecto_litefs_incarnation:known(Node), ConnectMs);
        false -> {ok, unknown}
    end;
introduced(Node, _Request, ConnectMs) ->
    case ecto_litefs_connection:connect(Node, ConnectMs) of
        ok -> incarnation(Node, ecto_litefs_incarnation:known(Node), ConnectMs);
        {error, noconnection} -> {error, noconnection}
    end.

incarnation(Node, unknown, Ms) ->
    try erpc:call(Node, ecto_litefs_ledger, incarnation, [], Ms) of
        none -> {error, not_primary};
        Incarnation -> remember(Node, Incarnation), {ok, Incarnation}
    catch
        error:{erpc, timeout} -> {error, silent};
        error:{erpc, _} -> {error, noconnection};
        error:{exception, undef, _Stack} -> {error, no_library}
    end;
incarnation(_Node, Incarnation, _Ms) ->
    {ok, Incarnation}.

remember(Node, Incarnation) ->
    ecto_litefs_incarnation:remember(Node, Incarnation).

%% Another incarnation has refused the call, and is asked itself.
again(Node, Request, Deadline, Call) ->
    case once(Node, Request, Deadline, Call) of
        {another_incarnation, Incarnation} ->
            remember(Node, Incarnation),
            settled(once(Node, Request#{incarnation := Incarnation}, Deadline,
                         Call));
        Outcome ->
            Outcome
    end.

settled({another_incarnation, _}) -> {not_executed, not_primary};
settled(Outcome) -> Outcome.

once(Node, Request, Deadline, Call) ->
    Left = max(1, Deadline - now_ms()),
    Request1 = Request#{budget_ms := Left,
                        acks => ecto_litefs_acks:take(Node)},
    try send(Node, Request1, Left, Call) of
        Answer -> answered(Answer, Node, Request1)
    catch
        error:{erpc, timeout} -> lost(Node, Request1, Deadline);
        error:{erpc, Reason} -> {not_executed, not_begun(Reason)};
        error:{exception, Reason, Stack} -> raised(Reason, Stack);
        exit:{exception, Reason} -> {raised, exit, Reason, [], none};
        exit:{signal, _Reason} -> {unknown, timeout}
    end.

not_begun(noconnection) -> noconnection;
not_begun(system_limit) -> noconnection; % no process can be made there
not_begun(notsup) -> other_version.

raised(undef, [{ecto_litefs_executor, _, _, _} | _]) ->
    {not_executed, no_library};
raised(Reason, Stack) ->
    {raised, error, Reason, Stack, none}.

%% Data goes as it is. A fun goes through the caller's own function, and what
%% that answers of itself is the result.
send(Node, #{payload := {super, _, _}} = Request, Left, Call) ->
    Fun = fun() -> run_super(Node, Request) end,
    try Call(Node, Fun, Left)
    catch
        %% This module is of another build there, or not there at all.
        error:{exception, {badfun, Fun}, _Stack} -> error({erpc, notsup});
        error:{exception, undef, [{Fun, _, _} | _]} -> error({erpc, notsup})
    end;
send(Node, Request, Left, _Call) ->
    Run = fun(Ms) ->
                  erpc:call(Node, ecto_litefs_executor, run, [Request], Ms)
          end,
    {?MODULE, connected(Node, {Left, Left}, Run)}.

%% A test may call the fun where it is: then only the super runs.
run_super(Node, Request) when Node =:= node() ->
    {?MODULE, ecto_litefs_executor:run(Request)};
run_super(_Node, #{payload := {super, Super, Args}}) ->
    apply(Super, Args).

answered({?MODULE, Answer}, Node, #{id := Id}) ->
    ok = ecto_litefs_acks:add(Node, Id),
    ok = ecto_litefs_breaker:answered(Node),
    classify(Answer);
answered(Result, _Node, _Request) ->
    {done, Result, none}.

classify({ok, Result, Position}) -> {done, Result, Position};
classify({raise, Class, Reason, Stack, Text}) ->
    {raised, Class, Reason, Stack, Text};
classify({not_primary, _Hint}) -> {not_executed, not_primary};
classify({not_executed, Why}) -> {not_executed, Why};
classify({unknown, _Role}) -> {unknown, timeout};
classify({another_incarnation, _} = Answer) -> Answer;
classify({unsupported, _Protocol}) -> {not_executed, other_version}.

%% What a user's own way to the node has done with the call nobody else knows.
lost(_Node, #{payload := {super, _, _}, incarnation := unknown}, _Deadline) ->
    {unknown, silent};
lost(Node, Request, Deadline) ->
    case ecto_litefs_outcome:certain(Node, Request, Deadline) of
        {done, Answer} -> answered({?MODULE, Answer}, Node, Request);
        refused -> {not_executed, cut_or_expired(Deadline)};
        running -> {unknown, timeout};
        gone -> {unknown, timeout};
        unreachable -> {unknown, silent}
    end.

cut_or_expired(Deadline) ->
    case now_ms() < Deadline of
        true -> cut;
        false -> expired
    end.

%% As erpc:call/3, but noconnection means that nothing was sent: a connection
%% that broke later is a timeout, because the call may have run.
-spec call(node(), fun(() -> Result), timeout()) -> Result.
call(Node, Fun, Timeout) ->
    connected(Node, {Timeout, Timeout},
              fun(Left) -> erpc:call(Node, Fun, Left) end).

connected(Node, {Timeout, ConnectMs}, Send) ->
    StartedAt = now_ms(),
    case ecto_litefs_connection:connect(Node, ConnectMs) of
        ok -> sent(Send, left(Timeout, StartedAt));
        {error, noconnection} -> error({erpc, noconnection})
    end.

sent(Send, Left) ->
    try Send(Left)
    catch
        error:{erpc, noconnection} -> error({erpc, timeout})
    end.

left(infinity, _StartedAt) -> infinity;
left(Timeout, StartedAt) -> max(0, Timeout - (now_ms() - StartedAt)).

now_ms() ->
    erlang:monotonic_time(millisecond).
