%% Raw SQL on a node that is not the primary. Which tables a text means, and
%% whether it changes them, only SQLite knows. So it runs here first, and what
%% LiteFS refuses has certainly not been executed and goes to the primary.
%%
%% A write that LiteFS had no reason to refuse goes there, too: it changed
%% nothing, or failed, on what this node knows, which may be old.
-module(ecto_litefs_query).

-export([run/3]).
-export([refused/2]).
-export(['unknown_table?'/1]).

-export_type([on/0]).
-export_type([outcome/0]).

%% auto: here first. primary: there at once. local: here, whatever it says.
-type on() :: auto | primary | local.

-type outcome() ::
        here                       % nothing has run yet: it belongs here
      | {value, term()}            % it ran here
      | forward                    % it has to run on the primary
      | {forward, term()}          % the same, unless that knows no such table
      | {refused, transaction_statement | journal_mode}.

%% How long a look at the directory may take.
-define(CHECK_MS, 1_000).

-define(SQLITE, 'Elixir.Exqlite.Error').

%% Here: runs the statement on this node.
-spec run(on(), {Repo :: module(), Sql :: iodata()}, fun(() -> term())) ->
          outcome().
run(local, _Statement, _Here) ->
    here;
run(On, {Repo, Sql}, Here) ->
    case {ecto_litefs_sql:kind(Sql), On} of
        {transaction, _} -> {refused, transaction_statement};
        {journal_mode, _} -> {refused, journal_mode};
        {_Kind, primary} -> forward;
        {Kind, auto} -> first_here(Kind, Repo, Here)
    end.

first_here(Kind, Repo, Here) ->
    try Here() of
        {error, Reason} = Value -> failed(Kind, Repo, Reason, {value, Value});
        Value -> done(Kind, Value)
    catch
        error:Reason:Stack ->
            case failed(Kind, Repo, Reason, raise) of
                forward -> forward;
                raise -> erlang:raise(error, Reason, Stack)
            end
    end.

%% A constraint, a lock, a table that is not here yet: the primary may find it
%% otherwise, and if not says the same.
failed(other, Repo, Reason, Otherwise) ->
    case refused(Repo, Reason) of
        true -> forward;
        false -> Otherwise
    end;
failed(_Write, _Repo, #{'__struct__' := ?SQLITE}, _Otherwise) -> forward;
failed(_Write, _Repo, _Reason, Otherwise) -> Otherwise.

%% What was changed here is of this node alone: a temporary table, an attached
%% database.
done(data, {ok, #{num_rows := Count}} = Value) -> changed(Count, Value);
done(data, #{num_rows := Count} = Value) -> changed(Count, Value);
done(schema_if, Value) -> {forward, Value};
done(_ReadOrOwn, Value) -> {value, Value}.

changed(0, Value) -> {forward, Value};
changed(_Count, Value) -> {value, Value}.

%% A table of this node alone, to which nothing was to be done.
-spec 'unknown_table?'(term()) -> boolean().
'unknown_table?'(#{'__struct__' := ?SQLITE, message := Text})
  when is_binary(Text) ->
    binary:match(Text, <<"no such table">>) =/= nomatch;
'unknown_table?'(_Other) ->
    false.

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
