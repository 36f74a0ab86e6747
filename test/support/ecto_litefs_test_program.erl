%% The port programs of this VM, seen from outside; and other programs in the
%% place of ours.
-module(ecto_litefs_test_program).

-export([pid/1]).
-export([descriptors/1]).
-export([children/0]).
-export([parent/1]).
-export([is_alive/1]).

%% Signals, without a process for each.
-export([start_killer/0]).
-export([signal/3]).
-export([stop_killer/1]).

-export([install/2]).
-export([uninstall/1]).

-type os_pid() :: non_neg_integer().
-type killer() :: port().

%% The program of a port server, none where it has none.
-spec pid(pid()) -> os_pid() | none.
pid(Server) ->
    Pids = [erlang:port_info(Port, os_pid)
            || Port <- erlang:ports(),
               erlang:port_info(Port, connected) =:= {connected, Server}],
    case Pids of
        [{os_pid, Pid}] -> Pid;
        [undefined] -> none; % its end is on its way to the server
        [] -> none
    end.

%% What it has open beside 0, 1 and 2.
-spec descriptors(os_pid()) -> [file:filename()].
descriptors(Pid) ->
    Directory = proc(Pid, "fd"),
    {ok, Names} = file:list_dir(Directory),
    [Target || Name <- Names, list_to_integer(Name) > 2,
               {ok, Target} <-
                   [file:read_link_all(filename:join(Directory, Name))]].

%% The processes that this VM has started and that have not gone, zombies
%% among them.
-spec children() -> [os_pid()].
children() ->
    Parents = parents(),
    Self = list_to_integer(os:getpid()),
    Setup = [Pid || {Pid, Parent} <- Parents, Parent =:= Self],
    lists:sort([Pid || {Pid, Parent} <- Parents, lists:member(Parent, Setup)]).

parents() ->
    {ok, Names} = file:list_dir("/proc"),
    [{Pid, Parent} || Name <- Names, {Pid, []} <- [string:to_integer(Name)],
                      Parent <- parent(Pid)].

-spec parent(os_pid()) -> [os_pid()].
%% /proc/pid/stat: "pid (name) state parent ...", and a name may be anything.
parent(Pid) ->
    case file:read_file(proc(Pid, "stat")) of
        {ok, Stat} ->
            [_, Rest] = string:split(Stat, <<") ">>, trailing),
            [_State, Parent | _] = string:lexemes(Rest, " "),
            [binary_to_integer(Parent)];
        {error, _Gone} ->
            []
    end.

-spec is_alive(os_pid()) -> boolean().
is_alive(Pid) ->
    filelib:is_dir(proc(Pid, "")).

proc(Pid, Name) ->
    filename:join(["/proc", integer_to_list(Pid), Name]).

%% -- signals -----------------------------------------------------------------

%% Of the calling process.
-spec start_killer() -> killer().
start_killer() ->
    open_port({spawn_executable, "/bin/sh"}, [{line, 80}, stderr_to_stdout]).

%% Returns when it has been sent; false where there is no such process.
-spec signal(killer(), string(), os_pid()) -> boolean().
signal(Killer, Signal, Pid) ->
    true = port_command(Killer, io_lib:format(
                                  "kill -~s ~b 2>/dev/null; echo $?~n",
                                  [Signal, Pid])),
    receive {Killer, {data, {eol, Status}}} -> Status =:= "0" end.

-spec stop_killer(killer()) -> true.
stop_killer(Killer) ->
    port_close(Killer).

%% -- another program ---------------------------------------------------------

%% A shell script, or none, in the place of the program for all that are
%% started from now on. Takes a new directory.
-spec install(file:filename(), string() | none) -> file:filename().
install(Directory, Script) ->
    Application = filename:join(Directory, "ecto_litefs"),
    Program = filename:join([Application, "priv", "ecto_litefs_port"]),
    Ebin = filename:join(Application, "ebin"),
    ok = filelib:ensure_dir(Program),
    ok = filelib:ensure_path(Ebin),
    _ = file:delete(Program),
    case Script of
        none -> ok;
        _ ->
            ok = file:write_file(Program, ["#!/bin/sh\n", Script, "\n"]),
            ok = file:change_mode(Program, 8#755)
    end,
    true = code:add_patha(Ebin),
    Ebin.

-spec uninstall(file:filename()) -> ok.
uninstall(Ebin) ->
    true = code:del_path(Ebin),
    ok.
