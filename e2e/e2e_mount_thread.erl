%% What a BEAM node asks of its LiteFS mount, seen from outside: all system calls
%% on it are made by one thread, and what it has open is in /proc.
-module(e2e_mount_thread).

-export([watch/2]).

-type seen() ::
        #{reads := non_neg_integer(),
          waits := non_neg_integer(),          % each round trip to LiteFS is one
          open := non_neg_integer()}.          % position files, at most

-define(NAME, <<"litefs_mount\n">>).

%% How often it read and waited within so many milliseconds.
-spec watch(OsPid :: string(), pos_integer()) -> seen().
watch(OsPid, Ms) ->
    Dir = thread(filename:join("/proc", OsPid)),
    {Reads, Waits} = counts(Dir),
    Open = sample(OsPid, e2e_wait:us() + Ms * 1000, 0),
    {ReadsThen, WaitsThen} = counts(Dir),
    #{reads => ReadsThen - Reads, waits => WaitsThen - Waits, open => Open}.

thread(Process) ->
    Tasks = filelib:wildcard(filename:join([Process, "task", "*"])),
    [Dir] = [Task || Task <- Tasks,
                     {ok, ?NAME} =:= file:read_file(filename:join(Task,
                                                                  "comm"))],
    Dir.

counts(Dir) ->
    {number(Dir, "io", "^syscr: (\\d+)"),
     number(Dir, "status", "^voluntary_ctxt_switches:\\s+(\\d+)")}.

number(Dir, File, Line) ->
    {ok, Text} = file:read_file(filename:join(Dir, File)),
    {match, [Number]} = re:run(Text, Line, [multiline,
                                            {capture, all_but_first, binary}]),
    binary_to_integer(Number).

sample(OsPid, End, Most) ->
    Now = max(Most, length(positions(OsPid))),
    case e2e_wait:us() < End of
        true ->
            timer:sleep(5),
            sample(OsPid, End, Now);
        false ->
            Now
    end.

positions(OsPid) ->
    Descriptors = filelib:wildcard(filename:join(["/proc", OsPid, "fd", "*"])),
    [Target || Descriptor <- Descriptors,
               {ok, Target} <- [file:read_link(Descriptor)],
               lists:suffix("-pos", Target)].
