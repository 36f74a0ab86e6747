%% What it costs to wait for one's own write, against a loop that reads LiteFS's
%% position file; and what a position costs that is there already. Called on a
%% replica.
-module(bench_await).

-export([own_write/1]).
-export([there/1]).

-define(BLOCKS, 300).
-define(CALLS, 5).
-define(THERE_BLOCKS, 60).
-define(THERE_CALLS, 5_000).
-define(API, 'Elixir.EctoLiteFS').

-spec own_write(module()) -> {pos_integer(), bench_stats:series()}.
own_write(Repo) ->
    replica = ecto_litefs_status:role(Repo),
    {_Before, File} = position_file(Repo),
    Ours = fun() -> insert(Repo, []) end,
    Polled = fun() ->
        Before = read(File),
        insert(Repo, [{await, false}]),
        until_moved(Before, File)
    end,
    {?BLOCKS * ?CALLS,
     bench_stats:interleaved(?BLOCKS, ?CALLS,
                             fun() -> times(?CALLS, Ours) end,
                             fun() -> times(?CALLS, Polled) end)}.

%% As cheap as it gets: a descriptor that is kept, and a busy loop.
position_file(Repo) ->
    {_Access, #{primary_file := Primary}} = ecto_litefs_instance:lookup(Repo),
    {ok, Db} = ecto_litefs_tracking:database(Repo),
    Path = filename:join(filename:dirname(Primary), <<Db/binary, "-pos">>),
    {ok, File} = file:open(Path, [raw, binary, read]),
    {read(File), File}.

read(File) ->
    {ok, Position} = file:pread(File, 0, 64), % 34 come from the cache
    Position.

until_moved(Before, File) ->
    case read(File) of
        Before -> until_moved(Before, File);
        _Moved -> ok
    end.

insert(Repo, Options) ->
    Unique = integer_to_binary(erlang:unique_integer([positive])),
    Changeset = e2e_node:changeset(<<"await ", Unique/binary>>),
    {ok, _Item} = Repo:insert(Changeset, Options).

-spec there(module()) -> {pos_integer(), bench_stats:series()}.
there(Repo) ->
    {ok, Position} = ?API:position(Repo),
    ok = ?API:await(Repo, Position, 1_000),
    {?THERE_BLOCKS * ?THERE_CALLS,
     bench_stats:interleaved(
       ?THERE_BLOCKS, ?THERE_CALLS,
       fun() -> times(?THERE_CALLS, fun() -> ?API:await(Repo, Position, 0) end) end,
       fun() -> times(?THERE_CALLS, fun() -> ok end) end)}.

times(0, _Fun) ->
    ok;
times(N, Fun) ->
    _ = Fun(),
    times(N - 1, Fun).
