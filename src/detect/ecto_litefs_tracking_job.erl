%% Work that may take its time, in a process beside the one that wants it,
%% linked to it: it ends with its owner, who traps exits.
-module(ecto_litefs_tracking_job).

-export([start/1]).
-export([await/2]).
-export([stop/1]).
-export([outcome/2]).

-export_type([t/0]).

-opaque t() :: pid().

-spec start(fun(() -> term())) -> t().
start(Fun) ->
    spawn_link(fun() -> exit({?MODULE, Fun()}) end).

%% How it ends, if it does within so many milliseconds; else it is stopped.
-spec await(t(), non_neg_integer()) -> {ok, term()} | {failed, term()}.
await(Pid, Ms) ->
    receive
        {'EXIT', Pid, _Reason} = Message -> outcome(Message, Pid)
    after Ms ->
            ok = stop(Pid),
            {failed, timeout}
    end.

%% It does nothing any more when this returns. What it has asked of others may
%% still be done.
-spec stop(t() | none) -> ok.
stop(none) ->
    ok;
stop(Pid) ->
    true = exit(Pid, kill),
    receive
        {'EXIT', Pid, _Reason} -> ok
    end.

%% What a message of the owner's mailbox means.
-spec outcome(term(), t() | none) -> {ok, term()} | {failed, term()} | other.
outcome({'EXIT', Pid, {?MODULE, Value}}, Pid) -> {ok, Value};
outcome({'EXIT', Pid, Reason}, Pid) -> {failed, Reason};
outcome(_Message, _Job) -> other.
