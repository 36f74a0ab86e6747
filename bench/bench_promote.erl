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
    From = e2e_wait:us(),
    ok = litefs_cluster:promote(e2e_cluster:litefs(Cluster), New),
    At = said_primary(proplists:get_value(New, Watchers), From),
    _Exits = e2e_load:settle(Cluster, Old),
    [{New, From, At} | promote(Cluster, Watchers, New, Count - 1)].

other(a) -> b;
other(b) -> a.

said_primary(Watcher, Since) ->
    e2e_wait:until("LiteFS says that the new one is primary", 20000, fun() ->
        case litefs_http:primary_since(Watcher, Since) of
            {ok, At} -> {ok, At};
            none -> {no_event_since, Since}
        end
    end).

%% A row's value is the number of the node that wrote it.
first_write(New, From, Written) ->
    Number = number(New),
    lists:min([To || {_Name, {returned, {ok, #{value := Value}}, _, To}}
                         <- Written,
                     Value =:= Number, To > From]).

number(a) -> 1;
number(b) -> 2.
