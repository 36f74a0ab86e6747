%% What the port logs: that its program had to be replaced, at most once a
%% second, and that there is none, once.
-module(ecto_litefs_port_report).

-include_lib("kernel/include/logger.hrl").

-export([new/0]).
-export([replaced/3]).
-export([unavailable/3]).

-export_type([t/0]).
-export_type([cause/0]).

-type cause() ::
        timeout | closing | bad_reply
      | {exited, ecto_litefs_port_program:exit_name()}.

-record(reported,
        {at = none :: none | integer(),        % monotonic ms
         unavailable = false :: boolean()}).

-opaque t() :: #reported{}.

-define(EVERY_MS, 1_000).

-spec new() -> t().
new() ->
    #reported{}.

-spec replaced(module(), cause(), t()) -> t().
replaced(Repo, Cause, #reported{at = At} = Reported) ->
    Now = erlang:monotonic_time(millisecond),
    case At =:= none orelse Now - At >= ?EVERY_MS of
        true ->
            {What, Advice} = sentence(Cause),
            ?LOG_WARNING("ecto_litefs ~ts: the port program ~ts, and is "
                         "replaced when it is needed; ~ts",
                         [ecto_litefs_log:name(Repo), What, Advice],
                         ecto_litefs_log:meta(Repo)),
            Reported#reported{at = Now};
        false ->
            Reported
    end.

sentence(timeout) ->
    {"did not answer in time and has to end",
     "see whether LiteFS, or the disk, hangs"};
sentence(closing) ->
    {"did not close the database in time and has to end",
     "see whether LiteFS, or the disk, hangs"};
sentence(bad_reply) ->
    {"sent what is no reply and was killed",
     "see that it was built together with this library"};
sentence({exited, killed}) ->
    {"was killed", "if nobody did, see the kernel's log for want of memory"};
sentence({exited, ended}) ->
    {"was asked to end", "nothing is to be done"};
sentence({exited, {signal, Signal}}) ->
    {io_lib:format("was ended by signal ~b", [Signal]),
     "please report it, with a core dump if there is one"};
sentence({exited, Name}) ->
    {io_lib:format("has ended (~tp)", [Name]),
     "docs/PROTOCOL.md says what that means"}.

-spec unavailable(module(), term(), t()) -> t().
unavailable(_Repo, _Why, #reported{unavailable = true} = Reported) ->
    Reported;
unavailable(Repo, Why, Reported) ->
    ?LOG_NOTICE("ecto_litefs ~ts: the port program cannot be started (~tp), "
                "so the tracking row is neither written nor read; on Debian "
                "it needs the package libsqlite3-0 at run time",
                [ecto_litefs_log:name(Repo), Why],
                ecto_litefs_log:meta(Repo)),
    Reported#reported{unavailable = true}.
