%% The port program of a Repo on a BEAM node, and its end. Its parent is the
%% process that starts all others for the VM, so only the VM knows which it is.
-module(e2e_port).

-export([program/3]).
-export([kill/3]).

%% Called on the node.
-export([program/1]).
-export([kill_until/2]).

-define(PROGRAM, ecto_litefs_test_program).
-define(PAUSE_MS, 50).       % at random, at most

%% none: nobody has asked it for anything yet, or it has just ended.
-spec program(e2e_cluster:cluster(), litefs_cluster:name(), module()) ->
          non_neg_integer() | none.
program(Cluster, Name, Repo) ->
    e2e_cluster:call(Cluster, Name, ?MODULE, {program, [Repo]}).

%% There has to be one.
-spec kill(e2e_cluster:cluster(), litefs_cluster:name(), module()) -> ok.
kill(Cluster, Name, Repo) ->
    Pid = program(Cluster, Name, Repo),
    "" = os:cmd("kill -KILL " ++ integer_to_list(Pid)),
    ok.

%% Each program soon after it was started, until told by a file that it is
%% enough; how many that were.
-spec kill_until(module(), file:filename()) -> non_neg_integer().
kill_until(Repo, StopFile) ->
    Killer = ?PROGRAM:start_killer(),
    Killed = kill_until(Repo, StopFile, Killer, none, 0),
    true = ?PROGRAM:stop_killer(Killer),
    Killed.

kill_until(Repo, StopFile, Killer, Last, Killed) ->
    timer:sleep(rand:uniform(?PAUSE_MS)),
    {Pid, Count} = kill_next(program(Repo), Last, Killer),
    case filelib:is_file(StopFile) of
        true -> Killed + Count;
        false -> kill_until(Repo, StopFile, Killer, Pid, Killed + Count)
    end.

-spec program(module()) -> non_neg_integer() | none.
program(Repo) ->
    case whereis(server(Repo)) of
        undefined -> none;
        Server -> ?PROGRAM:pid(Server)
    end.

%% 0: it is being started. The VM may not have heard yet that the last one is
%% gone.
kill_next(none, Last, _Killer) ->
    {Last, 0};
kill_next(0, Last, _Killer) ->
    {Last, 0};
kill_next(Last, Last, _Killer) ->
    {Last, 0};
kill_next(Pid, _Last, Killer) ->
    case ?PROGRAM:signal(Killer, "KILL", Pid) of
        true -> {Pid, 1};
        false -> {Pid, 0}
    end.

server(Repo) ->
    ecto_litefs_name:of_repo('Elixir.EctoLiteFS.Port', Repo).
