%% After the call, on the primary: what may be said of it. A fresh look at the
%% directory decides whether "committed" stands, and whether a refusal of SQLite
%% proves that nothing was written.
-module(ecto_litefs_verdict).

-export([answer/3]).

-type outcome() ::
        {ok, Result :: term()}
      | {raise, error | exit | throw, Reason :: term(), Stack :: list()}.

-spec answer(outcome(), ecto_litefs_executor:request(), integer()) ->
          ecto_litefs_executor:answer().
answer({raise, _Class, Reason, _Stack} = Outcome, Request, Deadline) ->
    failed(Reason, Outcome, Request, Deadline);
answer(Outcome, #{payload := {run, _Work, _}} = Request, Deadline) ->
    committed(Outcome, Request, Deadline); % it may have written before an error
answer({ok, {error, Reason}} = Outcome, Request, Deadline) ->
    failed(Reason, Outcome, Request, Deadline);
answer({ok, {error, _Name, Reason, _Changes}} = Outcome, Request, Deadline) ->
    failed(Reason, Outcome, Request, Deadline);
answer(Outcome, Request, Deadline) ->
    committed(Outcome, Request, Deadline).

%% What raised has no position: it may have committed something before, and its
%% caller has other things to think of.
committed(Outcome, #{kind := Kind} = Request, Deadline) ->
    {Role, Position} = look(Request, Deadline),
    case {ecto_litefs_route:serves(Role, Kind), Outcome} of
        {true, {ok, Result}} -> {ok, Result, Position};
        {true, _Raised} -> plain(Outcome);
        {false, _} -> {unknown, Role}
    end.

%% A caller who means another database than the Repo's own knows no position of
%% it.
look(#{kind := litefs, position := true, repo := Repo} = Request, Deadline)
  when not is_map_key(dynamic_repo, Request) ->
    Before = ecto_litefs_committed:term_first(Repo, left(Deadline)),
    ecto_litefs_committed:look(Repo, Before, left(Deadline));
look(Request, Deadline) ->
    {fresh_role(Request, Deadline), none}.

failed(Reason, Outcome, Request, Deadline) ->
    case ecto_litefs_refusal:proof(Reason) of
        none ->
            plain(Outcome);
        Proof ->
            judge(Proof, fresh_role(Request, Deadline), Request, Outcome)
    end.

%% A call that was refused has committed nothing, so that it may run elsewhere;
%% unless it was something around it that was refused, which may come after the
%% COMMIT.
judge(Proof, Role, #{kind := Kind, on_refusal := OnRefusal}, Outcome) ->
    case ecto_litefs_route:serves(Role, Kind) of
        true -> plain(Outcome);
        false when Proof =:= if_alive, Role =:= unknown -> {unknown, Role};
        false when OnRefusal =:= again -> {not_primary, Role};
        false when OnRefusal =:= tell -> {not_executed, demoted};
        false -> plain(Outcome)
    end.

plain({ok, Result}) ->
    {ok, Result, none}; % nothing was written
plain({raise, Class, Reason, Stack}) ->
    {raise, Class, Reason, Stack, text(Reason)}.

%% What an exception says may take its own module's code, and the caller's node
%% may be of a build without it. A message that cannot be made is none.
text(#{'__struct__' := Module, '__exception__' := true} = Exception) ->
    try Module:message(Exception) of
        Text when is_binary(Text) -> Text;
        _NoText -> none
    catch
        _Class:_Reason -> none
    end;
text(_Reason) ->
    none.

fresh_role(#{repo := Repo}, Deadline) ->
    ecto_litefs_status:check(Repo, left(Deadline)).

left(Deadline) ->
    max(0, Deadline - erlang:monotonic_time(millisecond)).
