%% How often does a Repo wake the machine when nothing happens? Called on a
%% node whose Repo has a supervisor and a healthy stream.
-module(bench_idle).

-export([wakeups/2]).

%% Of one Repo, by whom.
-type wakeups() :: #{string() => non_neg_integer()}.

-define(VISIT_MS, 20).

%% In so many seconds: each time that a thread or a process of ours went on
%% after it had waited. The mount thread waits for each answer of FUSE too; all
%% that it does within 20 ms is one visit of LiteFS, and one wakeup.
-spec wakeups(module(), pos_integer()) -> wakeups().
wakeups(Repo, Seconds) ->
    timer:sleep(3000), % for what went on before
    Counter = spawn_link(fun() -> count(#{}) end),
    Processes = processes_of(Repo),
    _ = [1 = erlang:trace(Pid, true, [running, {tracer, Counter}])
         || Pid <- maps:keys(Processes)],
    Threads = threads(Seconds * 1000 div ?VISIT_MS),
    _ = [1 = erlang:trace(Pid, false, [running])
         || Pid <- maps:keys(Processes)],
    Scheduled = ask(Counter),
    maps:from_list(Threads ++ [{Name, maps:get(Pid, Scheduled, 0)}
                               || {Pid, Name} <- maps:to_list(Processes)]).

%% -- processes ---------------------------------------------------------------

%% How often each was scheduled in.
count(Counts) ->
    receive
        {trace, Pid, in, _Function} ->
            count(maps:update_with(Pid, fun(N) -> N + 1 end, 1, Counts));
        {trace, _Pid, out, _Function} ->
            count(Counts);
        {From, counts} ->
            From ! {self(), Counts}
    end.

ask(Counter) ->
    Counter ! {self(), counts},
    receive {Counter, Counts} -> Counts end.

%% The supervisor and its children.
processes_of(Repo) ->
    Top = whereis('Elixir.EctoLiteFS.Supervisor':supervisor_name(Repo)),
    Children = [Pid || {_Id, Pid, _Type, _Modules}
                           <- supervisor:which_children(Top), is_pid(Pid)],
    maps:from_list([{Pid, name(Pid)} || Pid <- [Top | Children]]).

name(Pid) ->
    case process_info(Pid, registered_name) of
        {registered_name, Name} -> atom_to_list(Name);
        [] -> pid_to_list(Pid)
    end.

%% -- threads -----------------------------------------------------------------

threads(Samples) ->
    {ok, Tasks} = file:list_dir("/proc/self/task"),
    Ours = [{Name, Task} || Task <- Tasks,
                            "litefs_" ++ _ = Name <- [name_of(Task)]],
    Counts = [{Name, Task, switches(Task), 0} || {Name, Task} <- Ours],
    [{Name ++ " " ++ Task, Wakeups}
     || {Name, Task, _Switches, Wakeups} <- sample(Samples, Counts)].

name_of(Task) ->
    {ok, Name} = file:read_file(["/proc/self/task/", Task, "/comm"]),
    string:trim(binary_to_list(Name)).

sample(0, Counts) ->
    Counts;
sample(Left, Counts) ->
    timer:sleep(?VISIT_MS),
    sample(Left - 1, [sample(Count) || Count <- Counts]).

sample({Name, Task, Before, Wakeups}) ->
    Switches = switches(Task),
    {Name, Task, Switches, Wakeups + wakeups_in(Name, Switches - Before)}.

wakeups_in("litefs_mount", Switches) -> min(Switches, 1);
wakeups_in(_Other, Switches) -> Switches.

%% How often it gave the processor away of its own will.
switches(Task) ->
    {ok, Status} = file:read_file(["/proc/self/task/", Task, "/status"]),
    {match, [Count]} = re:run(Status, "\nvoluntary_ctxt_switches:\\s+(\\d+)",
                              [{capture, [1], list}]),
    list_to_integer(Count).
