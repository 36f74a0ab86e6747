%% How much memory does one more Repo take?
-module(bench_memory).

-export([per_repo_kib/2]).
-export([add/1]).
-export([resident_kib/0]).

-define(WARM_UP, 5). % they bring what all share: code, libraries, arenas

%% By adding Count of them to one node. Another node, which gets none, tells
%% what would have come and gone without them.
-spec per_repo_kib(e2e_cluster:cluster(), pos_integer()) -> float().
per_repo_kib(Cluster, Count) ->
    Resident = fun() -> [call(Cluster, Node, {resident_kib, []})
                         || Node <- [c, b]] end,
    ok = call(Cluster, c, {add, [repos("Warm", ?WARM_UP)]}),
    [Before, ControlBefore] = Resident(),
    ok = call(Cluster, c, {add, [repos("Repo", Count)]}),
    [After, ControlAfter] = Resident(),
    (After - Before - (ControlAfter - ControlBefore)) / Count.

call(Cluster, Node, Function) ->
    e2e_cluster:call(Cluster, Node, ?MODULE, Function, 60000).

repos(Prefix, Count) ->
    [list_to_atom(lists:concat(["Elixir.", Prefix, N]))
     || N <- lists:seq(1, Count)].

%% Supervisors for these Repos, until all of them know their role.
-spec add([module()]) -> ok.
add(Repos) ->
    ok = e2e_node:add_supervisors(Repos),
    _ = [true = e2e_wait:until("it reads LiteFS's events",
                               fun() -> ready(Repo) end) || Repo <- Repos],
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
