%% The primary's side of a forward. Runs in the process that erpc made for it.
%%
%% It checks its own role before the call, because whoever forwarded had a
%% hint and no proof; and with a fresh look at the directory after it, because
%% LiteFS has been seen to lose an acknowledged COMMIT during a demotion.
-module(ecto_litefs_executor).

-export([request/5]).
-export([run/1]).
-export([active/1]).

-export_type([payload/0]).
-export_type([request/0]).
-export_type([answer/0]).

%% args: the Repo function is called with them. super: what remains of the
%% call below the middleware that has run on the caller, and its arguments.
-type payload() :: {args, [term()]} | {super, fun(), [term()]}.

%% Nodes of different versions talk to each other during a deploy: fields may
%% be added, none may change its meaning under the same protocol number.
-type request() ::
        #{protocol := 1,
          id := <<_:128>>,                  % names this call, for ever
          repo := module(),
          action := atom(),
          payload := payload(),
          repeatable := boolean(),          % nothing but the call itself runs
          dynamic_repo => atom(),           % absent: the Repo itself
          kind := ecto_litefs_status:kind(),
          budget_ms := non_neg_integer()}.  % the caller waits no longer

-type position() :: undefined.              % until there is an await

-type answer() ::
        {ok, Result :: term(), position()}
      | {raise, error | exit | throw, Reason :: term(), Stack :: list()}
      | {not_primary, Hint :: term()}       % not executed
      | {unknown, Role :: ecto_litefs_nif:role()}
      | {unsupported, Protocol :: 1}.       % not executed

-define(PROTOCOL, 1).

-spec request(module(), atom(), payload(), ecto_litefs_status:kind(),
              boolean()) -> request().
request(Repo, Action, Payload, Kind, Repeatable) ->
    #{protocol => ?PROTOCOL,
      id => rand:bytes(16),
      repo => Repo,
      action => Action,
      payload => Payload,
      repeatable => Repeatable,
      kind => Kind,
      budget_ms => 0}.

-spec run(request()) -> answer().
run(#{protocol := ?PROTOCOL, repo := Repo, kind := Kind} = Request) ->
    Deadline = now_ms() + maps:get(budget_ms, Request),
    Role = ecto_litefs_status:role(Repo),
    case ecto_litefs_status:kind(Repo) =:= Kind andalso may_write(Role, Kind) of
        true -> verify(Request, supported(Request), Deadline);
        false -> {not_primary, Role}
    end;
run(#{protocol := _}) ->
    {unsupported, ?PROTOCOL}.

%% Whether this process runs a forwarded call of the Repo: what is called from
%% inside it passes without routing.
-spec active(module()) -> boolean().
active(Repo) ->
    get({?MODULE, Repo}) =/= undefined.

may_write(primary, _Kind) -> true;
may_write(not_litefs, plain) -> true;
may_write(_Role, _Kind) -> false.

%% Funs in a bulk call, as in Ecto's dynamic/2, are compared before it begins.
supported(#{action := Action, payload := Payload} = Request)
  when Action =:= insert_all; Action =:= update_all; Action =:= delete_all ->
    case ecto_litefs_payload:foreign(Payload) of
        true -> not_callable;
        false -> execute(Request)
    end;
supported(Request) ->
    execute(Request).

execute(#{repo := Repo} = Request) ->
    apply_context(Request),
    undefined = put({?MODULE, Repo}, true),
    try {ok, call(Request)}
    catch
        Class:Reason:Stack -> raised(Request, Class, Reason, Stack)
    end.

%% The super is of another build than the same module here, or of a module
%% that is not here: it was not called.
raised(#{payload := {super, Super, _}}, error, {badfun, Super}, _Stack) ->
    not_callable;
raised(#{payload := {super, Super, _}}, error, undef, [Top | _] = Stack) ->
    case tuple_to_list(Top) of
        [Super | _] -> not_callable; % where a module would be
        _ -> {raise, error, undef, Stack}
    end;
raised(_Request, Class, Reason, Stack) ->
    {raise, Class, Reason, Stack}.

%% Logger drops the lines of a process whose group leader is on another node.
%% The place for the caller's Logger metadata and $callers, too.
apply_context(Request) ->
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
    apply(Super, Args).

verify(_Request, not_callable, _Deadline) ->
    {unsupported, ?PROTOCOL};
verify(Request, {ok, {error, Reason}} = Outcome, Deadline) ->
    failed(Request, Reason, answer(Outcome), Deadline);
verify(Request, {raise, _Class, Reason, _Stack} = Outcome, Deadline) ->
    failed(Request, Reason, answer(Outcome), Deadline);
verify(#{kind := Kind} = Request, {ok, _Result} = Outcome, Deadline) ->
    Role = fresh_role(Request, Deadline),
    case may_write(Role, Kind) of
        true -> answer(Outcome);
        false -> {unknown, Role}
    end.

failed(Request, Reason, Answer, Deadline) ->
    case ecto_litefs_refusal:proof(Reason) of
        none -> Answer;
        Proof -> judge(Proof, fresh_role(Request, Deadline), Request, Answer)
    end.

%% A call that was refused has committed nothing, so that it may run elsewhere;
%% unless it was middleware that was refused, which may come after the COMMIT.
judge(Proof, Role, #{kind := Kind, repeatable := Repeatable}, Answer) ->
    case may_write(Role, Kind) of
        true -> Answer;
        false when Proof =:= if_alive, Role =:= unknown -> {unknown, Role};
        false when Repeatable -> {not_primary, Role};
        false -> Answer
    end.

answer({ok, Result}) -> {ok, Result, undefined};
answer({raise, _, _, _} = Raised) -> Raised.

fresh_role(#{repo := Repo}, Deadline) ->
    ecto_litefs_status:check(Repo, max(0, Deadline - now_ms())).

now_ms() ->
    erlang:monotonic_time(millisecond).
