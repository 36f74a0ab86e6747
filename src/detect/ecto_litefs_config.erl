%% What the user configured for one Repo, validated and with every default
%% filled in. 'Elixir.EctoLiteFS.Config' builds it from the user's options.
-module(ecto_litefs_config).

-export([defaults/0]).
-export([nif_options/2]).

-export_type([t/0]).

-type milliseconds() :: pos_integer().

-type t() ::
        #{repo := module(),
          primary_file := binary(),            % absolute path
          poll_interval := milliseconds() | disabled,
          event_stream_url := binary() | undefined,
          table_name := binary(),
          tracking := boolean(),               % is that table used at all?
          database := binary() | undefined,    % absolute path; else the Repo's
          cache_ttl := milliseconds(),
          refresh_grace_period := milliseconds(),
          erpc_timeout := milliseconds(),
          max_lag := milliseconds(),           % of a replica that is no worry
          mount := auto | required | plain,
          primary_wait := non_neg_integer(),   % milliseconds
          await := boolean(),                  % for one's own forwarded writes
          await_timeout := milliseconds(),
          max_forward_bytes := pos_integer(),  % of one call's arguments
          max_queue := non_neg_integer(),      % forwarded calls that wait
          on_error := return | raise,
          propagate := [term()]}.              % keys of the process dictionary

%% Who called, for Ecto's sandbox and for Mox; what Logger writes beside each
%% line; the current span of OpenTelemetry.
-define(PROPAGATE,
        ['$callers', '$logger_metadata$', '$__current_otel_ctx']).

%% All but the Repo.
-spec defaults() -> map().
defaults() ->
    #{primary_file => <<"/litefs/.primary">>,
      poll_interval => 30_000,
      event_stream_url => <<"http://localhost:20202/events">>,
      table_name => <<"_ecto_litefs_primary">>,
      tracking => true,
      database => undefined,
      cache_ttl => 5_000,
      refresh_grace_period => 100,
      erpc_timeout => 15_000,
      max_lag => 10_000,
      mount => auto,
      primary_wait => 20_000,
      await => true,
      await_timeout => 5_000,
      max_forward_bytes => 8 * 1024 * 1024,
      max_queue => 1_000,
      on_error => return,
      propagate => ?PROPAGATE}.

-spec nif_options(t(), boolean()) -> ecto_litefs_nif:options().
nif_options(#{primary_file := File, event_stream_url := Url,
              poll_interval := Interval, mount := Mount}, LitefsSeen) ->
    #{primary_file => File,
      events_url => Url,
      poll_interval => Interval,
      mount => Mount,
      litefs_seen => LitefsSeen}.
