%% A recorder in the place of the telemetry package, which comes from Hex. An
%% event is kept in the process that it happens in, where a handler would run:
%% so several processes record at once, and none gets messages.
%%
%% Events of other processes are for attach/1. Unlike telemetry it does not
%% catch what a handler raises.
-module(telemetry).

-export([execute/3]).
-export([record/1]).
-export([attach/1]).
-export([send_to/1]).
-export([detach/0]).

-type handler() :: fun(([atom()], map(), map()) -> term()).

-spec execute([atom()], map(), map()) -> ok.
execute(Name, Measurements, Metadata) ->
    case get(?MODULE) of
        undefined ->
            ok;
        Events ->
            put(?MODULE, [{Name, Measurements, Metadata} | Events])
    end,
    Handler = persistent_term:get(?MODULE, fun(_, _, _) -> ok end),
    _ = Handler(Name, Measurements, Metadata),
    ok.

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

%% Called in each process with each event, until detach/0.
-spec attach(handler()) -> ok.
attach(Handler) ->
    {module, ?MODULE} = code:ensure_loaded(?MODULE),
    persistent_term:put(?MODULE, Handler).

%% Pid gets all events, as {telemetry, Name, Measurements, Metadata}.
-spec send_to(pid()) -> ok.
send_to(Pid) ->
    attach(fun(Name, Measurements, Metadata) ->
                   Pid ! {?MODULE, Name, Measurements, Metadata}
           end).

-spec detach() -> ok.
detach() ->
    _ = persistent_term:erase(?MODULE),
    ok.
