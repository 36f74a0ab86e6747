%% A write, put together: is it local, and if not, forward it. What the
%% middleware calls; it knows nothing of Elixir.
-module(ecto_litefs_write).

-export([decide/1]).
-export([run/5]).

-type failure() ::
        #{reason := in_transaction | dynamic_repo_pid
                  | ecto_litefs_payload:too_large() | term(),
          node := node() | nil,
          outcome := not_executed | unknown}.

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
%% the primary is raised here as itself, with the remote stack. Repeatable: on
%% the primary nothing runs but the Repo's function itself, so that a refusal
%% proves that nothing was written.
-spec run(module(), atom(), ecto_litefs_executor:payload(), boolean(),
          ecto_litefs_attempt:caller()) ->
          local | {done, Result :: term()} | {failed, failure()}.
run(Repo, Action, Payload, Repeatable, Call) ->
    case {in_transaction(Repo), dynamic_repo(Repo)} of
        {true, _DynamicRepo} -> refuse(in_transaction);
        {false, Pid} when is_pid(Pid) -> refuse(dynamic_repo_pid);
        {false, Name} ->
            Kind = ecto_litefs_status:kind(Repo),
            Request = ecto_litefs_executor:request(Repo, Action, Payload, Kind,
                                                   Repeatable),
            forward(named(Name, Request), Call)
    end.

forward(#{repo := Repo, payload := Payload} = Request, Call) ->
    {_Access, #{max_forward_bytes := Max}} = ecto_litefs_instance:lookup(Repo),
    case ecto_litefs_payload:check(Payload, Max) of
        ok -> outcome(ecto_litefs_forward:run(Request, Call));
        {error, Reason} -> refuse(Reason)
    end.

refuse(Reason) ->
    {failed, #{reason => Reason, node => nil, outcome => not_executed}}.

%% Which database the caller means. The primary has the same names, but a
%% process of this node says nothing there.
dynamic_repo(Repo) ->
    case erlang:function_exported(Repo, get_dynamic_repo, 0) of
        true -> Repo:get_dynamic_repo();
        false -> Repo
    end.

named(Repo, #{repo := Repo} = Request) -> Request;
named(Name, Request) -> Request#{dynamic_repo => Name}.

outcome(local) -> local;
outcome({done, _Result} = Done) -> Done;
outcome({failed, _Failure} = Failed) -> Failed;
outcome({raised, Class, Reason, Stack}) -> erlang:raise(Class, Reason, Stack).

%% An open read transaction stops the replication on this node, so a write
%% that waits for it would never end.
in_transaction(Repo) ->
    erlang:function_exported(Repo, 'in_transaction?', 0)
        andalso Repo:'in_transaction?'().
