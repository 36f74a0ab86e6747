%% What the detector says: one line in the log and one telemetry event for each
%% change of the role, and no line that comes by itself again and again.
-module(ecto_litefs_report).

-include_lib("kernel/include/logger.hrl").

-export([new/0]).
-export([role/5]).
-export([without_nif/3]).
-export([not_reconnected/3]).
-export([missed/3]).
-export([unexpected/2]).

-export_type([t/0]).

-record(reported,
        {role = none :: none | {ecto_litefs_nif:role(), binary()},
         since = 0 :: integer(),             % native units, if there is a role
         pool = false :: boolean(),          % failed, and that was logged
         distribution = false :: boolean()}).

-opaque t() :: #reported{}.

-spec new() -> t().
new() ->
    #reported{}.

-spec role(module(), ecto_litefs_status:kind(), ecto_litefs_nif:snapshot(),
           binary(), t()) -> t().
role(Repo, Kind, Snapshot, Directory, Reported) ->
    warn_distribution(Repo, Kind, node(),
                      log_role(Repo, Snapshot, Directory, Reported)).

log_role(_Repo, #{role := Role, hostname := Host}, _Directory,
         #reported{role = {Role, Host}} = Reported) ->
    Reported;
log_role(Repo, #{role := Role} = Snapshot, Directory, Reported) ->
    ?LOG_NOTICE("ecto_litefs ~ts: ~ts",
                [ecto_litefs_log:name(Repo), sentence(Snapshot, Directory)],
                ecto_litefs_log:meta(Repo)),
    changed(Repo, Snapshot,
            Reported#reported{pool = Role =:= unknown andalso
                                  Reported#reported.pool}).

changed(Repo, #{role := Role, hostname := Host} = Snapshot, Reported) ->
    Now = erlang:monotonic_time(),
    {Former, Duration} = former(Reported, Now),
    ok = ecto_litefs_telemetry:role(Repo, Snapshot, Former, Duration),
    Reported#reported{role = {Role, Host}, since = Now}.

former(#reported{role = none}, _Now) -> {nil, 0};
former(#reported{role = {Role, _Host}, since = Since}, Now) ->
    {Role, Now - Since}.

sentence(#{role := primary, source := Source}, _Directory) ->
    ["this node is the primary (says ", source(Source), ")"];
sentence(#{role := replica, hostname := <<>>, source := Source}, _Directory) ->
    ["this node is a replica (says ", source(Source), ")"];
sentence(#{role := replica, hostname := Host}, _Directory) ->
    ["this node is a replica of ", printable(Host)];
sentence(#{role := no_primary}, _Directory) ->
    "LiteFS names no primary, writes wait";
sentence(#{role := not_litefs}, Directory) ->
    ["no LiteFS on ", printable(Directory), ", writes are local"];
sentence(#{role := unknown, reconnect := {pending, _Epoch}}, _Directory) ->
    "the mount is new and the Repo's connections are old, writes wait";
sentence(#{role := unknown, mount := Mount, stream := Stream}, Directory) ->
    io_lib:format("it is not known who the primary is, writes wait "
                  "(mount ~ts: ~s, event stream: ~s)",
                  [printable(Directory), Mount, Stream]).

source(stream) -> "LiteFS's event stream";
source(mount) -> "the directory";
source(manual) -> "set_primary/2 or set_replica/1";
source(none) -> "nobody".

%% Hostnames and paths are bytes; only what is UTF-8 is printed as such.
printable(Bytes) ->
    case unicode:characters_to_binary(Bytes) of
        Text when is_binary(Text) -> Text;
        _Broken -> io_lib:format("~p", [Bytes])
    end.

warn_distribution(Repo, litefs, nonode@nohost,
                  #reported{distribution = false} = Reported) ->
    ?LOG_WARNING("ecto_litefs ~ts: this Erlang node is not distributed, so no "
                 "write can be forwarded; start it with a name (in a release "
                 "RELEASE_DISTRIBUTION=name) and connect the nodes",
                 [ecto_litefs_log:name(Repo)], ecto_litefs_log:meta(Repo)),
    Reported#reported{distribution = true};
warn_distribution(_Repo, _Kind, _Node, Reported) ->
    Reported.

%% In place of the line that says that there is no LiteFS.
-spec without_nif(module(), ecto_litefs_nif:snapshot(), binary()) -> t().
without_nif(Repo, Snapshot, Reason) ->
    ?LOG_NOTICE("ecto_litefs ~ts: no LiteFS here, writes are local; ~ts",
                [ecto_litefs_log:name(Repo), Reason],
                ecto_litefs_log:meta(Repo)),
    changed(Repo, Snapshot, new()).

%% It is tried again every second, and logged once until the role is known.
-spec not_reconnected(module(), term(), t()) -> t().
not_reconnected(_Repo, _Failure, #reported{pool = true} = Reported) ->
    Reported;
not_reconnected(Repo, Failure, Reported) ->
    ?LOG_WARNING("ecto_litefs ~ts: the Repo's pool cannot be renewed (~tp); "
                 "writes wait until it can", [ecto_litefs_log:name(Repo), Failure],
 ecto_litefs_log:meta(Repo)),
    Reported#reported{pool = true}.

%% A forwarded write is done, but its caller may not find it here yet.
-spec missed(module(), timeout | other_term | unavailable,
             Ms :: non_neg_integer()) -> ok.
missed(Repo, Why, Ms) ->
    ?LOG_WARNING("ecto_litefs ~ts: a write is done on the primary, but ~ts; "
                 "what is read on this node may be older",
                 [ecto_litefs_log:name(Repo), missed_why(Why, Ms)],
                 ecto_litefs_log:meta(Repo)).

missed_why(timeout, Ms) ->
    io_lib:format("this node does not have it after ~b ms (await_timeout): "
                  "look for long reads here, which keep LiteFS from applying "
                  "it, and at LiteFS's connection to the primary", [Ms]);
missed_why(other_term, _Ms) ->
    "meanwhile another node has become primary: look there whether it has "
    "the write";
missed_why(unavailable, _Ms) ->
    "it cannot be told when this node has it: the tracking row cannot be "
    "written on the primary, or not be read here (see above), or the Repo does "
    "not say which of LiteFS's databases is its own (option `database:`). "
    "`tracking: false` does without the row, `await: false` does not wait".

-spec unexpected(module(), term()) -> ok.
unexpected(Repo, Message) ->
    ?LOG_WARNING("ecto_litefs ~ts: unexpected message ~tp",
                 [ecto_litefs_log:name(Repo), Message],
                 ecto_litefs_log:meta(Repo)).
