%% A recorder in the place of the telemetry package, which comes from Hex. An
%% event is kept in the process that it happens in, where a handler would run:
%% so several processes record at once, and none gets messages.
-module(telemetry).

-export([execute/3]).
-export([record/1]).

-spec execute([atom()], map(), map()) -> ok.
execute(Name, Measurements, Metadata) ->
    case get(?MODULE) of
        undefined ->
            ok;
        Events ->
            put(?MODULE, [{Name, Measurements, Metadata} | Events]),
            ok
    end.

%% The events during Fun, which the calling process runs, and what it gives.
-spec record(fun(() -> Result)) -> {Result, [{[atom()], map(), map()}]}.
record(Fun) ->
    {module, ?MODULE} = code:ensure_loaded(?MODULE),
    undefined = put(?MODULE, []),
    try Fun() of
        Result -> {Result, lists:reverse(get(?MODULE))}
    after
        erase(?MODULE)
    end.
