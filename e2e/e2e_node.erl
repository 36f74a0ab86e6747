%% What a BEAM peer of a test runs: the stand-in Repo on a database in the
%% LiteFS mount, and EctoLiteFS.Supervisor after it, as an application would
%% start them. All functions are called on the peer.
-module(e2e_node).
-behaviour(supervisor).

-export([create_table/2]).
-export([start/1]).
-export([restart_supervisor/1]).
-export([add_supervisors/1]).
-export([add_supervisors/2]).
-export([renew_supervisors/2]).
-export([init/1]).
-export([changeset/1]).
-export([stamped/1]).
-export([stamp/1]).
-export([insert/1]).
-export([insert_pair/1]).
-export([pair/1]).
-export([timed/3]).
-export([traced/2]).
-export([hold/1]).
-export([held/0]).
-export([release/0]).
-export([insert_at_once/2]).
-export([count/0]).
-export([write_until/2]).
-export([write_every/3]).
-export([isolate/2]).
-export([reconnect/2]).
-export([scheduler_delays_us/2]).
-export([threads/0]).
-export([watch_events/0]).
-export([events/0]).

-export_type([options/0]).
-export_type([timed/0]).

-type options() :: #{repo := module(),
                     pool := map(),
                     database := file:filename(),
                     supervisor := [{atom(), term()}]}.
-type timed() :: {returned, term(), From :: integer(), To :: integer()}
               | {raised, term(), From :: integer(), To :: integer()}.

-define(TABLE_REPO, 'Elixir.TestRepo').
-define(BUSY_TIMEOUT, 2000). % as ecto_sqlite3
-define(HELD, e2e_held).
-define(WATCH, e2e_events).
-define(SUPERVISOR, 'Elixir.EctoLiteFS.Supervisor').

%% By a Repo of its own, because only the first primary may do it.
-spec create_table(file:filename(), wal | delete) -> ok.
create_table(Database, JournalMode) ->
    {ok, _Pid} = ecto_litefs_test_repo:start(
                   ?TABLE_REPO, #{database => Database,
                                  journal_mode => JournalMode}),
    ok = ecto_litefs_test_repo:create_table(?TABLE_REPO),
    ecto_litefs_test_repo:stop(?TABLE_REPO).

-spec start(options()) -> ok.
start(Options) ->
    ok = load_all(),
    ok = persistent_term:put({?MODULE, options}, Options),
    {ok, _Started} = application:ensure_all_started(ecto_litefs),
    #{repo := Repo, database := Database} = Options,
    ok = application:set_env(ecto_litefs, Repo, [{database, Database}]),
    {ok, Pid} = supervisor:start_link({local, ?MODULE}, ?MODULE, Options),
    true = unlink(Pid),
    ok.

%% As in a release, where no code is loaded in the middle of a failover.
load_all() ->
    Dirs = [Dir || Dir <- code:get_path(),
                   string:prefix(Dir, code:lib_dir()) =:= nomatch],
    Beams = [Beam || Dir <- Dirs,
                     Beam <- filelib:wildcard(filename:join(Dir, "*.beam"))],
    code:ensure_modules_loaded(
      [list_to_atom(filename:basename(Beam, ".beam")) || Beam <- Beams]
      ++ [erpc, sqlite3, sqlite3_lib]).

-spec init(options()) ->
          {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init(#{repo := Module, pool := Given, database := Database,
       supervisor := Options}) ->
    Pool = Given#{database => Database, busy_timeout => ?BUSY_TIMEOUT},
    Repo = #{id => repo,
             start => {ecto_litefs_test_repo, start_link, [Module, Pool]}},
    {ok, {#{strategy => rest_for_one}, [Repo, child_spec(Options)]}}.

child_spec(Options) ->
    Spec = ?SUPERVISOR:child_spec([{repo, repo()} | Options]),
    Spec#{id => litefs}.

repo() ->
    #{repo := Repo} = persistent_term:get({?MODULE, options}),
    Repo.

%% With these options instead of those that it had.
-spec restart_supervisor([{atom(), term()}]) -> ok.
restart_supervisor(Options) ->
    ok = supervisor:terminate_child(?MODULE, litefs),
    ok = supervisor:delete_child(?MODULE, litefs),
    {ok, _Pid} = supervisor:start_child(?MODULE, child_spec(Options)),
    ok.

%% Repos on the same directory, whose modules need not exist.
-spec add_supervisors([module()]) -> ok.
add_supervisors(Repos) ->
    add_supervisors(Repos, []).

%% With further options.
-spec add_supervisors([module()], [{atom(), term()}]) -> ok.
add_supervisors(Repos, Further) ->
    #{supervisor := Options} = persistent_term:get({?MODULE, options}),
    lists:foreach(fun(Repo) ->
        {ok, Pid} = ?SUPERVISOR:start_link([{repo, Repo} | Further ++ Options]),
        true = unlink(Pid)
    end, Repos).

%% All at once, each so often; how many restarts that were.
-spec renew_supervisors([module()], pos_integer()) -> non_neg_integer().
renew_supervisors(Repos, Count) ->
    Renewals = [spawn_monitor(fun() -> renew(Repo, Count) end)
                || Repo <- Repos],
    lists:sum([receive {'DOWN', Ref, process, Pid, {renewed, N}} -> N end
               || {Pid, Ref} <- Renewals]).

renew(Repo, Count) ->
    _ = [renew(Repo) || _ <- lists:seq(1, Count)],
    exit({renewed, Count}).

renew(Repo) ->
    ok = gen_server:stop(?SUPERVISOR:supervisor_name(Repo), shutdown, infinity),
    add_supervisors([Repo]).

-spec changeset(binary()) -> ecto_litefs_test_item:changeset().
changeset(Name) ->
    ecto_litefs_test_item:changeset(ecto_litefs_test_item:new(),
                                    #{name => Name}).

%% Where it is written shows in the row: its value is the node's number.
-spec stamped(binary()) -> ecto_litefs_test_item:changeset().
stamped(Name) ->
    ecto_litefs_test_item:prepare_changes(changeset(Name), fun ?MODULE:stamp/1).

-spec stamp(ecto_litefs_test_item:changeset()) ->
          ecto_litefs_test_item:changeset().
stamp(Changeset = #{changes := Changes}) ->
    [_Name, "127.0.0." ++ Number] = string:lexemes(atom_to_list(node()), "@"),
    Changeset#{changes := Changes#{value => list_to_integer(Number)}}.

-spec insert(binary()) -> {ok, ecto_litefs_test_item:item()} | {error, term()}.
insert(Name) ->
    (repo()):insert(stamped(Name)).

%% Both of them, or neither.
-spec insert_pair(binary()) -> {ok, ecto_litefs_test_item:item()}.
insert_pair(Name) ->
    Repo = repo(),
    Repo:transaction(fun() ->
        [{ok, Item} | _] = [Repo:insert(stamped(Row)) || Row <- pair(Name)],
        Item
    end).

-spec pair(binary()) -> [binary()].
pair(Name) ->
    [<<Name/binary, "/", N>> || N <- "12"].

%% The times are e2e_wait:us/0, which all processes of this machine share.
-spec timed(module(), atom(), [term()]) -> timed().
timed(Module, Function, Args) ->
    From = e2e_wait:us(),
    try apply(Module, Function, Args) of
        Value -> {returned, Value, From, e2e_wait:us()}
    catch
        error:Reason -> {raised, Reason, From, e2e_wait:us()}
    end.

%% How a function of the Repo ends, the nodes to which it was forwarded, and
%% what a node said that was asked what became of the call.
-spec traced(atom(), [term()]) -> {timed(), [node() | {claim, atom()}]}.
traced(Function, Args) ->
    {Timed, Events} =
        telemetry:record(fun() -> timed(repo(), Function, Args) end),
    {Timed, lists:append([step(Event) || Event <- Events])}.

step({[ecto_litefs, forward, start], _, #{primary_node := Node}}) -> [Node];
step({[ecto_litefs, forward, claim], _, #{result := Said}}) -> [{claim, Said}];
step(_Event) -> [].

%% Keeps the calling process back until release/0, if it runs on this node.
-spec hold(node()) -> ok.
hold(Node) when Node =:= node() ->
    true = register(?HELD, self()),
    receive release -> true = unregister(?HELD), ok
    after 20000 -> error(not_released)
    end;
hold(_Elsewhere) ->
    ok.

-spec held() -> boolean().
held() ->
    whereis(?HELD) =/= undefined.

-spec release() -> ok.
release() ->
    ?HELD ! release,
    ok.

%% So many processes at once, and each inserts so many rows.
-spec insert_at_once(pos_integer(), pos_integer()) -> [timed()].
insert_at_once(Processes, Each) ->
    Monitors = [spawn_monitor(fun() ->
                    exit({inserted, insert_some(P, Each)})
                end) || P <- lists:seq(1, Processes)],
    lists:append([receive {'DOWN', Ref, process, Pid, {inserted, Rows}} -> Rows
                  end || {Pid, Ref} <- Monitors]).

insert_some(Process, Count) ->
    [timed(?MODULE, insert, [iolist_to_binary(io_lib:format("~b ~b",
                                                            [Process, N]))])
     || N <- lists:seq(1, Count)].

%% The rows that this node has.
-spec count() -> non_neg_integer().
count() ->
    [_Columns, {rows, [{Count}]}] =
        ecto_litefs_test_repo:sql(repo(), "SELECT count(*) FROM items", []),
    Count.

%% Inserts one row after the other, `Prefix 1`, `Prefix 2`, ..., until told by a
%% file that it is enough, and returns how each of them ended.
-spec write_until(file:filename(), string()) -> [{binary(), timed()}].
write_until(StopFile, Prefix) ->
    write_until(StopFile, Prefix, 1, []).

write_until(StopFile, Prefix, N, Written) ->
    Name = iolist_to_binary(io_lib:format("~s ~b", [Prefix, N])),
    Row = {Name, timed(?MODULE, insert, [Name])},
    case filelib:is_file(StopFile) of
        true -> lists:reverse(Written, [Row]);
        false -> write_until(StopFile, Prefix, N + 1, [Row | Written])
    end.

%% The same, but each row in a process of its own, one after so many ms: what
%% hangs does not keep back what sets out later.
-spec write_every(pos_integer(), file:filename(), string()) ->
          [{binary(), timed()}].
write_every(Ms, StopFile, Prefix) ->
    Writes = spawn_writes(Ms, StopFile, Prefix, 1),
    [receive {'DOWN', Monitor, process, Pid, {written, Row}} -> Row end
     || {Pid, Monitor} <- Writes].

spawn_writes(Ms, StopFile, Prefix, N) ->
    Name = iolist_to_binary(io_lib:format("~s ~b", [Prefix, N])),
    Write = spawn_monitor(fun() ->
        exit({written, {Name, timed(?MODULE, insert, [Name])}})
    end),
    timer:sleep(Ms),
    case filelib:is_file(StopFile) of
        true -> [Write];
        false -> [Write | spawn_writes(Ms, StopFile, Prefix, N + 1)]
    end.

%% Cuts the distribution to these nodes, until reconnect/2.
-spec isolate([node()], term()) -> ok.
isolate(Nodes, WrongCookie) ->
    _ = [true = erlang:set_cookie(Node, WrongCookie) || Node <- Nodes],
    _ = [erlang:disconnect_node(Node) || Node <- Nodes],
    ok.

-spec reconnect([node()], atom()) -> ok.
reconnect(Nodes, Cookie) ->
    _ = [true = erlang:set_cookie(Node, Cookie) || Node <- Nodes],
    _ = [net_kernel:connect_node(Node) || Node <- Nodes],
    ok.

%% The slowest scheduler's answer to a message, so often, with these pauses
%% in between. Each is the best of three: this machine has other work.
-spec scheduler_delays_us(pos_integer(), pos_integer()) -> [integer()].
scheduler_delays_us(Count, PauseMs) ->
    [begin
         timer:sleep(PauseMs),
         lists:min([slowest_scheduler() || _ <- [1, 2, 3]])
     end || _ <- lists:seq(1, Count)].

slowest_scheduler() ->
    lists:max([answer_us(N)
               || N <- lists:seq(1, erlang:system_info(schedulers_online))]).

answer_us(Scheduler) ->
    Self = self(),
    From = e2e_wait:us(),
    Pid = spawn_opt(fun() -> Self ! {self(), e2e_wait:us()} end,
                    [{scheduler, Scheduler}]),
    receive {Pid, To} -> To - From end.

%% Of this operating-system process.
-spec threads() -> non_neg_integer().
threads() ->
    {ok, Tasks} = file:list_dir("/proc/self/task"),
    length(Tasks).

%% From now on the telemetry events of all processes of this node are kept.
-spec watch_events() -> ok.
watch_events() ->
    Watch = spawn(fun() -> watch([]) end),
    true = register(?WATCH, Watch),
    telemetry:send_to(Watch).

watch(Events) ->
    receive
        {telemetry, Name, Measurements, Metadata} ->
            watch([{Name, Measurements, Metadata} | Events]);
        {events, From, Ref} ->
            From ! {Ref, lists:reverse(Events)},
            watch(Events)
    end.

%% The oldest one first.
-spec events() -> [{[atom()], map(), map()}].
events() ->
    Ref = make_ref(),
    ?WATCH ! {events, self(), Ref},
    receive {Ref, Events} -> Events end.
