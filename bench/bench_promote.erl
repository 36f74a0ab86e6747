%% How long after LiteFS's own word on a new primary is a write done that came
%% from a third node, through the middleware?
-module(bench_promote).

-export([measure/2]).

%% Microseconds from the order to promote: to the end of the first write that
%% ran on the new primary, and to `isPrimary:true` in its event stream.
-type promotion() :: {Write :: integer(), Event :: integer()}.

-define(REPO, 'Elixir.TestRepo').

%% `a` is primary. `c` writes without a pause while `a` and `b` take turns.
-spec measure(e2e_cluster:cluster(), pos_integer()) -> [promotion()].
measure(Cluster, Count) ->
    Watchers = [{Name, litefs_http:watch(litefs_node:port(
                         e2e_cluster:litefs(Cluster, Name)))}
                || Name <- [a, b]],
    ok = e2e_cluster:call(Cluster, c, bench_writer, {start, []}),
    Promotions = promote(Cluster, Watchers, a, Count),
    ok = e2e_cluster:call(Cluster, c, bench_writer, {stop, []}),
    _ = [litefs_http:unwatch(Watcher) || {_Name, Watcher} <- Watchers],
    Promotions.

promote(_Cluster, _Watchers, _Old, 0) ->
    [];
promote(Cluster, Watchers, Old, Count) ->
    New = other(Old),
    ok = await_streams(Cluster),
    {From, At} = e2e_wait:until("LiteFS promotes it", 30000, fun() ->
        take_over(e2e_cluster:litefs(Cluster), New,
                  proplists:get_value(New, Watchers))
    end),
    Written = first_write(Cluster, New, From),
    _Exits = e2e_load:settle(Cluster, Old),
    [{Written - From, At - From} | promote(Cluster, Watchers, New, Count - 1)].

other(a) -> b;
other(b) -> a.

%% A LiteFS that exited after a promotion is back, but who reads its events
%% waits up to a second before the next attempt.
await_streams(Cluster) ->
    _ = [e2e_wait:until("the node reads LiteFS's events", fun() ->
             #{stream := Stream} =
                 e2e_cluster:call(Cluster, Name, ecto_litefs_status,
                                  {snapshot, [?REPO]}),
             Stream =:= up orelse {on, Name, Stream}
         end) || Name <- litefs_cluster:names()],
    ok.

%% LiteFS refuses the order while its replica is not connected, and does not
%% always obey it: then it is given again.
take_over(LiteFS, Name, Watcher) ->
    From = e2e_wait:us(),
    case litefs_cluster:promote(LiteFS, Name) of
        ok -> said_primary(Watcher, From, From + 3000000);
        {error, Reason} -> Reason
    end.

said_primary(Watcher, From, Until) ->
    case litefs_http:primary_since(Watcher, From) of
        {ok, At} ->
            {ok, {From, At}};
        none ->
            timer:sleep(1),
            e2e_wait:us() < Until andalso said_primary(Watcher, From, Until)
    end.

first_write(Cluster, Name, From) ->
    e2e_wait:until("a write ran on the new primary", 20000, fun() ->
        case e2e_cluster:call(Cluster, c, bench_writer,
                              {first, [number(Name), From]}) of
            {ok, End} -> {ok, End};
            none -> {none_on, Name}
        end
    end).

%% A row's value is the number of the node that wrote it.
number(a) -> 1;
number(b) -> 2.
