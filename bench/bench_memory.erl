%% How much memory does one more Repo take?
-module(bench_memory).

-export([per_repo_kib/3]).
-export([add/2]).
-export([resident_kib/0]).
-export([programs_kib/1]).

-define(WARM_UP, 5). % they bring what all share: code, libraries, arenas
-define(PROGRAM_MS, 10000).

%% In the VM, and in the port program that it starts for each Repo. By adding
%% Count of them to one node. Another node, which gets none, tells what would
%% have come and gone without them.
-spec per_repo_kib(e2e_cluster:cluster(), module(), pos_integer()) ->
          {InVm :: float(), Program :: float()}.
per_repo_kib(Cluster, Known, Count) ->
    Resident = fun() -> [call(Cluster, Node, {resident_kib, []})
                         || Node <- [c, b]] end,
    Repos = repos("Repo", Count),
    ok = call(Cluster, c, {add, [Known, repos("Warm", ?WARM_UP)]}),
    [Before, ControlBefore] = Resident(),
    ok = call(Cluster, c, {add, [Known, Repos]}),
    [After, ControlAfter] = Resident(),
    {(After - Before - (ControlAfter - ControlBefore)) / Count,
     call(Cluster, c, {programs_kib, [Repos]}) / Count}.

call(Cluster, Node, Function) ->
    e2e_cluster:call(Cluster, Node, ?MODULE, Function, 60000).

repos(Prefix, Count) ->
    [list_to_atom(lists:concat(["Elixir.", Prefix, N]))
     || N <- lists:seq(1, Count)].

%% Supervisors for these Repos, with the database of a known one, until all of
%% them know their role and their programs have read the row.
-spec add(module(), [module()]) -> ok.
add(Known, Repos) ->
    {ok, Database} = ecto_litefs_database:path(#{repo => Known}),
    ok = e2e_node:add_supervisors(Repos, [{database, Database}]),
    _ = [begin
             true = e2e_wait:until("it reads LiteFS's events",
                                   fun() -> ready(Repo) end),
             {ok, _Row} = ecto_litefs_port:read_row(Repo, ?PROGRAM_MS)
         end || Repo <- Repos],
    ok.

ready(Repo) ->
    case ecto_litefs_status:snapshot(Repo) of
        #{stream := up, role := Role} when Role =/= unknown -> true;
        Snapshot -> Snapshot
    end.

%% Of this operating-system process, without garbage.
-spec resident_kib() -> non_neg_integer().
resident_kib() ->
    _ = [erlang:garbage_collect(Pid) || Pid <- processes()],
    {ok, Status} = file:read_file("/proc/self/status"),
    {match, [Kib]} = re:run(Status, "VmRSS:\\s+(\\d+) kB",
                            [{capture, [1], list}]),
    list_to_integer(Kib).

%% What each of their programs has for itself alone: all of them together have
%% one copy of the code.
-spec programs_kib([module()]) -> non_neg_integer().
programs_kib(Repos) ->
    lists:sum([private_kib(program(Repo)) || Repo <- Repos]).

program(Repo) ->
    Server = ecto_litefs_name:of_repo('Elixir.EctoLiteFS.Port', Repo),
    Pid = ecto_litefs_test_program:pid(whereis(Server)),
    true = is_integer(Pid),
    Pid.

private_kib(Pid) ->
    {ok, Memory} = file:read_file(["/proc/", integer_to_list(Pid),
                                   "/smaps_rollup"]),
    {match, Kib} = re:run(Memory, "Private_(?:Clean|Dirty):\\s+(\\d+) kB",
                          [global, {capture, [1], list}]),
    lists:sum([list_to_integer(Amount) || [Amount] <- Kib]).
