%% Several Repos of this VM may be on one database, which has one tracking row:
%% one of them at a time reads and writes it. The lock of a process that has died
%% is nobody's. Without the table (the application was stopped) nobody waits.
-module(ecto_litefs_tracking_lock).

-export([new/0]).
-export([with/2]).

-define(TABLE, ?MODULE).
-define(PAUSE_MS, 5).

%% The table belongs to the calling process, which is ecto_litefs_sup.
-spec new() -> ok.
new() ->
    ?TABLE = ets:new(?TABLE, [named_table, public]),
    ok.

%% Runs Fun in the calling process, alone among those with the same key.
-spec with(term(), fun(() -> Result)) -> Result.
with(Key, Fun) ->
    case take(Key) of
        true ->
            try Fun()
            after
                _ = with_table(fun() -> ets:delete(?TABLE, Key) end)
            end;
        false ->
            receive after ?PAUSE_MS -> ok end,
            with(Key, Fun)
    end.

take(Key) ->
    with_table(fun() -> ets:insert_new(?TABLE, {Key, self()}) end)
        orelse freed(Key).

%% Never true: the next attempt takes it.
freed(Key) ->
    with_table(fun() ->
        [ets:delete_object(?TABLE, Owned)
         || {_Key, Owner} = Owned <- ets:lookup(?TABLE, Key),
            not is_process_alive(Owner)],
        false
    end).

with_table(Fun) ->
    try Fun()
    catch
        error:badarg -> true
    end.
