%% The only module that calls telemetry, which the application may not have.
%% One span for each attempt, in the shape of telemetry:span/3.
-module(ecto_litefs_telemetry).

-export([start/3]).
-export([stop/1]).
-export([exception/4]).

-export_type([span/0]).

-type span() :: {StartedAt :: integer(), Metadata :: map()} | none.

-spec start(module(), atom(), node()) -> span().
start(Repo, Action, Node) ->
    case erlang:function_exported(telemetry, execute, 3) of
        true ->
            Now = erlang:monotonic_time(),
            Metadata = #{repo => Repo,
                         action => Action,
                         primary_node => Node,
                         telemetry_span_context => make_ref()},
            execute(start, #{system_time => erlang:system_time(),
                             monotonic_time => Now}, Metadata),
            {Now, Metadata};
        false ->
            none
    end.

-spec stop(span()) -> ok.
stop(none) ->
    ok;
stop({StartedAt, Metadata}) ->
    execute(stop, measurements(StartedAt), Metadata).

-spec exception(span(), error | exit | throw, term(), list()) -> ok.
exception(none, _Kind, _Reason, _Stack) ->
    ok;
exception({StartedAt, Metadata}, Kind, Reason, Stack) ->
    execute(exception, measurements(StartedAt),
            Metadata#{kind => Kind, reason => Reason, stacktrace => Stack}).

measurements(StartedAt) ->
    Now = erlang:monotonic_time(),
    #{duration => Now - StartedAt, monotonic_time => Now}.

execute(Name, Measurements, Metadata) ->
    telemetry:execute([ecto_litefs, forward, Name], Measurements, Metadata).
