%% How long after LiteFS's own word on a new primary is a write done that came
%% from a third node, through the middleware?
-module(bench_promote).

-export([measure/3]).

%% Microseconds from the order to promote: to the return of the first write
%% that ran on the new primary, and to `isPrimary:true` in its event stream.
-type promotion() :: {Write :: integer(), Event :: integer()}.

%% `a` is primary. `c` writes without a pause while `a` and `b` take turns.
-spec measure(e2e_cluster:cluster(), pos_integer(), file:filename()) ->
          [promotion()].
measure(Cluster, Count, StopFile) ->
    Watchers = [{Name, litefs_http:watch(litefs_node:port(
                         e2e_cluster:litefs(Cluster, Name)))}
                || Name <- [a, b]],
    Writer = e2e_cluster:in_background(fun() ->
        e2e_cluster:call(Cluster, c, e2e_node,
                         {write_until, [StopFile, "promote"]}, infinity)
    end),
    Promoted = promote(Cluster, Watchers, a, Count),
    ok = file:write_file(StopFile, <<>>),
    Written = e2e_cluster:await(Writer, 60000),
    _ = [litefs_http:unwatch(Watcher) || {_Name, Watcher} <- Watchers],
    [{first_write(New, From, Written) - From, At - From}
     || {New, From, At} <- Promoted].

promote(_Cluster, _Watchers, _Old, 0) ->
    [];
promote(Cluster, Watchers, Old, Count) ->
    New = other(Old),
    Watcher = proplists:get_value(New, Watchers),
    {From, At} = e2e_wait:until("LiteFS promotes it", 30000, fun() ->
        take_over(e2e_cluster:litefs(Cluster), New, Watcher)
    end),
    _Exits = e2e_load:settle(Cluster, Old),
    [{New, From, At} | promote(Cluster, Watchers, New, Count - 1)].

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

other(a) -> b;
other(b) -> a.

%% A row's value is the number of the node that wrote it.
first_write(New, From, Written) ->
    Number = number(New),
    lists:min([To || {_Name, {returned, {ok, #{value := Value}}, _, To}}
                         <- Written,
                     Value =:= Number, To > From]).

number(a) -> 1;
number(b) -> 2.
