%% Finds out the name that LiteFS has for a Repo's database, in a process beside:
%% the Repo's config/0 is the user's code, and following links asks the system
%% for files. Where the Repo does not say it, it is asked again, ever more seldom.
-module(ecto_litefs_tracking_place).

-export([find/1]).
-export([event/2]).

-export_type([t/0]).

-record(place,
        {config :: ecto_litefs_config:t(),
         job = none :: none | ecto_litefs_tracking_job:t(),
         timer = none :: none | reference(),
         wait_ms = 1_000 :: pos_integer()}).

-opaque t() :: #place{}.

-define(LONGEST_MS, 2_000).
-define(WAIT_MAX_MS, 60_000).

%% Waits for the first answer, so that no write comes before it. The calling
%% process has the messages of later attempts, for event/2.
-spec find(ecto_litefs_config:t()) -> t().
find(Config) ->
    Job = ecto_litefs_tracking_job:start(fun() -> name(Config) end),
    found(ecto_litefs_tracking_job:await(Job, ?LONGEST_MS),
          #place{config = Config}).

look(#place{config = Config} = Place) ->
    Job = ecto_litefs_tracking_job:start(fun() -> name(Config) end),
    Place#place{job = Job,
                timer = erlang:start_timer(?LONGEST_MS, self(), place)}.

-spec event(term(), t()) -> t().
event({timeout, Timer, place}, #place{timer = Timer, job = none} = Place) ->
    look(Place);
event({timeout, Timer, place}, #place{timer = Timer, job = Job} = Place) ->
    ok = ecto_litefs_tracking_job:stop(Job),
    later(Place);
event(Message, #place{job = Job, timer = Timer} = Place) ->
    case ecto_litefs_tracking_job:outcome(Message, Job) of
        other ->
            Place;
        Outcome ->
            _ = erlang:cancel_timer(Timer),
            found(Outcome, Place)
    end.

found({ok, {ok, Db}}, #place{config = #{repo := Repo}} = Place) ->
    ok = ecto_litefs_tracking_table:put_database(Repo, Db),
    Place#place{job = none, timer = none};
found({ok, elsewhere}, #place{config = #{repo := Repo}} = Place) ->
    ok = ecto_litefs_tracking_table:put_database(Repo, none),
    Place#place{job = none, timer = none};
found(_NotSaid, Place) ->
    later(Place).

later(#place{wait_ms = Ms} = Place) ->
    Place#place{job = none, timer = erlang:start_timer(Ms, self(), place),
                wait_ms = min(2 * Ms, ?WAIT_MAX_MS)}.

%% -- beside ------------------------------------------------------------------

name(#{primary_file := File} = Config) ->
    Mount = ecto_litefs_mountinfo:real_path(filename:dirname(File)),
    case ecto_litefs_database:path(Config) of
        {ok, Path} -> name(Path, Mount);
        {error, no_database} -> not_said
    end.

%% Nothing on the mount itself is looked at: LiteFS may hang. Only a path that
%% leads elsewhere may be a link to there.
name(Path, Mount) ->
    case ecto_litefs_mountinfo:real_path(filename:dirname(Path)) of
        Mount -> {ok, filename:basename(Path)};
        _Elsewhere -> linked(ecto_litefs_mountinfo:real_path(Path), Mount)
    end.

linked(Path, Mount) ->
    case filename:dirname(Path) of
        Mount -> {ok, filename:basename(Path)};
        _Elsewhere -> elsewhere
    end.
