%% Prints the table of `make bench`; README.md says what its rows mean.
-module(bench).

-export([main/0]).

-define(REPO, 'Elixir.TestRepo').
-define(PROMOTIONS, 20).
-define(IDLE_SECONDS, 60).
-define(REPOS, 50).

%% With BENCH_WITHOUT_LITEFS set, its value is the reason why there is none.
-spec main() -> no_return().
main() ->
    Status = try print_all(), 0
             catch
                 Class:Reason:Stack ->
                     io:format("~p:~tp~n~p~n", [Class, Reason, Stack]),
                     1
             end,
    halt(Status).

print_all() ->
    bench_table:head(),
    Here = fun() -> [event(), parse()] end,
    case os:getenv("BENCH_WITHOUT_LITEFS", "") of
        "" -> with_litefs(Here);
        Why -> without_litefs(Why, Here)
    end.

with_litefs(Here) ->
    Cluster = e2e_cluster:start(#{log_dir => "_build/bench/logs"}),
    try
        A = fun(Module, Function, Args) ->
                    e2e_cluster:call(Cluster, a, Module, {Function, Args})
            end,
        Print = fun bench_table:print/1,
        Print(decision("LiteFS", fun(F) -> A(bench_decision, F, [?REPO]) end)),
        Print(Here()),
        Print([forward(Cluster), own_write(Cluster), there(Cluster)]),
        Print([idle(Cluster)]),
        Print(promotions(Cluster)),
        Print(memory(Cluster))
    after
        e2e_cluster:destroy(Cluster)
    end.

without_litefs(Why, Here) ->
    Directory = filename:absname("_build/bench/plain"),
    ok = filelib:ensure_dir(filename:join(Directory, "x")),
    File = filename:join(Directory, ".primary"),
    {ok, _} = application:ensure_all_started(ecto_litefs),
    {ok, _} = 'Elixir.EctoLiteFS.Supervisor':start_link(
                [{repo, ?REPO}, {primary_file, list_to_binary(File)},
                 {event_stream_url, nil}, {mount, plain}]),
    bench_table:print(decision("plain",
                               fun(F) -> bench_decision:F(?REPO) end)),
    bench_table:print(Here()),
    bench_table:print([#{what => What, skipped => Why}
                       || What <- ["forwarded insert", "own write is here",
                                   "position is there", "idle wakeups",
                                   "promotion", "memory per Repo"]]).

%% -- the rows ----------------------------------------------------------------

decision(Where, Measure) ->
    Decide = ratio(Measure(decide)),
    Middleware = difference(Measure(middleware)),
    [Decide#{what => "decision on the primary (" ++ Where ++ ")",
             n => 6000000, goal => 1.5},
     Middleware#{what => "  whole middleware, call passes",
                 n => 6000000, goal => none}].

event() ->
    Output = os:cmd("_build/bench/bench_event"),
    {ok, [N, Ours, Bare, _Ours99, _Bare99], _} =
        io_lib:fread("~d ~f ~f ~f ~f", Output),
    (difference({[Ours], [Bare]}))#{what => "event to role", n => N,
                                    goal => 100.0}.

parse() ->
    Output = os:cmd("_build/bench/bench_parse"),
    {ok, [N, Ours, Bare], _} = io_lib:fread("~d ~f ~f", Output),
    (ratio({[Ours], [Bare]}))#{what => "event parse", n => N, goal => 1.3}.

forward(Cluster) ->
    Primary = e2e_cluster:erlang_node(Cluster, a),
    {N, Series} = e2e_cluster:call(Cluster, c, bench_forward,
                                   {insert, [?REPO, Primary]}, 60000),
    (ratio(Series))#{what => "forwarded insert", n => N, goal => 1.1}.

own_write(Cluster) ->
    {N, Series} = e2e_cluster:call(Cluster, c, bench_await,
                                   {own_write, [?REPO]}, 60000),
    (difference(Series))#{what => "own write is here", n => N, goal => 100.0}.

there(Cluster) ->
    {N, Series} = e2e_cluster:call(Cluster, c, bench_await,
                                   {there, [?REPO]}, 60000),
    (difference(Series))#{what => "position is there", n => N, goal => 3.0}.

%% On a replica, which has more to look at.
idle(Cluster) ->
    Wakeups = e2e_cluster:call(Cluster, c, bench_idle,
                               {wakeups, [?REPO, ?IDLE_SECONDS]},
                               (?IDLE_SECONDS + 30) * 1000),
    itself(lists:sum(maps:values(Wakeups)) / ?IDLE_SECONDS,
           #{what => "idle wakeups", n => ?IDLE_SECONDS, unit => per_second,
             goal => 0.3}).

memory(Cluster) ->
    {InVm, Program} = bench_memory:per_repo_kib(Cluster, ?REPO, ?REPOS),
    [itself(Value, #{what => What, n => ?REPOS, unit => kib, goal => Goal})
     || {What, Value, Goal} <- [{"memory per Repo", InVm + Program, 300.0},
                                {"  in the VM", InVm, none},
                                {"  its port program", Program, none}]].

itself(Value, Row) ->
    Row#{ours => Value, reference => none, compared => {itself, Value}}.

promotions(Cluster) ->
    Promotions = bench_promote:measure(Cluster, ?PROMOTIONS),
    Sorted = lists:sort([{Write - Event, Write, Event}
                         || {Write, Event} <- Promotions]),
    Middle = promotion(bench_stats:median(Sorted)),
    Slowest = promotion(lists:last(Sorted)),
    [Middle#{what => "promotion to first write", n => ?PROMOTIONS,
             goal => 50000.0},
     Slowest#{what => "  the slowest of them", n => 1, goal => none}].

promotion({Later, Write, Event}) ->
    #{ours => Write * 1.0, reference => Event * 1.0,
      compared => {difference, Later * 1.0}}.

ratio(Series) ->
    {Ours, Reference} = medians(Series),
    #{ours => Ours, reference => Reference,
      compared => {ratio, Ours / Reference}}.

difference(Series) ->
    {Ours, Reference} = medians(Series),
    #{ours => Ours, reference => Reference,
      compared => {difference, Ours - Reference}}.

medians({Ours, Reference}) ->
    {bench_stats:median(Ours) * 1.0, bench_stats:median(Reference) * 1.0}.
