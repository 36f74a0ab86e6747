%% The only module that calls telemetry, which the application may not have.
%% docs/TELEMETRY.md says when each event is emitted and what is in it.
-module(ecto_litefs_telemetry).

-export([events/0]).
-export([start/3]).
-export([stop/1]).
-export([raised/4]).
-export([failed/3]).
-export([claim/3]).
-export([node/2]).
-export([role/4]).
-export([lag/3]).
-export([await_start/2]).
-export([await_stop/2]).

-export_type([span/0]).
-export_type([await_result/0]).

-type span() ::
        {What :: forward | await, StartedAt :: integer(), Metadata :: map()}
      | none.

-type await_result() :: ok | timeout | other_term | unavailable.

%% All names, for telemetry's attach_many/4.
-spec events() -> [[atom(), ...]].
events() ->
    [[ecto_litefs | Name]
     || Name <- [[forward, start], [forward, stop], [forward, exception],
                 [forward, claim],
                 [await, start], [await, stop],
                 [role, change], [lag],
                 [node, skip], [node, probe], [node, back]]].

%% One span for each attempt, in the shape of telemetry:span/3.
-spec start(module(), atom(), node()) -> span().
start(Repo, Action, Node) ->
    start_span(forward,
               #{repo => Repo, action => Action, primary_node => Node}).

-spec stop(span()) -> ok.
stop(Span) ->
    end_span(stop, Span, #{}).

%% On the primary.
-spec raised(span(), error | exit | throw, term(), list()) -> ok.
raised(Span, Kind, Reason, Stack) ->
    end_span(exception, Span,
             #{kind => Kind, reason => Reason, stacktrace => Stack,
               outcome => raised}).

-spec failed(span(), not_executed | unknown, term()) -> ok.
failed(Span, Outcome, Reason) ->
    end_span(exception, Span,
             #{kind => error, reason => Reason, stacktrace => [],
               outcome => Outcome}).

%% A node was asked what became of a call. StartedAt: when the question began,
%% in erlang:monotonic_time/0's unit.
-spec claim(integer(), atom(), map()) -> ok.
claim(StartedAt, Result, Metadata) ->
    execute([forward, claim], measurements(StartedAt),
            Metadata#{result => Result}).

%% skip: it did not answer and is left alone for a second. probe: the first
%% call goes there again. back: it has answered.
-spec node(skip | probe | back, node()) -> ok.
node(What, Node) ->
    execute([node, What], #{monotonic_time => erlang:monotonic_time()},
            #{node => Node}).

%% The role or the primary's hostname is another one. Duration: how long it was
%% the former one, in native units.
-spec role(module(), New :: ecto_litefs_nif:snapshot(),
           Former :: ecto_litefs_nif:role() | nil,
           Duration :: non_neg_integer()) -> ok.
role(Repo, #{role := Role, hostname := Hostname, source := Source,
             generation := Generation}, Former, Duration) ->
    execute([role, change],
            #{system_time => erlang:system_time(),
              monotonic_time => erlang:monotonic_time(),
              duration => Duration},
            #{repo => Repo,
              role => Role,
              previous_role => Former,
              hostname => hostname(Hostname),
              source => Source,
              generation => Generation,
              node => erlang:node()}).

hostname(<<>>) -> nil;
hostname(Hostname) -> Hostname.

-spec lag(module(), ecto_litefs_nif:snapshot(), Degraded :: boolean()) ->
          ok.
lag(_Repo, #{lag_ms := undefined}, _Degraded) ->
    ok;
lag(Repo, #{lag_ms := Lag, role := Role}, Degraded) ->
    execute([lag], #{lag => Lag},
            #{repo => Repo, role => Role, degraded => Degraded}).

%% A caller waits until this node has that position.
%% none: there is no position to wait for.
-spec await_start(module(), ecto_litefs_position:t() | none) -> span().
await_start(Repo, {Term, TxId, _Checksum}) ->
    start_span(await, #{repo => Repo, term => Term, txid => TxId});
await_start(Repo, none) ->
    start_span(await, #{repo => Repo, term => nil, txid => nil}).

-spec await_stop(span(), await_result()) -> ok.
await_stop(Span, Result) ->
    end_span(stop, Span, #{result => Result}).

%% -- spans -------------------------------------------------------------------

start_span(What, Metadata) ->
    case enabled() of
        true ->
            Now = erlang:monotonic_time(),
            Same = Metadata#{telemetry_span_context => make_ref()},
            execute([What, start], #{system_time => erlang:system_time(),
                                     monotonic_time => Now}, Same),
            {What, Now, Same};
        false ->
            none
    end.

end_span(_How, none, _More) ->
    ok;
end_span(How, {What, StartedAt, Metadata}, More) ->
    execute([What, How], measurements(StartedAt), maps:merge(Metadata, More)).

measurements(StartedAt) ->
    Now = erlang:monotonic_time(),
    #{duration => Now - StartedAt, monotonic_time => Now}.

%% -- telemetry itself --------------------------------------------------------

enabled() ->
    erlang:function_exported(telemetry, execute, 3).

execute(Name, Measurements, Metadata) ->
    case enabled() of
        true -> call([ecto_litefs | Name], Measurements, Metadata);
        false -> ok
    end.

%% telemetry takes away a handler that raises. What it raises itself, because
%% its application is not started, must end neither a write nor the detector.
call(Name, Measurements, Metadata) ->
    try telemetry:execute(Name, Measurements, Metadata) of
        _ -> ok
    catch
        _Class:_Reason -> ok
    end.
