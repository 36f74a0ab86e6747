%% The last thing that went wrong for each Repo on this node, for
%% EctoLiteFS.status/1. Nothing is written while all goes well.
-module(ecto_litefs_last_error).

-compile({no_auto_import, [put/2, get/1]}).

-export([new/0]).
-export([put/2]).
-export([get/1]).

-export_type([what/0]).

%% forward: a call that ended as not executed or unknown, with what its caller
%% was told. reconnect: the Repo's pool could not be renewed.
-type what() ::
        {forward, Action :: atom(), Failure :: #{reason := term(),
                                                 atom() => term()}}
      | {await, timeout | other_term | unavailable}
      | {tracking, Reason :: term()}
      | {reconnect, Reason :: term()}.

-define(TABLE, ?MODULE).

%% The table belongs to the calling process, which is ecto_litefs_sup.
-spec new() -> ok.
new() ->
    ?TABLE = ets:new(?TABLE, [named_table, public, {write_concurrency, true}]),
    ok.

%% Without the table (the application was stopped) it is forgotten.
-spec put(module(), what()) -> ok.
put(Repo, What) ->
    try ets:insert(?TABLE, {Repo, erlang:system_time(millisecond), What}) of
        true -> ok
    catch
        error:badarg -> ok
    end.

%% AtMs: the system's time.
-spec get(module()) -> {AtMs :: integer(), what()} | none.
get(Repo) ->
    try ets:lookup(?TABLE, Repo) of
        [{Repo, AtMs, What}] -> {AtMs, What};
        [] -> none
    catch
        error:badarg -> none
    end.
