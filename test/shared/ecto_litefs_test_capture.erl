%% A call in a process of its own, and everything that it gave: a value or an
%% exception, and what it left behind in its process.
-module(ecto_litefs_test_capture).

-export([call/3]).

-export_type([outcome/0]).

%% Messages, or a subscription to pg.
-type outcome() ::
        {returned, term(), Left :: [term()]}
      | {error | exit | throw, term(), Stack :: list(), Left :: [term()]}.

-spec call(module(), atom(), [term()]) -> outcome().
call(Module, Function, Args) ->
    {Pid, Monitor} =
        spawn_monitor(fun() -> exit(caught(Module, Function, Args)) end),
    receive {'DOWN', Monitor, process, Pid, Outcome} -> Outcome end.

caught(Module, Function, Args) ->
    try apply(Module, Function, Args) of
        Value -> {returned, Value, left()}
    catch
        Class:Reason:Stack -> {Class, Reason, Stack, left()}
    end.

%% After a round through pg, which might still send something, or still watch
%% this process.
left() ->
    _ = sys:get_state(ecto_litefs),
    {messages, Messages} = process_info(self(), messages),
    {monitored_by, Watching} = process_info(self(), monitored_by),
    Messages ++ [still_subscribed
                 || Pid <- Watching, Pid =:= whereis(ecto_litefs)].
