%% Blocks of ours and of the reference in turns, so that a noisy machine
%% disturbs both alike, and what a table says of them.
-module(bench_stats).

-export([interleaved/4]).
-export([median/1]).

-export_type([series/0]).

%% Microseconds for one call, one number for each block.
-type series() :: {Ours :: [float()], Reference :: [float()]}.

%% Each fun makes Calls calls. The first block of each warms up.
-spec interleaved(pos_integer(), pos_integer(), fun(() -> term()),
                  fun(() -> term())) -> series().
interleaved(Blocks, Calls, Ours, Reference) ->
    [_WarmUp | Pairs] = [block(N, Ours, Reference)
                         || N <- lists:seq(0, Blocks)],
    {Us, Them} = lists:unzip(Pairs),
    {[Time / Calls || Time <- Us], [Time / Calls || Time <- Them]}.

%% Who comes second finds warm caches, so that they take turns in that too.
block(N, Ours, Reference) when N rem 2 =:= 0 ->
    Us = time(Ours),
    {Us, time(Reference)};
block(_N, Ours, Reference) ->
    Them = time(Reference),
    {time(Ours), Them}.

time(Fun) ->
    From = erlang:monotonic_time(nanosecond),
    _ = Fun(),
    (erlang:monotonic_time(nanosecond) - From) / 1000.

-spec median([number(), ...]) -> number().
median(Numbers) ->
    lists:nth((length(Numbers) + 1) div 2, lists:sort(Numbers)).
