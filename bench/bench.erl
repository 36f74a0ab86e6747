%% Prints the table of `make bench`; README.md says what its rows mean.
-module(bench).

-export([main/0]).

%% A ratio has no unit; differences and times are in microseconds.
-type row() ::
        #{what := string(), n := pos_integer(),
          ours := float(), reference := float(),
          compared := {ratio | difference, float()},
          goal := float() | none}
      | #{what := string(), skipped := string()}.

-define(REPO, 'Elixir.TestRepo').
-define(PROMOTIONS, 20).

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
    print_machine(),
    print_head(),
    Event = fun() -> [event()] end,
    case os:getenv("BENCH_WITHOUT_LITEFS", "") of
        "" -> with_litefs(Event);
        Why -> without_litefs(Why, Event)
    end.

with_litefs(Event) ->
    Cluster = e2e_cluster:start(#{log_dir => "_build/bench/logs"}),
    try
        A = fun(Module, Function, Args) ->
                    e2e_cluster:call(Cluster, a, Module, {Function, Args})
            end,
        print(decision("LiteFS", fun(F) -> A(bench_decision, F, [?REPO]) end)),
        print(Event()),
        print([forward(Cluster)]),
        print(promotions(Cluster))
    after
        e2e_cluster:destroy(Cluster)
    end.

without_litefs(Why, Event) ->
    Directory = filename:absname("_build/bench/plain"),
    ok = filelib:ensure_dir(filename:join(Directory, "x")),
    File = filename:join(Directory, ".primary"),
    {ok, _} = application:ensure_all_started(ecto_litefs),
    {ok, _} = 'Elixir.EctoLiteFS.Supervisor':start_link(
                [{repo, ?REPO}, {primary_file, list_to_binary(File)},
                 {event_stream_url, nil}, {mount, plain}]),
    print(decision("plain",
                   fun(F) -> bench_decision:F(?REPO) end)),
    print(Event()),
    print([#{what => What, skipped => Why}
           || What <- ["forwarded insert", "promotion"]]).

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

forward(Cluster) ->
    Primary = e2e_cluster:erlang_node(Cluster, a),
    {N, Series} = e2e_cluster:call(Cluster, c, bench_forward,
                                   {insert, [?REPO, Primary]}, 60000),
    (ratio(Series))#{what => "forwarded insert", n => N, goal => 1.1}.

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

%% -- the table ---------------------------------------------------------------

print_machine() ->
    io:format("~s, ~s cores, OTP ~s, load ~s~n~n",
              [string:trim(os:cmd("uname -sr")),
               string:trim(os:cmd("nproc")),
               erlang:system_info(otp_release),
               string:trim(os:cmd("cut -d' ' -f1-3 /proc/loadavg"))]).

print_head() ->
    line(["", "n", "ours", "reference", "compared", "goal", "met"]).

-spec print([row()]) -> ok.
print(Rows) ->
    lists:foreach(fun print_row/1, Rows).

print_row(#{what := What, skipped := Why}) ->
    io:format("~-40s skipped: ~s~n", [What, Why]);
print_row(#{what := What, n := N, ours := Ours, reference := Reference,
            compared := {How, Value} = Compared, goal := Goal}) ->
    line([What, integer_to_list(N), time(Ours), time(Reference),
          compared(Compared), goal(How, Goal), met(Value, Goal)]).

line([What | Columns]) ->
    io:format("~-40s ~8s ~10s ~10s ~10s ~10s ~4s~n", [What | Columns]).

compared({ratio, Ratio}) -> io_lib:format("~.2f x", [Ratio]);
compared({difference, Us}) -> ["+ ", time(Us)].

goal(_How, none) -> "";
goal(ratio, Goal) -> io_lib:format("~.1f x", [Goal]);
goal(difference, Goal) -> ["+ ", time(Goal)].

met(_Value, none) -> "";
met(Value, Goal) when Value =< Goal -> "yes";
met(_Value, _Goal) -> "no".

time(Us) when abs(Us) < 1 -> io_lib:format("~.1f ns", [Us * 1000]);
time(Us) when abs(Us) < 1000 -> io_lib:format("~.1f us", [Us]);
time(Us) -> io_lib:format("~.2f ms", [Us / 1000]).
