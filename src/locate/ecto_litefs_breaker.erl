%% Nodes that did not answer: skipped for a second, so that each caller does
%% not wait for them again. Losing an entry costs time and nothing else.
-module(ecto_litefs_breaker).

-export([new/0]).
-export([skip/1]).
-export([skipped/1]).
-export([clear/1]).

-define(TABLE, ?MODULE).
-define(SKIP_MS, 1000).

%% The table belongs to the calling process, which is ecto_litefs_sup.
-spec new() -> ok.
new() ->
    ?TABLE = ets:new(?TABLE, [named_table, public, {read_concurrency, true}]),
    ok.

-spec skip(node()) -> ok.
skip(Node) ->
    true = ets:insert(?TABLE, {Node, now_ms() + ?SKIP_MS}),
    ok.

-spec skipped(node()) -> boolean().
skipped(Node) ->
    case ets:lookup(?TABLE, Node) of
        [{Node, Until}] -> now_ms() < Until;
        [] -> false
    end.

-spec clear(node()) -> ok.
clear(Node) ->
    true = ets:delete(?TABLE, Node),
    ok.

now_ms() ->
    erlang:monotonic_time(millisecond).
