%% The tracking row: which node is primary, and in which term. The primary has
%% the port write it into the Repo's database, LiteFS carries it to the others.
%% There is a process for each Repo (ecto_litefs_tracking_server), which no call
%% here waits for longer than it says.
%%
%% A term is told to nobody before its row is committed: whoever has come as far
%% as a position of that term, and finds another term in the row, has another
%% history, or a newer one.
-module(ecto_litefs_tracking).

-export([new/0]).
-export([child_spec/1]).
-export([start_link/1]).
-export([observe/1]).
-export([observe/3]).
-export([database/1]).
-export([term/1]).
-export([await_term/2]).
-export([row/3]).
-export([read/2]).
-export([invalidate/1]).

-export_type([seen/0]).
-export_type([error/0]).

-type seen() ::
        #{kind := ecto_litefs_status:kind(),
          role := ecto_litefs_nif:role(),
          primary := binary(),                 % its hostname, <<>> unknown
          id := pos_integer() | none,          % of this node's primaryship
          since := integer(),                  % of the role, monotonic ms
          started_at := integer(),             % of the primaryship, unix ms
          hostname := binary(),                % this node's, <<>> unknown
          mount := same | dead | {changed, non_neg_integer()}}.

-type error() :: ecto_litefs_port:reason() | no_tracking.

-define(SINCE_SLACK_MS, 100).  % it is counted anew each time

%% The table belongs to the calling process, which is ecto_litefs_sup.
-spec new() -> ok.
new() ->
    ecto_litefs_tracking_table:new().

-spec child_spec(ecto_litefs_config:t()) -> supervisor:child_spec().
child_spec(Config) ->
    #{id => ?MODULE, start => {?MODULE, start_link, [Config]}}.

-spec start_link(ecto_litefs_config:t()) -> {ok, pid()} | {error, term()}.
start_link(#{repo := Repo} = Config) ->
    gen_server:start_link({local, name(Repo)}, ecto_litefs_tracking_server,
                          Config, []).

%% The detector calls it with all that it takes, after
%% ecto_litefs_primaryship:observe/3. Most of it is no news.
-spec observe(module(), ecto_litefs_status:kind(),
              ecto_litefs_nif:snapshot()) -> ok.
observe(Repo, Kind, Snapshot) ->
    Seen = seen(Repo, Kind, Snapshot),
    case ecto_litefs_tracking_table:seen(Repo) of
        {ok, Before} -> tell(is_news(Seen, Before), Repo, Seen);
        none -> tell(true, Repo, Seen)
    end.

%% What this node is now, for a process that has seen nothing: the detector tells
%% news only.
-spec observe(ecto_litefs_config:t()) -> ok.
observe(#{repo := Repo} = Config) ->
    case ecto_litefs_status:snapshot(Repo) of
        not_supervised ->
            ok; % the detector is about to start
        Snapshot ->
            observe(Repo, ecto_litefs_status:kind(Snapshot, Config), Snapshot)
    end.

tell(true, Repo, Seen) -> gen_server:cast(name(Repo), {observe, Seen});
tell(false, _Repo, _Seen) -> ok.

seen(Repo, Kind, #{role := Role, hostname := Primary, own_hostname := Own,
                   since_ms := Ms} = Snapshot) ->
    Age = ecto_litefs_primaryship:age_ms(Repo, Snapshot),
    #{kind => Kind,
      role => Role,
      primary => Primary,
      id => id(ecto_litefs_primaryship:term(Repo)),
      since => now_ms() - Ms,
      started_at => erlang:system_time(millisecond) - Age,
      hostname => Own,
      mount => mount(Snapshot)}.

id({ok, Id}) -> Id;
id(none) -> none.

mount(#{mount := dead}) -> dead;
mount(#{reconnect := {pending, Epoch}}) -> {changed, Epoch};
mount(_Snapshot) -> same.

is_news(#{since := Since} = Seen, #{since := Before} = SeenBefore) ->
    abs(Since - Before) > ?SINCE_SLACK_MS
        orelse without_times(Seen) =/= without_times(SeenBefore).

without_times(Seen) ->
    maps:without([since, started_at], Seen).

%% The name by which LiteFS knows the Repo's database (<<"app.db">>); none where
%% it is in no LiteFS mount, and until that is found out.
-spec database(module()) -> {ok, Db :: binary()} | none.
database(Repo) ->
    ecto_litefs_tracking_table:database(Repo).

%% The term of this node's primaryship, once its row is committed; 0 where
%% nothing is tracked.
-spec term(module()) -> {ok, non_neg_integer()} | none.
term(Repo) ->
    case ecto_litefs_tracking_table:committed(Repo) of
        {Id, Term} -> of_primary(Repo, Id, Term);
        none -> none
    end.

%% This process may not yet have heard that it is over.
of_primary(Repo, Id, Term) ->
    case {ecto_litefs_primaryship:term(Repo), ecto_litefs_status:role(Repo)} of
        {{ok, Id}, primary} -> {ok, Term};
        _Over -> none
    end.

%% The same, when the row is written; none after so many milliseconds, and at
%% once where this node is not primary or there will be no row.
-spec await_term(module(), non_neg_integer()) ->
          {ok, non_neg_integer()} | none.
await_term(Repo, Ms) ->
    case term(Repo) of
        {ok, _Term} = Known -> Known;
        none -> await_term(ecto_litefs_status:role(Repo), Repo, Ms)
    end.

await_term(primary, Repo, Ms) ->
    call(Repo, {await_term, now_ms() + Ms}, none);
await_term(_NotPrimary, _Repo, _Ms) ->
    none.

%% What the local database's row says, read within the last cache_ttl. Force:
%% within refresh_grace_period.
-spec row(module(), Force :: boolean(), non_neg_integer()) ->
          {ok, ecto_litefs_port:row() | none} | {error, error()}.
row(Repo, Force, Ms) ->
    case is_tracked(Repo) of
        true -> call(Repo, {row, Force, now_ms() + Ms}, {error, closed});
        false -> {error, no_tracking}
    end.

%% What it says now.
-spec read(module(), non_neg_integer()) ->
          {ok, ecto_litefs_port:row() | none} | {error, error()}.
read(Repo, Ms) ->
    case is_tracked(Repo) of
        true -> ecto_litefs_port:read_row(Repo, Ms);
        false -> {error, no_tracking}
    end.

is_tracked(Repo) ->
    case ecto_litefs_instance:lookup(Repo) of
        {_Access, #{tracking := true}} ->
            ecto_litefs_status:kind(Repo) =:= litefs;
        _NotOrNone ->
            false
    end.

%% The next row/3 reads it anew.
-spec invalidate(module()) -> ok.
invalidate(Repo) ->
    gen_server:cast(name(Repo), invalidate).

call(Repo, Request, Otherwise) ->
    try gen_server:call(name(Repo), Request, infinity)
    catch
        exit:{_Reason, {gen_server, call, _}} -> Otherwise
    end.

name(Repo) ->
    ecto_litefs_name:of_repo('Elixir.EctoLiteFS.Tracking', Repo).

now_ms() ->
    erlang:monotonic_time(millisecond).
