%% Nodes that did not answer: skipped for a second, so that each caller does
%% not wait for them again. Then one caller goes there, the others skip it for
%% another second, until it has answered. Losing an entry costs time and nothing
%% else, so that without the table (the application ecto_litefs was stopped)
%% none is skipped.
-module(ecto_litefs_breaker).

-export([new/0]).
-export([skip/1]).
-export([skipped/1]).
-export([probe/1]).
-export([answered/1]).

-define(TABLE, ?MODULE).
-define(SKIP_MS, 1000).

%% The table belongs to the calling process, which is ecto_litefs_sup.
-spec new() -> ok.
new() ->
    ?TABLE = ets:new(?TABLE, [named_table, public, {read_concurrency, true}]),
    ok.

-spec skip(node()) -> ok.
skip(Node) ->
    try ets:insert(?TABLE, {Node, now_ms() + ?SKIP_MS}) of
        true -> ecto_litefs_telemetry:node(skip, Node)
    catch
        error:badarg -> ok
    end.

-spec skipped(node()) -> boolean().
skipped(Node) ->
    case until(Node) of
        never -> false;
        Until -> now_ms() < Until
    end.

%% Before a call: whoever comes first after the second makes the others wait
%% for another one.
-spec probe(node()) -> ok.
probe(Node) ->
    case until(Node) of
        never -> ok;
        Until -> probe(Node, Until, now_ms())
    end.

probe(Node, Until, Now) when Now >= Until ->
    Longer = [{{Node, Until}, [], [{{{const, Node}, Now + ?SKIP_MS}}]}],
    case select_replace(Longer) of
        1 -> ecto_litefs_telemetry:node(probe, Node);
        0 -> ok
    end;
probe(_Node, _Until, _Now) ->
    ok.

%% After a call, whatever the answer was.
-spec answered(node()) -> ok.
answered(Node) ->
    case until(Node) of
        never -> ok;
        _Until -> forget(Node)
    end.

forget(Node) ->
    try ets:take(?TABLE, Node) of
        [_] -> ecto_litefs_telemetry:node(back, Node);
        [] -> ok
    catch
        error:badarg -> ok
    end.

select_replace(Spec) ->
    try ets:select_replace(?TABLE, Spec)
    catch
        error:badarg -> 0
    end.

until(Node) ->
    try ets:lookup_element(?TABLE, Node, 2)
    catch
        error:badarg -> never % also where there is no such node
    end.

now_ms() ->
    erlang:monotonic_time(millisecond).
