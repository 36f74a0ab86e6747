%% In which term this node's own copy of the database is: on the primary that of
%% its primaryship, elsewhere the one of the tracking row in that copy. Runs in a
%% process of its own, because it asks LiteFS and SQLite.
%%
%% A term belongs to a position only if nothing happened between reading the one
%% and reading the other. While the event stream is up the era says so: it is
%% another one after each word about a primary, and a history begins with such
%% a word. Without a stream the position is read before and after the row, and
%% has to be the same.
-module(ecto_litefs_local_term).

-export([find/3]).
-export([here/4]).

-export_type([era/0]).
-export_type([found/0]).
-export_type([local_term/0]).

%% Since when it is the one that it is, in monotonic milliseconds.
-type era() :: {Era :: non_neg_integer() | none, SinceMs :: integer()}.

%% none: the copy has no row, or one that ecto_litefs 1.0 wrote.
-type local_term() :: Term :: non_neg_integer() | none.

%% in_era: of all positions of this era. at: of this position. unsettled: it may
%% be another one in a moment. failed: and so it will each time.
-type found() ::
        {in_era, Era :: non_neg_integer(), local_term()}
      | {at, ecto_litefs_nif:position(), local_term()}
      | unsettled
      | {failed, unavailable | no_database | no_tracking}.

-record(question,
        {repo :: module(),
         place :: ecto_litefs_place:t(),
         era :: era()}).

-define(CHECK_MS, 500).
-define(ROW_MS, 2_000).
-define(PAUSE_MS, 10).

%% How long after a word about a primary a row is not believed that names
%% another host than LiteFS does: the new primary writes its own within
%% milliseconds. Not for ever, because the names of a static lease may differ.
-define(SETTLE_MS, 2_000).

-spec find(module(), ecto_litefs_place:t(), era()) -> found().
find(Repo, {Handle, _Db} = Place, Era) ->
    Question = #question{repo = Repo, place = Place, era = Era},
    {_Position, Number} = position(Question),
    case ecto_litefs_nif:snapshot(Handle) of
        #{stream := up} = Snapshot -> in_era(Number, Snapshot, Question);
        _Snapshot -> at(Question)
    end.

%% The position of this node's copy, with its term.
-spec here(module(), ecto_litefs_place:t(), era(), Deadline :: integer()) ->
          {ok, ecto_litefs_position:t()} | {error, timeout | unavailable}.
here(Repo, Place, Era, Deadline) ->
    case at(#question{repo = Repo, place = Place, era = Era}) of
        {at, {TxId, Checksum}, Term} when is_integer(Term) ->
            {ok, {Term, TxId, Checksum}};
        {at, _Position, none} ->
            {error, unavailable};
        {failed, _Reason} ->
            {error, unavailable};
        unsettled ->
            here_later(now_ms() < Deadline, Repo, Place, Era, Deadline)
    end.

here_later(false, _Repo, _Place, _Era, _Deadline) ->
    {error, timeout};
here_later(true, Repo, Place, Era, Deadline) ->
    receive after ?PAUSE_MS -> ok end,
    here(Repo, Place, Era, Deadline).

in_era(Number, Snapshot, Question) ->
    Term = term(Snapshot, Question),
    case {Term, position(Question)} of
        {{ok, Local}, {_Position, Number}} -> {in_era, Number, Local};
        {{ok, _Local}, {_Position, _Later}} -> unsettled;
        {Otherwise, _} -> Otherwise
    end.

at(#question{place = {Handle, _Db}} = Question) ->
    Before = check(Question),
    Term = term(ecto_litefs_nif:snapshot(Handle), Question),
    case {Term, check(Question)} of
        {{ok, Local}, {_, {_TxId, _Checksum} = Position} = Before} ->
            {at, Position, Local};
        {{ok, _Local}, _AnotherOrNone} -> unsettled;
        {Otherwise, _} -> Otherwise
    end.

position(#question{place = {Handle, Db}}) ->
    ecto_litefs_nif:position(Handle, Db).

check(#question{repo = Repo, place = {_Handle, Db}}) ->
    ecto_litefs_status:check(Repo, Db, ?CHECK_MS).

term(#{role := primary}, #question{repo = Repo}) ->
    case ecto_litefs_tracking:term(Repo) of
        {ok, Term} -> {ok, Term};
        none -> unsettled % its row is not committed yet
    end;
term(Snapshot, #question{repo = Repo} = Question) ->
    case ecto_litefs_instance:lookup(Repo) of
        {_Access, #{tracking := false}} -> {ok, 0};
        {_Access, _Config} -> row(Snapshot, Question);
        none -> {failed, unavailable}
    end.

row(Snapshot, #question{repo = Repo} = Question) ->
    case ecto_litefs_tracking:read(Repo, ?ROW_MS) of
        {ok, Row} -> settled(Row, Snapshot, age_ms(Question));
        {error, Reason} when Reason =:= unavailable; Reason =:= no_database;
                             Reason =:= no_tracking -> {failed, Reason};
        {error, _ForTheMoment} -> unsettled
    end.

settled(#{hostname := Host, term := Term}, #{hostname := Host}, _AgeMs)
  when Host =/= <<>>, Term =/= undefined ->
    {ok, Term};
settled(Row, _Snapshot, AgeMs) when AgeMs >= ?SETTLE_MS ->
    {ok, own(Row)};
settled(_Row, _Snapshot, _AgeMs) ->
    unsettled.

own(#{term := Term}) when is_integer(Term) -> Term;
own(_NoRowOrOldOne) -> none.

age_ms(#question{era = {Number, Since}} = Question) ->
    case position(Question) of
        {_Position, Number} -> now_ms() - Since;
        {_Position, _Later} -> 0
    end.

now_ms() ->
    erlang:monotonic_time(millisecond).
