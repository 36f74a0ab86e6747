%% What this node believes about a Repo's role. Everything runs in the calling
%% process; nothing here asks another one.
-module(ecto_litefs_status).

-export([role/1]).
-export([snapshot/1]).
-export([check/2]).
-export([check/3]).
-export([kind/1]).
-export([kind/2]).
-export([degraded/2]).

-export_type([kind/0]).

%% On which kind of directory the Repo lives. A node of one kind never
%% forwards to one of the other: they do not share their data.
-type kind() :: litefs | plain.

%% The fast path of every write on the primary: one lookup, one NIF.
-spec role(module()) -> ecto_litefs_nif:role() | not_supervised.
role(Repo) ->
    case ecto_litefs_instance:lookup(Repo) of
        {{passthrough, Detector}, _Config} -> passthrough(Detector);
        {gone, _Config} -> unknown;
        {Handle, _Config} -> ecto_litefs_nif:role(Handle);
        none -> not_supervised
    end.

-spec snapshot(module()) -> ecto_litefs_nif:snapshot() | not_supervised.
snapshot(Repo) ->
    case ecto_litefs_instance:lookup(Repo) of
        {{passthrough, Pid}, _Config} -> without_nif(passthrough(Pid));
        {gone, _Config} -> without_nif(unknown);
        {Handle, _Config} -> ecto_litefs_nif:snapshot(Handle);
        none -> not_supervised
    end.

%% The role after a look at the directory that began after this call, unknown
%% when it took longer than Timeout milliseconds. Where the time ran out the
%% answer may still come, as {ecto_litefs_check, _, _, _}: the caller should be
%% a process that ends soon or drops messages that it does not know.
-spec check(module(), non_neg_integer()) -> ecto_litefs_nif:role().
check(Repo, Timeout) ->
    {Role, none} = check(Repo, none, Timeout),
    Role.

%% The same, and the position that the database (<<"app.db">>) had after it.
-spec check(module(), Db :: binary() | none, non_neg_integer()) ->
          {ecto_litefs_nif:role(), ecto_litefs_nif:position() | none}.
check(Repo, Db, Timeout) ->
    case ecto_litefs_instance:lookup(Repo) of
        {{passthrough, Detector}, _Config} -> {passthrough(Detector), none};
        {gone, _Config} -> {unknown, none};
        {Handle, _Config} -> check_handle(Handle, Db, Timeout);
        none -> {unknown, none}
    end.

%% A detector that was killed looks no more, and LiteFS may have come since.
passthrough(Detector) ->
    case is_process_alive(Detector) of
        true -> not_litefs;
        false -> unknown
    end.

check_handle(Handle, Db, Timeout) ->
    Ref = make_ref(),
    case ecto_litefs_nif:check(Handle, Ref, Db) of
        ok ->
            receive
                {ecto_litefs_check, Ref, Role, Position} -> {Role, Position}
            after Timeout ->
                    {unknown, none}
            end;
        {error, busy} -> {unknown, none};
        {error, closed} -> {unknown, none}
    end.

-spec kind(module()) -> kind().
kind(Repo) ->
    case ecto_litefs_instance:lookup(Repo) of
        {{passthrough, _Detector}, _Config} -> plain;
        {gone, _Config} -> plain;
        {Handle, Config} -> kind(ecto_litefs_nif:snapshot(Handle), Config);
        none -> plain
    end.

-spec kind(ecto_litefs_nif:snapshot(), ecto_litefs_config:t()) -> kind().
kind(_Snapshot, #{mount := plain}) -> plain;
kind(_Snapshot, #{mount := required}) -> litefs;
kind(#{litefs_seen := true}, _Config) -> litefs;
kind(#{mount := litefs}, _Config) -> litefs;
kind(#{stream := up}, _Config) -> litefs; % its mount is yet to come
kind(_Snapshot, _Config) -> plain.

%% On LiteFS: may what this node reads be older than max_lag? So it is where the
%% lag is not known (LiteFS hangs or is dead), and never on the primary.
-spec degraded(ecto_litefs_nif:snapshot(), ecto_litefs_config:t()) -> boolean().
degraded(#{role := Role, lag_ms := Lag} = Snapshot, Config) ->
    kind(Snapshot, Config) =:= litefs
        andalso Role =/= primary
        andalso (Lag =:= undefined orelse Lag > maps:get(max_lag, Config)).

without_nif(Role) ->
    #{role => Role,
      source => none,
      hostname => <<>>,
      own_hostname => <<>>,
      since_ms => 0,
      generation => 0,
      mount => unseen,
      stream => off,
      lag_ms => undefined,
      settled => true,
      litefs_seen => false,
      reconnect => false,
      positions => #{}}.
