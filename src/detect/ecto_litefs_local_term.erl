%% In which term this node's own copy of the database is: on the primary that of
%% its primaryship, elsewhere the one of the tracking row in that copy. Runs in a
%% process of its own, because it asks LiteFS and SQLite.
%%
%% A row that is read now says of the positions up to now which term they are
%% of, if no other history has taken their place meanwhile. While the event
%% stream is up the era says so: it is another one after each word about a
%% primary, and a history begins with such a word. That word comes before the
%% snapshot which replaces this copy, so that a position of before the row must
%% not be ahead of one that is read after it. Without a stream the position is
%% read before and after the row, and has to be the same.
-module(ecto_litefs_local_term).

-export([find/4]).
-export([here/4]).

-export_type([era/0]).
-export_type([found/0]).
-export_type([local_term/0]).

%% Since when it is the one that it is, in monotonic milliseconds.
-type era() :: {Era :: non_neg_integer() | none, SinceMs :: integer()}.

%% none: the copy has no row, or one that ecto_litefs 1.0 wrote.
-type local_term() :: Term :: non_neg_integer() | none.

%% in_era: of all positions of this era up to now; keep: what is in this term
%% stays reached in it. at: of this position. unsettled: it may be another one in
%% a moment. failed: and so it will each time.
-type found() ::
        {in_era, Era :: non_neg_integer(), local_term(), keep | once}
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

%% Of this position, which is one of this era.
-spec find(module(), ecto_litefs_place:t(), era(),
           ecto_litefs_nif:position()) -> found().
find(Repo, {Handle, _Db} = Place, Era, Position) ->
    Question = #question{repo = Repo, place = Place, era = Era},
    case ecto_litefs_nif:snapshot(Handle) of
        #{stream := up} = Snapshot -> in_era(Position, Snapshot, Question);
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
            here_later(left(Deadline), Repo, Place, Era, Deadline)
    end.

here_later(0, _Repo, _Place, _Era, _Deadline) ->
    {error, timeout};
here_later(Left, Repo, Place, Era, Deadline) ->
    case will_have_term(ecto_litefs_status:role(Repo), Repo, Left) of
        true ->
            receive after ?PAUSE_MS -> ok end,
            here(Repo, Place, Era, Deadline);
        false ->
            {error, unavailable}
    end.

%% A primary that cannot write its row says so at once.
will_have_term(primary, Repo, Ms) ->
    ecto_litefs_tracking:await_term(Repo, Ms) =/= none;
will_have_term(_Role, _Repo, _Ms) ->
    true.

in_era({TxId, _}, Snapshot, #question{era = {Number, _}} = Question) ->
    case term(Snapshot, Question) of
        {ok, Term, Keep} ->
            case {is_behind(TxId, Snapshot, Question), position(Question)} of
                {false, {_Position, Number}} ->
                    {in_era, Number, Term, Keep};
                _BehindOrAnotherEra ->
                    unsettled
            end;
        Otherwise ->
            Otherwise
    end.

is_behind(_TxId, #{mount := plain}, _Question) ->
    false; % a simulator, which has no file for positions
is_behind(TxId, _Snapshot, Question) ->
    case check(Question) of
        {_Role, {Now, _Checksum}} -> Now < TxId;
        {_Role, none} -> true
    end.

%% On a busy primary no two positions may be the same; its term is its own.
at(#question{repo = Repo} = Question) ->
    case {ecto_litefs_tracking:term(Repo), check(Question)} of
        {_Term, {_Role, none}} -> unsettled;
        {{ok, Term}, {primary, Position}} -> still(Term, Position, Question);
        {_None, Before} -> at(Before, Question)
    end.

still(Term, Position, #question{repo = Repo}) ->
    case ecto_litefs_tracking:term(Repo) of
        {ok, Term} -> {at, Position, Term};
        _Another -> unsettled
    end.

at({_Role, Position} = Before, #question{place = {Handle, _Db}} = Question) ->
    Term = term(ecto_litefs_nif:snapshot(Handle), Question),
    case {Term, check(Question)} of
        {{ok, Local, _Keep}, Before} -> {at, Position, Local};
        {{ok, _Local, _Keep}, _Another} -> unsettled;
        {Otherwise, _} -> Otherwise
    end.

position(#question{place = {Handle, Db}}) ->
    ecto_litefs_nif:position(Handle, Db).

check(#question{repo = Repo, place = {_Handle, Db}}) ->
    ecto_litefs_status:check(Repo, Db, ?CHECK_MS).

term(#{role := primary}, #question{repo = Repo}) ->
    case ecto_litefs_tracking:term(Repo) of
        {ok, Term} -> {ok, Term, keep};
        none -> unsettled % its row is not committed yet
    end;
term(Snapshot, #question{repo = Repo} = Question) ->
    case ecto_litefs_instance:lookup(Repo) of
        {_Access, #{tracking := false}} -> {ok, 0, keep};
        {_Access, _Config} -> row(Snapshot, Question);
        none -> {failed, unavailable}
    end.

row(Snapshot, #question{repo = Repo} = Question) ->
    case ecto_litefs_tracking:read(Repo, ?ROW_MS) of
        {ok, Row} -> settled(is_denied(Row, Repo), Row, Snapshot, Question);
        {error, Reason} when Reason =:= unavailable; Reason =:= no_database;
                             Reason =:= no_tracking -> {failed, Reason};
        {error, _ForTheMoment} -> unsettled
    end.

%% Another node says that it is primary, whose row is still to come.
is_denied(Row, Repo) ->
    Claims = [atom_to_binary(node(Pid))
              || Pid <- ecto_litefs_claim:members(Repo, litefs)],
    Claims =/= [] andalso not lists:member(named(Row), Claims).

named(none) -> none;
named(#{node := Node}) -> Node.

settled(true, _Row, _Snapshot, _Question) ->
    unsettled;
settled(false, #{hostname := Host, term := Term}, #{hostname := Host}, _)
  when Host =/= <<>>, Term =/= undefined ->
    {ok, Term, keep};
settled(false, Row, _Snapshot, Question) ->
    case age_ms(Question) >= ?SETTLE_MS of
        true -> {ok, own(Row), once};
        false -> unsettled
    end.

own(#{term := Term}) when is_integer(Term) -> Term;
own(_NoRowOrOldOne) -> none.

age_ms(#question{era = {Number, Since}} = Question) ->
    case position(Question) of
        {_Position, Number} -> now_ms() - Since;
        {_Position, _Later} -> 0
    end.

left(Deadline) ->
    max(0, Deadline - now_ms()).

now_ms() ->
    erlang:monotonic_time(millisecond).
