%% The only module that calls telemetry, which the application may not have.
%% One span for each attempt, in the shape of telemetry:span/3; one event for
%% each question what became of a call, and for each node that is skipped.
-module(ecto_litefs_telemetry).

-export([start/3]).
-export([stop/1]).
-export([exception/4]).
-export([claim/3]).
-export([node/2]).

-export_type([span/0]).

-type span() :: {StartedAt :: integer(), Metadata :: map()} | none.

-spec start(module(), atom(), node()) -> span().
start(Repo, Action, Node) ->
    case enabled() of
        true ->
            Now = erlang:monotonic_time(),
            Metadata = #{repo => Repo,
                         action => Action,
                         primary_node => Node,
                         telemetry_span_context => make_ref()},
            execute([forward, start],
                    #{system_time => erlang:system_time(),
                      monotonic_time => Now}, Metadata),
            {Now, Metadata};
        false ->
            none
    end.

-spec stop(span()) -> ok.
stop(none) ->
    ok;
stop({StartedAt, Metadata}) ->
    execute([forward, stop], measurements(StartedAt), Metadata).

-spec exception(span(), error | exit | throw, term(), list()) -> ok.
exception(none, _Kind, _Reason, _Stack) ->
    ok;
exception({StartedAt, Metadata}, Kind, Reason, Stack) ->
    execute([forward, exception], measurements(StartedAt),
            Metadata#{kind => Kind, reason => Reason, stacktrace => Stack}).

%% A node was asked what became of a call. StartedAt: when the question began,
%% in erlang:monotonic_time/0's unit.
-spec claim(integer(), atom(), map()) -> ok.
claim(StartedAt, Result, Metadata) ->
    case enabled() of
        true -> execute([forward, claim], measurements(StartedAt),
                        Metadata#{result => Result});
        false -> ok
    end.

%% skip: it did not answer and is left alone for a second. probe: the first
%% call goes there again. back: it has answered.
-spec node(skip | probe | back, node()) -> ok.
node(What, Node) ->
    case enabled() of
        true -> execute([node, What],
                        #{monotonic_time => erlang:monotonic_time()},
                        #{node => Node});
        false -> ok
    end.

measurements(StartedAt) ->
    Now = erlang:monotonic_time(),
    #{duration => Now - StartedAt, monotonic_time => Now}.

enabled() ->
    erlang:function_exported(telemetry, execute, 3).

execute(Name, Measurements, Metadata) ->
    telemetry:execute([ecto_litefs | Name], Measurements, Metadata).
