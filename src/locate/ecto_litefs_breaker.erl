%% Nodes that did not answer: skipped for a second, so that each caller does
%% not wait for them again. Losing an entry costs time and nothing else, so that
%% without the table (the application ecto_litefs was stopped) none is skipped.
-module(ecto_litefs_breaker).

-export([new/0]).
-export([skip/1]).
-export([skipped/1]).

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
        true -> ok
    catch
        error:badarg -> ok
    end.

-spec skipped(node()) -> boolean().
skipped(Node) ->
    try ets:lookup_element(?TABLE, Node, 2) of
        Until -> now_ms() < Until
    catch
        error:badarg -> false % also where there is no such node
    end.

now_ms() ->
    erlang:monotonic_time(millisecond).
