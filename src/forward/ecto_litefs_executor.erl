%% The primary's side of a forward. Runs in the process that erpc made for it.
%%
%% It checks its own role before the call, because whoever forwarded had a
%% hint and no proof; and with a fresh look at the directory after it, because
%% LiteFS has been seen to lose an acknowledged COMMIT during a demotion. What
%% comes of the call is kept until the caller has it (ecto_litefs_ledger).
-module(ecto_litefs_executor).

-export([request/4]).
-export([run/1]).
-export([active/1]).

-export_type([request/0]).
-export_type([answer/0]).
-export_type([on_refusal/0]).
-export_type([why_not/0]).

%% What follows when SQLite says that it refused to write and this node is
%% primary no more. again: nothing but the Repo's function ran, and it may run
%% elsewhere. tell: nothing was written, but something of the user's ran. raise:
%% something else may have been written before.
-type on_refusal() :: again | tell | raise.

%% Nodes of different versions talk to each other during a deploy: fields may
%% be added, none may change its meaning under the same protocol number.
-type request() ::
        #{protocol := 2,
          id := ecto_litefs_ledger:id(),    % names this attempt, for ever
          incarnation := ecto_litefs_incarnation:t() | unknown, % sent to
          repo := module(),
          action := atom(),
          payload := ecto_litefs_payload:t(),
          on_refusal := on_refusal(),
          context := ecto_litefs_context:t(),
          dynamic_repo => atom(),           % absent: the Repo itself
          kind := ecto_litefs_status:kind(),
          position => boolean(),            % does the caller want it?
          acks => [ecto_litefs_ledger:id()], % answers that its node has
          budget_ms := non_neg_integer()}.  % the caller waits no longer

-type why_not() ::
        ecto_litefs_payload:not_callable()
      | overloaded | expired | repo_not_started | repeated_id | demoted.

%% The text of an exception is there for a caller that does not know its module.
-type answer() ::
        {ok, Result :: term(), ecto_litefs_committed:position()}
      | {raise, error | exit | throw, Reason :: term(), Stack :: list(),
         Text :: binary() | none}
      | {not_primary, Hint :: term()}       % not executed
      | {not_executed, why_not()}
      | {unknown, Role :: ecto_litefs_nif:role()}
      | {another_incarnation, ecto_litefs_incarnation:t()} % not executed
      | {unsupported, Protocol :: 2}.       % not executed

-define(PROTOCOL, 2).

-spec request(module(), atom(), ecto_litefs_payload:t(), on_refusal()) ->
          request().
request(Repo, Action, Payload, OnRefusal) ->
    #{protocol => ?PROTOCOL,
      id => rand:bytes(16),
      incarnation => unknown,
      repo => Repo,
      action => Action,
      payload => Payload,
      on_refusal => OnRefusal,
      context => [],
      kind => ecto_litefs_status:kind(Repo),
      position => true,
      acks => [],
      budget_ms => 0}.

-spec run(request()) -> answer().
run(#{protocol := ?PROTOCOL, incarnation := Incarnation} = Request) ->
    ok = lists:foreach(fun ecto_litefs_ledger:ack/1, maps:get(acks, Request, [])),
    Deadline = now_ms() + maps:get(budget_ms, Request),
    case ecto_litefs_ledger:incarnation() of
        Incarnation -> checked(Request, Deadline);
        none -> {not_primary, unknown};
        Another -> {another_incarnation, Another}
    end;
run(#{protocol := _}) ->
    {unsupported, ?PROTOCOL}.

%% Whether this process runs a forwarded call of the Repo: what is called from
%% inside it passes without routing.
-spec active(module()) -> boolean().
active(Repo) ->
    get({?MODULE, Repo}) =/= undefined.

checked(Request, Deadline) ->
    case may_write(Request) of
        true -> compared(Request, Deadline);
        {false, Role} -> {not_primary, Role}
    end.

compared(#{payload := Payload} = Request, Deadline) ->
    case ecto_litefs_payload:callable(Payload) of
        ok -> admitted(Request, Deadline);
        {error, Why} -> {not_executed, Why}
    end.

may_write(#{repo := Repo, kind := Kind}) ->
    Role = ecto_litefs_status:role(Repo),
    case ecto_litefs_status:kind(Repo) =:= Kind
        andalso ecto_litefs_route:serves(Role, Kind) of
        true -> true;
        false -> {false, Role}
    end.

admitted(#{repo := Repo} = Request, Deadline) ->
    Pool = maps:get(dynamic_repo, Request, Repo),
    case ecto_litefs_pool:size(Pool) of
        {ok, Size} ->
            Turn = ecto_litefs_admission:enter(Repo, Pool, Size, Deadline),
            my_turn(Turn, Pool, Request, Deadline);
        {error, not_started} ->
            {not_executed, repo_not_started}
    end.

my_turn(ok, Pool, #{repo := Repo} = Request, Deadline) ->
    Outcome = registered(Request, Deadline),
    ok = ecto_litefs_admission:leave(Repo, Pool),
    settled(Outcome, Request, Deadline);
my_turn({error, closed}, _Pool, _Request, _Deadline) ->
    {not_primary, unknown};
my_turn({error, Why}, _Pool, _Request, _Deadline) ->
    {not_executed, Why}.

%% The wait for its turn may have been long, so that the role is looked at anew.
registered(#{id := Id} = Request, Deadline) ->
    case may_write(Request) of
        true ->
            Left = max(0, Deadline - now_ms()),
            begun(ecto_litefs_ledger:register(Id, Left), Request);
        {false, Role} ->
            {answer, {not_primary, Role}}
    end.

begun(ok, Request) -> execute(Request);
begun(repeated, _Request) -> {answer, {not_executed, repeated_id}};
begun(refused, _Request) -> {answer, {not_executed, expired}}. % asked already

settled({answer, Answer}, _Request, _Deadline) ->
    Answer;
settled(Outcome, #{id := Id} = Request, Deadline) ->
    Answer = ecto_litefs_verdict:answer(Outcome, Request, Deadline),
    ok = ecto_litefs_ledger:finish(Id, Answer),
    Answer.

execute(#{repo := Repo} = Request) ->
    apply_context(Request),
    undefined = put({?MODULE, Repo}, true),
    try {ok, call(Request)}
    catch
        Class:Reason:Stack -> {raise, Class, Reason, Stack}
    end.

%% Logger drops the lines of a process whose group leader is on another node.
apply_context(#{context := Context} = Request) ->
    ok = ecto_litefs_context:apply(Context),
    ok = dynamic_repo(Request),
    Leader = case whereis(user) of
                 undefined -> whereis(init);
                 Pid -> Pid
             end,
    true = group_leader(Leader, self()),
    ok.

%% The caller's database, which may be another one than the Repo's own.
dynamic_repo(#{dynamic_repo := Name, repo := Repo}) ->
    _ = Repo:put_dynamic_repo(Name),
    ok;
dynamic_repo(#{}) ->
    ok.

call(#{payload := {args, Args}, repo := Repo, action := Action}) ->
    apply(Repo, Action, Args);
call(#{payload := {super, Super, Args}}) ->
    apply(Super, Args);
call(#{payload := {transaction, Work, Options}} = Request) ->
    #{repo := Repo, action := Action} = Request,
    ecto_litefs_transaction:run(Repo, Action, Work, Options);
call(#{payload := {run, {Module, Function, Args}, _Options}}) ->
    apply(Module, Function, Args);
call(#{payload := {run, Fun, _Options}}) ->
    Fun().

now_ms() ->
    erlang:monotonic_time(millisecond).
