%% One attempt to run a call on one node, and what became of it. The line
%% between "not executed" and "unknown" is drawn here, and nowhere else.
-module(ecto_litefs_attempt).

-export([run/4]).
-export([call/3]).

-export_type([caller/0]).
-export_type([outcome/0]).

%% How a fun gets to a node: 'Elixir.EctoLiteFS.RPC':call/3, or what a user's
%% test put in its place. Raises what call/3 raises.
-type caller() :: fun((node(), fun(() -> term()), pos_integer()) -> term()).

%% Milliseconds for the whole call, and for making a connection.
-type limits() :: {Timeout :: pos_integer(), ConnectMs :: non_neg_integer()}.

-type not_executed() :: not_primary | noconnection | notsup.

-type outcome() ::
        {done, Result :: term()}
      | {raised, error | exit | throw, Reason :: term(), Stack :: list()}
      | {not_executed, not_executed()}
      | {unknown, timeout}.

-spec run(node(), ecto_litefs_executor:request(), limits(), caller()) ->
          outcome().
run(Node, Request, {Timeout, _ConnectMs} = Limits, Call) ->
    Request1 = Request#{budget_ms := Timeout},
    try classify(send(Node, Request1, Limits, Call))
    catch
        error:{erpc, noconnection} ->
            {not_executed, noconnection};
        error:{erpc, system_limit} ->
            {not_executed, noconnection}; % no process can be made there
        error:{erpc, notsup} ->
            {not_executed, notsup};
        error:{erpc, timeout} ->
            {unknown, timeout};
        error:{exception, undef, [{ecto_litefs_executor, _, _, _} | _]} ->
            {not_executed, notsup};
        error:{exception, Reason, Stack} ->
            {raised, error, Reason, Stack};
        exit:{exception, Reason} ->
            {raised, exit, Reason, []};
        exit:{signal, _Reason} ->
            {unknown, timeout}
    end.

%% Data goes as it is. A fun goes through the caller's own function, and what
%% that answers of itself is the result.
send(Node, #{payload := {args, _}} = Request, Limits, _Call) ->
    Send = fun(Left) ->
                   erpc:call(Node, ecto_litefs_executor, run, [Request], Left)
           end,
    {?MODULE, connected(Node, Limits, Send)};
send(Node, #{payload := {super, _, _}} = Request, {Timeout, _}, Call) ->
    Fun = fun() -> run_super(Node, Request) end,
    try Call(Node, Fun, Timeout)
    catch
        %% This module is of another build there, or not there at all.
        error:{exception, {badfun, Fun}, _Stack} -> error({erpc, notsup});
        error:{exception, undef, [{Fun, _, _} | _]} -> error({erpc, notsup})
    end.

%% A test may call the fun where it is: then only the super runs.
run_super(Node, Request) when Node =:= node() ->
    {?MODULE, ecto_litefs_executor:run(Request)};
run_super(_Node, #{payload := {super, Super, Args}}) ->
    apply(Super, Args).

classify({?MODULE, {ok, Result, _Position}}) -> {done, Result};
classify({?MODULE, {raise, Class, Reason, Stack}}) ->
    {raised, Class, Reason, Stack};
classify({?MODULE, {not_primary, _Hint}}) -> {not_executed, not_primary};
classify({?MODULE, {unknown, _Role}}) -> {unknown, timeout};
classify({?MODULE, {unsupported, _Protocol}}) -> {not_executed, notsup};
classify(Result) -> {done, Result}.

%% As erpc:call/3, but noconnection means that nothing was sent: a connection
%% that broke later is a timeout, because the call may have run.
-spec call(node(), fun(() -> Result), timeout()) -> Result.
call(Node, Fun, Timeout) ->
    connected(Node, {Timeout, Timeout},
              fun(Left) -> erpc:call(Node, Fun, Left) end).

connected(Node, {Timeout, ConnectMs}, Send) ->
    StartedAt = now_ms(),
    case connect(Node, ConnectMs) of
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

%% net_kernel can block for seconds, so it does so in a process of its own.
connect(Node, _Timeout) when Node =:= node() ->
    ok;
connect(Node, Timeout) ->
    case lists:member(Node, nodes(connected)) of
        true -> ok;
        false -> connect_within(Node, Timeout)
    end.

connect_within(Node, Timeout) ->
    Connect = fun() -> exit({connected, net_kernel:connect_node(Node)}) end,
    {Pid, Monitor} = spawn_monitor(Connect),
    receive
        {'DOWN', Monitor, process, Pid, {connected, true}} -> ok;
        {'DOWN', Monitor, process, Pid, _} -> {error, noconnection}
    after Timeout ->
            demonitor(Monitor, [flush]),
            {error, noconnection}
    end.

now_ms() ->
    erlang:monotonic_time(millisecond).
