%% The row of one primaryship of this node, until it is in the database and as
%% long as it has to stay there. It is read before it is written: the supervisor
%% may have been restarted, or a write whose answer did not come was done.
%%
%% It is read again when the role was not known in between, because another
%% node may have been primary then. If that node has left its own term, what
%% comes now is another history than what this node called by its old one, and
%% gets a new term.
%%
%% Messages are those of the process that calls it.
-module(ecto_litefs_tracking_claim).

-export([start/2]).
-export([see/2]).
-export([event/2]).
-export([stop/1]).
-export([hopeless/1]).

-export_type([t/0]).
-export_type([seen/0]).

%% What the detector saw of a node that is primary.
-type seen() ::
        #{id := pos_integer(),                 % of the primaryship
          since := integer(),                  % monotonic ms, as C counts
          started_at := integer(),             % unix ms
          hostname := binary(),                % this node's, <<>> unknown
          _ => _}.

-record(claim,
        {repo :: module(),
         id :: pos_integer(),
         since :: integer(),
         started_at :: integer(),
         hostname :: binary(),
         term :: pos_integer(),
         used :: boolean(),                    % somebody may know that term
         job = none :: none | ecto_litefs_tracking_job:t(),
         timer = none :: none | reference(),
         backoff = 50 :: pos_integer(),
         failed = none :: none | ecto_litefs_port:reason(),
         logged = false :: boolean()}).

-opaque t() :: #claim{}.

-define(PORT_MS, 2_000).
-define(BACKOFF_MAX_MS, 5_000).
-define(LOG_FROM_MS, 1_600).   % of backoff: it goes on for as long
-define(SINCE_SLACK_MS, 100).  % it is counted anew each time it is asked for

-spec start(module(), seen()) -> t().
start(Repo, #{id := Id, since := Since, started_at := StartedAt,
              hostname := Hostname}) ->
    {Term, Used} = case ecto_litefs_tracking_table:term_of(Repo, Id) of
                       {ok, Known} -> {Known, true};
                       none -> {Id, false}
                   end,
    ok = ecto_litefs_tracking_table:doubt(Repo),
    run(#claim{repo = Repo, id = Id, since = Since, started_at = StartedAt,
               hostname = Hostname, term = Term, used = Used}).

%% The primaryship is seen again.
-spec see(seen(), t()) -> t().
see(#{since := Since, hostname := Hostname}, #claim{since = Known} = Claim)
  when abs(Since - Known) > ?SINCE_SLACK_MS ->
    ok = ecto_litefs_tracking_table:doubt(Claim#claim.repo),
    again(name(Hostname, Claim#claim{since = Since}));
see(#{hostname := Hostname}, Claim) ->
    case name(Hostname, Claim) of
        Claim -> Claim;
        Named -> again(Named)
    end.

name(<<>>, Claim) -> Claim;
name(Hostname, Claim) -> Claim#claim{hostname = Hostname}.

%% committed: the row is in the database.
-spec event(term(), t()) -> {committed | failed | running, t()} | other.
event({timeout, Timer, retry}, #claim{timer = Timer} = Claim) ->
    {running, run(Claim#claim{timer = none})};
event(Message, #claim{job = Job} = Claim) ->
    case ecto_litefs_tracking_job:outcome(Message, Job) of
        {ok, {ok, Term}} -> {committed, committed(Term, Claim)};
        {ok, {error, Reason}} -> {failed, failed(Reason, Claim)};
        {failed, _Reason} -> {failed, failed(closed, Claim)};
        other -> other
    end.

%% This node is not primary any more.
-spec stop(t()) -> ok.
stop(#claim{repo = Repo} = Claim) ->
    _ = idle(Claim),
    ok = ecto_litefs_tracking_table:doubt(Repo),
    ok = ecto_litefs_tracking_table:release(Repo),
    ecto_litefs_port:mode(Repo, query_only).

%% Nobody need wait for the row.
-spec hopeless(t()) -> boolean().
hopeless(#claim{failed = none}) -> false;
hopeless(#claim{backoff = ?BACKOFF_MAX_MS}) -> true;
hopeless(#claim{failed = Reason}) -> lasts(Reason).

lasts(no_database) -> true;
lasts(unavailable) -> true;
lasts({Code, _Extended, _Text}) ->
    lists:member(Code, [missing, not_a_file, cannot_open, not_a_database,
                        corrupt, not_our_table, bad_request]);
lasts(_Reason) -> false.

%% -- one attempt -------------------------------------------------------------

again(Claim) ->
    run((idle(Claim))#claim{backoff = 50}).

idle(#claim{job = Job, timer = Timer} = Claim) ->
    ok = ecto_litefs_tracking_job:stop(Job),
    _ = Timer =/= none andalso erlang:cancel_timer(Timer),
    Claim#claim{job = none, timer = none}.

%% A port that was restarted begins with query_only.
run(#claim{repo = Repo, used = Used} = Claim) ->
    ok = ecto_litefs_port:mode(Repo, readwrite),
    Row = row(Claim),
    Put = fun() -> put(Repo, Row, Used) end,
    Claim#claim{job = ecto_litefs_tracking_job:start(Put)}.

%% Nothing is to be done for long now, and an open connection keeps the user's
%% own from what it has to have the database for alone (PRAGMA journal_mode).
committed(Term, #claim{repo = Repo, id = Id, logged = Logged} = Claim) ->
    ok = ecto_litefs_tracking_table:commit(Repo, Id, Term),
    ok = ecto_litefs_port:close(Repo),
    _ = Logged andalso ecto_litefs_tracking_report:written(Repo),
    Claim#claim{job = none, term = Term, used = true, backoff = 50,
                failed = none, logged = false}.

failed(Reason, #claim{repo = Repo, backoff = Ms, logged = Logged} = Claim) ->
    Claim#claim{job = none, failed = Reason,
                timer = erlang:start_timer(Ms, self(), retry),
                backoff = min(2 * Ms, ?BACKOFF_MAX_MS),
                logged = Logged orelse
                    (is_loud(Reason, Ms) andalso
                     ecto_litefs_tracking_report:failed(Repo, Reason) andalso
                     ecto_litefs_last_error:put(Repo, {tracking, Reason}) =:= ok)}.

%% A pool that is just making the database, or writing much, is no news.
is_loud({Code, _, _}, _Ms) when Code =/= missing, Code =/= busy -> true;
is_loud(_Passing, Ms) -> Ms >= ?LOG_FROM_MS.

row(#claim{term = Term, hostname = Hostname, started_at = StartedAt}) ->
    #{node => atom_to_binary(node()),
      updated_at => erlang:system_time(second),
      hostname => known(Hostname),
      term => Term,
      started_at => max(1, StartedAt),
      version => version()}.

known(<<>>) -> undefined;
known(Hostname) -> Hostname.

version() ->
    case application:get_key(ecto_litefs, vsn) of
        {ok, Version} -> list_to_binary(Version);
        undefined -> undefined
    end.

%% -- beside ------------------------------------------------------------------

put(Repo, Row, Used) ->
    ecto_litefs_tracking_lock:with(file(Repo), fun() ->
        held(Repo, read(Repo, Row, Used))
    end).

held(Repo, {ok, Term} = Done) ->
    ok = ecto_litefs_tracking_table:hold(Repo, Term),
    Done;
held(_Repo, {error, _Reason} = Error) ->
    Error.

%% Which row it is.
file(Repo) ->
    {_Access, #{primary_file := File}} = ecto_litefs_instance:lookup(Repo),
    {filename:dirname(File), ecto_litefs_tracking_table:database(Repo)}.

read(Repo, Row, Used) ->
    case ecto_litefs_port:read_row(Repo, ?PORT_MS) of
        {ok, Found} -> put(relation(Found, Row), Repo, Row, Used);
        {error, {bad_row, _, _}} -> put(other, Repo, Row, Used);
        {error, _Reason} = Error -> Error
    end.

put({same, Term}, _Repo, _Row, _Used) ->
    {ok, Term};
put(other, Repo, Row, true) ->
    write(Repo, Row#{term := ecto_litefs_primaryship:new_term()});
put({renamed, Row}, Repo, _Row, _Used) ->
    write(Repo, Row);
put(other, Repo, Row, false) ->
    write(Repo, Row).

%% Another Repo of this VM on the same database has written it: theirs is one
%% primaryship, and has one term.
relation(#{node := Node, term := Term} = Found,
         #{node := Node, term := Own} = Row) when is_integer(Term) ->
    case Term =:= Own orelse ecto_litefs_tracking_table:is_held(Term) of
        true -> named(Found, Row#{term := Term});
        false -> other
    end;
relation(_AnotherOrNone, _Row) ->
    other.

named(_Found, #{hostname := undefined, term := Term}) -> {same, Term};
named(#{hostname := Host}, #{hostname := Host, term := Term}) -> {same, Term};
named(_Found, Row) -> {renamed, Row}.

write(Repo, #{term := Term} = Row) ->
    case ecto_litefs_port:write_row(Repo, Row, ?PORT_MS) of
        ok -> {ok, Term};
        {error, _Reason} = Error -> Error
    end.
