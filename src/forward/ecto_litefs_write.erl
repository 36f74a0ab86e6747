%% A write, put together: is it local, and if not, forward it. What the modules
%% with Elixir names call; it knows nothing of Elixir.
-module(ecto_litefs_write).

-export([decide/1]).
-export([run/4]).

-export_type([failure/0]).
-export_type([options/0]).
-export_type([reason/0]).

%% call: how a super gets to the primary.
-type options() :: #{on_refusal := ecto_litefs_executor:on_refusal(),
                     call => ecto_litefs_attempt:caller()}.

-type reason() ::
        in_transaction
      | dynamic_repo_pid
      | {remote_exception, module(), Text :: binary()}
      | ecto_litefs_payload:too_large()
      | {not_executed, ecto_litefs_payload:not_portable()}
      | ecto_litefs_forward:reason().

%% done: it has run, and raised an exception that is not known here. stack:
%% where it was raised.
-type failure() ::
        #{reason := reason(),
          node := node() | nil,
          outcome := done | not_executed | unknown,
          stack => list()}.

%% The longest time that Erlang waits for anything.
-define(MILLISECONDS_MAX, 4294967295).

%% The fast path of every write: no process is asked.
-spec decide(module()) -> local | remote.
decide(Repo) ->
    case ecto_litefs_route:local(ecto_litefs_status:role(Repo)) of
        true -> local;
        false -> nested(Repo)
    end.

%% Inside a forwarded call nothing is routed again: LiteFS itself refuses a
%% write that comes too late.
nested(Repo) ->
    case ecto_litefs_executor:active(Repo) of
        true -> local;
        false -> remote
    end.

%% `local`: this node has become the primary meanwhile. An exception raised on
%% the primary is raised here as itself, with the remote stack.
-spec run(module(), atom(), ecto_litefs_payload:t(), options()) ->
          local | {done, Result :: term()} | {failed, failure()}.
run(Repo, Action, Payload, Options) ->
    case {in_transaction(Repo), dynamic_repo(Repo)} of
        {true, _DynamicRepo} -> refuse(in_transaction);
        {false, Pid} when is_pid(Pid) -> refuse(dynamic_repo_pid);
        {false, Name} ->
            Payload1 = with_default_options(Repo, Action, Payload),
            Request = ecto_litefs_executor:request(
                        Repo, Action, Payload1,
                        maps:get(on_refusal, Options)),
            checked(named(Name, Request), Options)
    end.

checked(#{repo := Repo, payload := Payload} = Request, Options) ->
    {_Access, Config} = ecto_litefs_instance:lookup(Repo),
    case ecto_litefs_payload:check(Payload, maps:get(max_forward_bytes, Config)) of
        ok -> portable(Request, Config, Options);
        {error, TooLarge} -> refuse(TooLarge)
    end.

portable(#{payload := Payload} = Request, Config, Options) ->
    case ecto_litefs_payload:portable(Payload) of
        ok -> forward(Request, Config, Options);
        {error, NotPortable} -> refuse({not_executed, NotPortable})
    end.

forward(#{payload := Payload, repo := Repo} = Request, Config, Options) ->
    Context = ecto_litefs_context:collect(maps:get(propagate, Config)),
    Call = maps:get(call, Options, fun ecto_litefs_attempt:call/3),
    AwaitMs = ecto_litefs_own_writes:wait_ms(Payload, Config),
    Position = ecto_litefs_own_writes:wants_position(Repo, AwaitMs),
    Outcome = ecto_litefs_forward:run(
                Request#{context := Context, position => Position},
                call_ms(Payload, Config), Call),
    outcome(Outcome, Request, AwaitMs).

%% A call that was given a longer time than others is waited for.
call_ms(Payload, #{erpc_timeout := Ms}) ->
    case ecto_litefs_payload:option(timeout, Payload) of
        Longer when is_integer(Longer), Longer > Ms ->
            min(Longer, ?MILLISECONDS_MAX);
        infinity -> ?MILLISECONDS_MAX;
        _ShorterOrNone -> Ms
    end.

refuse(Reason) ->
    {failed, #{reason => Reason, node => nil, outcome => not_executed}}.

%% The options of a super are in the super.
with_default_options(Repo, Action, {args, Args}) ->
    {args, ecto_litefs_context:with_default_options(Repo, Action, Args)};
with_default_options(Repo, Action, {transaction, Work, Options}) ->
    [Merged] = ecto_litefs_context:with_default_options(Repo, Action, [Options]),
    {transaction, Work, ecto_litefs_transaction:options(Merged)};
with_default_options(_Repo, _Action, Payload) ->
    Payload.

%% Which database the caller means. The primary has the same names, but a
%% process of this node says nothing there.
dynamic_repo(Repo) ->
    case erlang:function_exported(Repo, get_dynamic_repo, 0) of
        true -> Repo:get_dynamic_repo();
        false -> Repo
    end.

named(Repo, #{repo := Repo} = Request) -> Request;
named(Name, Request) -> Request#{dynamic_repo => Name}.

outcome({done, Result, Position}, #{repo := Repo}, AwaitMs) ->
    ok = ecto_litefs_own_writes:done(Repo, Position, AwaitMs),
    {done, Result};
outcome({raised, error, Reason, Stack, Text}, _Request, _AwaitMs) ->
    raise(Reason, Stack, Text);
outcome({raised, Class, Reason, Stack, _}, _Request, _AwaitMs) ->
    erlang:raise(Class, Reason, Stack);
outcome(LocalOrFailed, _Request, _AwaitMs) ->
    LocalOrFailed.

%% Nobody could read an exception whose module is there, but not here.
raise(#{'__struct__' := Module} = Reason, Stack, Text) when is_binary(Text) ->
    case code:ensure_loaded(Module) of
        {module, Module} ->
            erlang:raise(error, Reason, Stack);
        {error, _} ->
            {failed, #{reason => {remote_exception, Module, Text},
                       node => nil, outcome => done, stack => Stack}}
    end;
raise(Reason, Stack, none) ->
    erlang:raise(error, Reason, Stack).

%% An open read transaction stops the replication on this node, so a write
%% that waits for it would never end.
in_transaction(Repo) ->
    erlang:function_exported(Repo, 'in_transaction?', 0)
        andalso Repo:'in_transaction?'().
