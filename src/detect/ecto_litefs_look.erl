%% When the detector looks by itself: once a second while something is awaited
%% that nobody tells of, else twice a minute, for a hint that was lost. A VM
%% that is idle should not wake for each of its Repos.
%%
%% The process that calls this gets {timeout, Timer, look}.
-module(ecto_litefs_look).

-export([none/0]).
-export([soon/1]).
-export([later/1]).
-export([is_due/2]).
-export([is_calm/2]).

-export_type([t/0]).

-opaque t() :: none | {reference(), DueMs :: integer()}.

-define(SOON_MS, 1_000).
-define(LATER_MS, 30_000).

-spec none() -> t().
none() -> none.

-spec soon(t()) -> t().
soon(Look) -> within(?SOON_MS, Look).

-spec later(t()) -> t().
later(Look) -> within(?LATER_MS, Look).

%% One that comes earlier stays as it is.
within(Ms, none) ->
    {erlang:start_timer(Ms, self(), look), now_ms() + Ms};
within(Ms, {Timer, DueMs} = Look) ->
    case DueMs =< now_ms() + Ms of
        true -> Look;
        false ->
            _ = erlang:cancel_timer(Timer, [{async, true}, {info, false}]),
            within(Ms, none)
    end.

%% A timer that was cancelled may have sent its message before.
-spec is_due(reference(), t()) -> boolean().
is_due(Timer, {Timer, _DueMs}) -> true;
is_due(_Old, _Look) -> false.

%% All that happens from here on is told by C.
-spec is_calm(ecto_litefs_nif:snapshot(), ecto_litefs_config:t()) -> boolean().
is_calm(#{role := Role, settled := true, stream := up} = Snapshot, Config) ->
    lists:member(Role, [primary, replica])
        andalso not ecto_litefs_status:degraded(Snapshot, Config);
is_calm(_Snapshot, _Config) ->
    false.

now_ms() ->
    erlang:monotonic_time(millisecond).
