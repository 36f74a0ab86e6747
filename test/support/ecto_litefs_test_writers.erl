%% Processes that write beside each other, each one name after the other, until
%% they are stopped.
-module(ecto_litefs_test_writers).

-export([start/2]).
-export([await_answer/0]).
-export([stop/1]).

-export_type([t/0]).

-opaque t() :: [{pid(), reference()}].

-define(TIMEOUT, 60000).

%% Write is called with a name that no other call has.
-spec start(pos_integer(), fun((binary()) -> term())) -> t().
start(Count, Write) ->
    Test = self(),
    [spawn_monitor(fun() -> write(Write, Test, Id, []) end)
     || Id <- lists:seq(1, Count)].

write(Write, Test, Id, Written) ->
    Name = name(Id, length(Written)),
    Written1 = [{Name, Write(Name)} | Written],
    Test ! {?MODULE, answered},
    receive stop -> exit({written, Written1})
    after 0 -> write(Write, Test, Id, Written1)
    end.

name(Id, N) ->
    iolist_to_binary(io_lib:format("~b-~6..0b", [Id, N])).

%% Until one of them has returned from a call, from now on. By the process
%% that started them.
-spec await_answer() -> ok.
await_answer() ->
    receive {?MODULE, answered} -> await_answer()
    after 0 -> await_next()
    end.

await_next() ->
    receive {?MODULE, answered} -> ok
    after ?TIMEOUT -> error(no_answer)
    end.

%% Every name with what its call gave.
-spec stop(t()) -> [{binary(), term()}].
stop(Writers) ->
    [Pid ! stop || {Pid, _} <- Writers],
    lists:append([written(Writer) || Writer <- Writers]).

written({Pid, Monitor}) ->
    receive
        {'DOWN', Monitor, process, Pid, {written, Written}} -> Written;
        {'DOWN', Monitor, process, Pid, Reason} -> error(Reason)
    after ?TIMEOUT -> error(still_writing)
    end.
