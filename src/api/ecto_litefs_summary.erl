%% EctoLiteFS.status/1: all that is known of a Repo on this node, for people and
%% for health checks. The words are Elixir's: nil, and maps.
-module(ecto_litefs_summary).

-export([status/1]).

-export_type([t/0]).
-export_type([last_error/0]).

%% sent: the calls that processes of this node have forwarded, or wait to.
%% running, queued: of those that came here, as to a primary; nil where that was
%% not said in time, as with waiters.
-type t() ::
        #{role := ecto_litefs_nif:role(),
          since_ms := integer(),               % milliseconds in this role
          source := none | stream | mount | manual,
          generation := non_neg_integer(),
          primary_node := node() | nil,
          primary_hostname := binary() | nil,
          term := non_neg_integer() | nil,
          position := 'Elixir.EctoLiteFS.Position':t() | nil,
          lag_ms := integer() | nil,
          degraded := boolean(),
          stream := atom(),                    % as ecto_litefs_nif has them
          mount := atom(),
          reconnect_pending := boolean(),
          waiters := non_neg_integer() | nil,
          forwards := #{sent := non_neg_integer(),
                        running := non_neg_integer() | nil,
                        queued := non_neg_integer() | nil},
          last_error := last_error() | nil}.

-type last_error() ::
        #{at := integer(),                     % the system's time, in ms
          what := ecto_litefs_last_error:what(),
          text := binary()}.

-define(TRACKER, 'Elixir.EctoLiteFS.Tracker').
-define(ERROR, 'Elixir.EctoLiteFS.Error').

%% How long a look at the directory, and whoever is asked, may take.
-define(ASK_MS, 200).

-spec status(module()) -> {ok, t()} | {error, not_ready}.
status(Repo) when is_atom(Repo) ->
    case ?TRACKER:'ready?'(Repo) andalso ecto_litefs_instance:lookup(Repo) of
        false -> {error, not_ready};
        none -> {error, not_ready};
        {gone, _Config} -> {error, not_ready};
        {_Access, Config} -> {ok, summary(Repo, Config)}
    end.

%% The snapshot is taken after the look.
summary(Repo, Config) ->
    Answers = in_time(questions(Repo), ?ASK_MS),
    Snapshot = ecto_litefs_status:snapshot(Repo),
    maps:merge(of_snapshot(Repo, Snapshot, Config),
               (place(maps:get(here, Answers, {error, timeout})))
                   #{waiters => maps:get(waiters, Answers, nil),
                     forwards => forwards(Repo, Answers),
                     last_error => last_error(ecto_litefs_last_error:get(Repo),
                                              Repo)}).

forwards(Repo, Answers) ->
    Here = maps:get(forwards, Answers, #{running => nil, queued => nil}),
    Here#{sent => ecto_litefs_in_flight:count(Repo)}.

of_snapshot(Repo, #{role := Role, reconnect := Reconnect} = Snapshot, Config) ->
    #{lag_ms := Lag} = Snapshot,
    Kind = ecto_litefs_status:kind(Snapshot, Config),
    Known = maps:with([role, since_ms, source, generation, stream, mount],
                      Snapshot),
    Known#{primary_node => primary_node(Repo, Role, Kind),
           primary_hostname => nil(<<>>, primary_hostname(Snapshot)),
           lag_ms => nil(undefined, Lag),
           degraded => ecto_litefs_status:degraded(Snapshot, Config),
           reconnect_pending => Reconnect =/= false}.

nil(Nothing, Nothing) -> nil;
nil(_Nothing, Value) -> Value.

%% LiteFS names a primary only to the others.
primary_hostname(#{role := primary, own_hostname := Own}) -> Own;
primary_hostname(#{hostname := Primary}) -> Primary.

%% Of several claims only the nodes themselves could say which one is right.
primary_node(Repo, Role, Kind) ->
    case ecto_litefs_route:local(Role)
        orelse ecto_litefs_directory:candidates(Repo, Kind) of
        true -> node();
        [Node] -> Node;
        _NobodyOrSeveral -> nil
    end.

%% -- what others are asked for -----------------------------------------------

questions(Repo) ->
    #{look => fun() -> ecto_litefs_status:check(Repo, ?ASK_MS) end,
      forwards => fun() -> ecto_litefs_admission:counts(Repo) end,
      here => fun() -> ecto_litefs_await:here(Repo, ?ASK_MS) end,
      waiters => fun() -> ecto_litefs_await:waiters(Repo) end}.

place({ok, {Term, _TxId, _Checksum} = Position}) ->
    #{term => Term, position => 'Elixir.EctoLiteFS.Position':new(Position)};
place({error, _NotKnown}) ->
    #{term => nil, position => nil}.

%% Each in a process of its own, all at once: one that hangs, or a message that
%% comes too late, is no business of the caller's. Only what was answered.
in_time(Questions, Ms) ->
    Deadline = now_ms() + Ms,
    Asked = maps:map(fun(_Key, Question) ->
                             spawn_monitor(
                               fun() -> exit({?MODULE, Question()}) end)
                     end, Questions),
    maps:filtermap(fun(_Key, {Pid, Monitor}) ->
                           answer(Pid, Monitor, Deadline)
                   end, Asked).

answer(Pid, Monitor, Deadline) ->
    receive
        {'DOWN', Monitor, process, Pid, {?MODULE, Answer}} -> {true, Answer};
        {'DOWN', Monitor, process, Pid, _Failure} -> false
    after max(0, Deadline - now_ms()) ->
            true = exit(Pid, kill),
            true = demonitor(Monitor, [flush]),
            false
    end.

now_ms() ->
    erlang:monotonic_time(millisecond).

%% -- the last error ----------------------------------------------------------

last_error(none, _Repo) ->
    nil;
last_error({AtMs, What}, Repo) ->
    #{at => AtMs, what => What, text => text(What, Repo)}.

text({forward, Action, Failure}, Repo) ->
    ?ERROR:message(?ERROR:exception((maps:remove(stack, Failure))
                                    #{repo => Repo, action => Action}));
text({await, Result}, _Repo) ->
    unicode:characters_to_binary(
      ["a wait until this node has a position ended with ",
       ecto_litefs_inspect:inspect(Result)]);
text({tracking, Reason}, _Repo) ->
    unicode:characters_to_binary(
      ["the tracking row could not be written: ",
       ecto_litefs_inspect:inspect(Reason)]);
text({reconnect, Reason}, _Repo) ->
    unicode:characters_to_binary(
      ["the Repo's pool could not be renewed: ",
       ecto_litefs_inspect:inspect(Reason)]).
