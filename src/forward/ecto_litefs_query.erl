%% Raw SQL on a node that is not the primary. Nobody can tell from a text
%% whether it writes; SQLite and LiteFS can. So it runs here first, and what
%% they refuse has certainly not been executed and goes to the primary.
-module(ecto_litefs_query).

-export([run/3]).
-export([refused/2]).
-export([controls_transaction/1]).

%% How long a look at the directory may take.
-define(CHECK_MS, 1_000).

-export_type([on/0]).
-export_type([outcome/0]).

%% auto: here first. primary: there at once. local: here, whatever it says.
-type on() :: auto | primary | local.

-type outcome() ::
        here                       % nothing has run yet: it belongs here
      | {value, term()}            % it ran here
      | forward                    % it has to run on the primary
      | {refused, transaction_statement}.

%% Here: runs the statement on this node.
-spec run(on(), {Repo :: module(), Sql :: iodata()}, fun(() -> term())) ->
          outcome().
run(local, _Statement, _Here) ->
    here;
run(On, {Repo, Sql}, Here) ->
    case {controls_transaction(Sql), On} of
        {true, _} -> {refused, transaction_statement};
        {false, primary} -> forward;
        {false, auto} -> first_here(Repo, Here)
    end.

first_here(Repo, Here) ->
    try Here() of
        {error, Reason} = Value -> here_or_forward(Repo, Reason, Value);
        Value -> {value, Value}
    catch
        error:Reason:Stack ->
            case refused(Repo, Reason) of
                true -> forward;
                false -> erlang:raise(error, Reason, Stack)
            end
    end.

here_or_forward(Repo, Reason, Value) ->
    case refused(Repo, Reason) of
        true -> forward;
        false -> {value, Value}
    end.

%% Only a look that shows that this is no primary makes it a refusal; and a
%% LiteFS that has died may have done so in the middle of a COMMIT.
-spec refused(module(), Failure :: term()) -> boolean().
refused(Repo, Failure) ->
    case ecto_litefs_refusal:of_replica(Failure) of
        none -> false;
        Proof -> judge(Proof, check(Repo))
    end.

%% In a process beside, because an answer that comes too late stays in the
%% mailbox of whoever asked.
check(Repo) ->
    Check = fun() -> exit({role, ecto_litefs_status:check(Repo, ?CHECK_MS)}) end,
    {Pid, Monitor} = spawn_monitor(Check),
    receive
        {'DOWN', Monitor, process, Pid, {role, Role}} -> Role;
        {'DOWN', Monitor, process, Pid, _Reason} -> unknown
    end.

judge(_Proof, replica) -> true;
judge(_Proof, no_primary) -> true;
judge(not_begun, unknown) -> true;
judge(_Proof, _Role) -> false.

%% BEGIN and its like, which would leave a transaction open on one connection
%% of this node's pool, where no write can join it.
-spec controls_transaction(iodata()) -> boolean().
controls_transaction(Sql) ->
    Word = "^(?:\\s|--[^\\n]*\\n|/\\*.*?\\*/|;)*"
        "(?:begin|commit|end|rollback|savepoint|release)\\b",
    re:run(Sql, Word, [caseless, dotall, {capture, none}]) =:= match.
