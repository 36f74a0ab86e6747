%% Three LiteFS nodes with a BEAM peer on each.
%%
%% The peers are distributed among themselves only: each listens on a loopback
%% address of its own, all on one port, so that no epmd is needed.
-module(e2e_cluster).

-export([skip_unless_possible/1]).
-export([start/1]).
-export([destroy/1]).
-export([litefs/1]).
-export([litefs/2]).
-export([erlang_node/2]).
-export([number/1]).
-export([database/2]).
-export([call/4]).
-export([call/5]).
-export([repo/4]).
-export([traced/4]).
-export([start_repo/2]).
-export([start_repo/3]).
-export([restart_supervisor/3]).
-export([connect/1]).
-export([stop_beam/3]).
-export([restart_beam/2]).
-export([exit_status/2]).
-export([open_files/2]).
-export([insert/3]).
-export([rows/2]).
-export([await_row/3]).
-export([await_rows/2]).
-export([role/2]).
-export([await_role/3]).
-export([await_roles/2]).
-export([await_term/2]).
-export([freeze_beam/2]).
-export([thaw_beam/2]).
-export([isolate/2]).
-export([reconnect/2]).
-export([in_background/1]).
-export([await/2]).

-export_type([cluster/0]).
-export_type([options/0]).

-type name() :: litefs_cluster:name().
-type options() :: #{log_dir := file:filename(),
                     litefs => map(),
                     journal_mode => wal | delete,
                     supervisor => [{atom(), term()}],
                     repo => module(),
                     pool => map(), % options of it
                     repos => [name()]}.
-opaque cluster() :: #{litefs := litefs_cluster:cluster(),
                       peers := #{name() => e2e_peer:peer()},
                       options := options()}.

-define(REPO, 'Elixir.TestRepo'). % where the options say no other one
-define(COOKIE, ecto_litefs_e2e).
-define(CALL_MS, 30000).

%% For init_per_suite/1. In CI nothing may be skipped.
-spec skip_unless_possible(Config) -> Config | {skip, string()}.
skip_unless_possible(Config) ->
    case {litefs_node:available(), os:getenv("CI")} of
        {{ok, _Binary}, _} -> Config;
        {{error, Why}, false} -> {skip, "e2e cannot run: " ++ Why};
        {{error, Why}, _CI} -> ct:fail("CI must not skip e2e: ~s", [Why])
    end.

%% `a` is primary, the table exists, and `repos` (default: all) run a Repo that
%% has opened its database, as a pool does.
-spec start(options()) -> cluster().
start(Options = #{log_dir := LogDir}) ->
    LiteFS = litefs_cluster:start((maps:get(litefs, Options, #{}))
                                  #{log_dir => LogDir}),
    Cluster = #{litefs => LiteFS, peers => #{}, options => Options},
    try start_peers(Cluster) of
        WithPeers -> start_repos(WithPeers)
    catch
        Class:Reason:Stack ->
            ok = litefs_cluster:destroy(LiteFS),
            erlang:raise(Class, Reason, Stack)
    end.

start_repos(Cluster = #{options := Options}) ->
    Names = maps:get(repos, Options, litefs_cluster:names()),
    try
        ok = create_table(Cluster),
        _ = [ok = start_repo(Cluster, Name) || Name <- Names],
        ok = connect(Cluster),
        ok = await_roles(Cluster, [{Name, first_role(Name)} || Name <- Names]),
        ok = e2e_database:await_position(Cluster), % the tracking row's, too
        _ = [#{} = rows(Cluster, Name) || Name <- Names],
        Cluster
    catch
        Class:Reason:Stack ->
            ok = destroy(Cluster),
            erlang:raise(Class, Reason, Stack)
    end.

first_role(a) -> primary;
first_role(_Other) -> replica.

-spec destroy(cluster()) -> ok.
destroy(#{litefs := LiteFS, peers := Peers}) ->
    Running = [e2e_peer:current(Peer) || Peer <- maps:values(Peers)],
    _ = [ok = e2e_peer:kill(Peer) || Peer <- Running],
    ok = litefs_cluster:destroy(LiteFS),
    _ = [ok = e2e_peer:await_end(Peer) || Peer <- Running],
    ok.

-spec litefs(cluster()) -> litefs_cluster:cluster().
litefs(#{litefs := LiteFS}) ->
    LiteFS.

-spec litefs(cluster(), name()) -> pid().
litefs(#{litefs := LiteFS}, Name) ->
    litefs_cluster:node(LiteFS, Name).

-spec erlang_node(cluster(), name()) -> node().
erlang_node(Cluster, Name) ->
    e2e_peer:erlang_node(peer(Cluster, Name)).

%% What a row has as its value that was written there.
-spec number(name()) -> 1..3.
number(a) -> 1;
number(b) -> 2;
number(c) -> 3.

mount_dir(Cluster, Name) ->
    litefs_node:mount_dir(litefs(Cluster, Name)).

%% On the peer, in a process of its own.
-spec call(cluster(), name(), module(), {atom(), [term()]}) -> term().
call(Cluster, Name, Module, {Function, Args}) ->
    call(Cluster, Name, Module, {Function, Args}, ?CALL_MS).

-spec call(cluster(), name(), module(), {atom(), [term()]}, timeout()) ->
          term().
call(Cluster, Name, Module, {Function, Args}, Timeout) ->
    e2e_peer:call(peer(Cluster, Name), Module, Function, Args, Timeout).

peer(#{peers := Peers}, Name) ->
    e2e_peer:current(maps:get(Name, Peers)).

%% A function of the Repo, on that peer: what it answers, or what it raises.
-spec repo(cluster(), name(), atom(), [term()]) ->
          {returned, term()} | {raised, term()}.
repo(Cluster, Name, Function, Args) ->
    Timed = {timed, [module(Cluster), Function, Args]},
    {How, What, _From, _To} = call(Cluster, Name, e2e_node, Timed, 60000),
    {How, What}.

%% The same, with the names of the nodes to which it was forwarded, one for each
%% attempt, and what these said when they were asked what became of it.
-spec traced(cluster(), name(), atom(), [term()]) ->
          {{returned, term()} | {raised, term()}, [name() | {claim, atom()}]}.
traced(Cluster, Name, Function, Args) ->
    {{How, What, _From, _To}, Steps} =
        call(Cluster, Name, e2e_node, {traced, [Function, Args]}, 60000),
    Names = maps:from_list([{erlang_node(Cluster, N), N}
                            || N <- litefs_cluster:names()]),
    {{How, What}, [maps:get(Step, Names, Step) || Step <- Steps]}.

module(#{options := Options}) ->
    maps:get(repo, Options, ?REPO).

-spec start_repo(cluster(), name()) -> ok.
start_repo(Cluster = #{options := Options}, Name) ->
    start_repo(Cluster, Name, maps:get(supervisor, Options, [])).

%% The options are added to those that say where LiteFS is, or replace them.
-spec start_repo(cluster(), name(), [{atom(), term()}]) -> ok.
start_repo(Cluster = #{options := Given}, Name, Options) ->
    call(Cluster, Name, e2e_node,
         {start, [#{repo => module(Cluster),
                    pool => maps:get(pool, Given, #{}),
                    database => database(Cluster, Name),
                    supervisor => supervisor(Cluster, Name, Options)}]}).

-spec restart_supervisor(cluster(), name(), [{atom(), term()}]) -> ok.
restart_supervisor(Cluster, Name, Options) ->
    call(Cluster, Name, e2e_node,
         {restart_supervisor, [supervisor(Cluster, Name, Options)]}).

supervisor(Cluster, Name, Options) ->
    Port = litefs_node:port(litefs(Cluster, Name)),
    Url = lists:concat(["http://127.0.0.1:", Port, "/events"]),
    File = filename:join(mount_dir(Cluster, Name), ".primary"),
    Where = [{primary_file, list_to_binary(File)},
             {event_stream_url, list_to_binary(Url)}, {mount, required}],
    Where ++ Options. % of two the last counts

-spec database(cluster(), name()) -> file:filename().
database(Cluster, Name) ->
    filename:join(mount_dir(Cluster, Name), "app.db").

%% A row whose value is the number of the node that wrote it: 1, 2 or 3.
-spec insert(cluster(), name(), binary()) ->
          {ok, ecto_litefs_test_item:item()} | {error, term()}.
insert(Cluster, Name, Row) ->
    call(Cluster, Name, e2e_node, {insert, [Row]}).

-spec rows(cluster(), name()) -> #{binary() => integer() | null}.
rows(Cluster, Name) ->
    maps:from_list(call(Cluster, Name, ecto_litefs_test_repo,
                        {rows, [module(Cluster)]})).

%% Until this node has the row; its value.
-spec await_row(cluster(), name(), binary()) -> integer() | null.
await_row(Cluster, Name, Row) ->
    {value, Value} = e2e_wait:until("the row is on the node", fun() ->
        case rows(Cluster, Name) of
            #{Row := Value} -> {ok, {value, Value}};
            Rows -> {on, Name, maps:keys(Rows)}
        end
    end),
    Value.

%% Until all three nodes have these rows, and no other ones.
-spec await_rows(cluster(), [binary()]) -> ok.
await_rows(Cluster, Rows) ->
    _ = [e2e_wait:until("the node has these rows", fun() ->
             Seen = lists:sort(maps:keys(rows(Cluster, Name))),
             Seen =:= lists:sort(Rows) orelse {on, Name, Seen}
         end) || Name <- litefs_cluster:names()],
    ok.

-spec role(cluster(), name()) -> ecto_litefs_nif:role().
role(Cluster, Name) ->
    call(Cluster, Name, ecto_litefs_status, {role, [module(Cluster)]}).

-spec await_role(cluster(), name(), ecto_litefs_nif:role()) -> ok.
await_role(Cluster, Name, Role) ->
    await_roles(Cluster, [{Name, Role}]).

-spec await_roles(cluster(), [{name(), ecto_litefs_nif:role()}]) -> ok.
await_roles(Cluster, Roles) ->
    true = e2e_wait:until("the nodes know their roles", fun() ->
        Seen = [{Name, role(Cluster, Name)} || {Name, _Role} <- Roles],
        Seen =:= Roles orelse Seen
    end),
    _ = [await_term(Cluster, Name) || {Name, primary} <- Roles],
    ok.

%% Until a primary has written its tracking row, if it can.
-spec await_term(cluster(), name()) -> {ok, non_neg_integer()} | none.
await_term(Cluster, Name) ->
    call(Cluster, Name, ecto_litefs_tracking,
         {await_term, [module(Cluster), 5000]}).

%% The files below its mount that this peer has open.
-spec open_files(cluster(), name()) -> [file:filename()].
open_files(Cluster, Name) ->
    Dir = lists:concat(["/proc/", e2e_peer:os_pid(peer(Cluster, Name)), "/fd"]),
    {ok, Descriptors} = file:list_dir(Dir),
    Targets = [file:read_link(filename:join(Dir, D)) || D <- Descriptors],
    Mount = mount_dir(Cluster, Name),
    [Target || {ok, Target} <- Targets,
               string:prefix(Target, Mount) =/= nomatch].

%%% Faults

-spec freeze_beam(cluster(), name()) -> ok.
freeze_beam(Cluster, Name) ->
    e2e_peer:freeze(peer(Cluster, Name)).

-spec thaw_beam(cluster(), name()) -> ok.
thaw_beam(Cluster, Name) ->
    e2e_peer:thaw(peer(Cluster, Name)).

%% init:stop/0, and the operating-system process is gone in time.
-spec stop_beam(cluster(), name(), pos_integer()) -> ok.
stop_beam(Cluster, Name, TimeoutMs) ->
    OsPid = e2e_peer:os_pid(peer(Cluster, Name)),
    ok = call(Cluster, Name, init, {stop, []}),
    true = e2e_wait:until("the VM has ended", TimeoutMs, fun() ->
        not filelib:is_dir("/proc/" ++ OsPid)
    end),
    ok.

%% The VM is killed and begins anew, with its Repo, under a LiteFS that goes on.
-spec restart_beam(cluster(), name()) -> ok.
restart_beam(Cluster, Name) ->
    ok = e2e_peer:restart(peer(Cluster, Name)),
    ok = start_repo(Cluster, Name),
    connect(Cluster).

%% Of its VM.
-spec exit_status(cluster(), name()) -> running | non_neg_integer().
exit_status(Cluster, Name) ->
    e2e_peer:exit_status(peer(Cluster, Name)).

%% Cuts the distribution between this peer and the others, both ways.
-spec isolate(cluster(), name()) -> ok.
isolate(Cluster, Name) ->
    Others = others(Name),
    Node = erlang_node(Cluster, Name),
    _ = [ok = call(Cluster, Other, e2e_node, {isolate, [[Node], no]})
         || Other <- Others],
    call(Cluster, Name, e2e_node,
         {isolate, [[erlang_node(Cluster, Other) || Other <- Others], away]}).

-spec reconnect(cluster(), name()) -> ok.
reconnect(Cluster, Name) ->
    Others = others(Name),
    Node = erlang_node(Cluster, Name),
    Nodes = [erlang_node(Cluster, Other) || Other <- Others],
    Cookie = fun(Peer, Of) -> call(Cluster, Peer, erlang,
                                   {set_cookie, [Of, ?COOKIE]}) end,
    _ = [true = Cookie(Other, Node) || Other <- Others],
    call(Cluster, Name, e2e_node, {reconnect, [Nodes, ?COOKIE]}).

others(Name) ->
    lists:delete(Name, litefs_cluster:names()).

%%% Work that goes on while the test does something else

-spec in_background(fun(() -> Result)) -> {pid(), reference(), Result}
              when Result :: term().
in_background(Fun) ->
    Tag = make_ref(),
    {Pid, Monitor} = spawn_monitor(fun() -> exit({Tag, Fun()}) end),
    {Pid, Monitor, Tag}.

-spec await({pid(), reference(), term()}, timeout()) -> term().
await({Pid, Monitor, Tag}, Timeout) ->
    receive
        {'DOWN', Monitor, process, Pid, {Tag, Result}} -> Result;
        {'DOWN', Monitor, process, Pid, Reason} -> error(Reason)
    after Timeout ->
        error({no_result_within_ms, Timeout})
    end.

%%% Start

start_peers(Cluster = #{options := #{log_dir := LogDir}}) ->
    [Port] = litefs_node:free_ports(1),
    Numbered = lists:zip(litefs_cluster:names(), [1, 2, 3]),
    Started = [in_background(fun() ->
                   {Name, start_peer(Name, Number, Port, LogDir)}
               end) || {Name, Number} <- Numbered],
    Cluster#{peers := maps:from_list([await(S, 30000) || S <- Started])}.

start_peer(Name, Number, Port, LogDir) ->
    Address = lists:concat(["127.0.0.", Number]),
    Log = filename:join(LogDir, lists:concat(["beam_", Name, ".log"])),
    Logger = io_lib:format("[{handler,default,logger_std_h,"
                           "#{config=>#{file=>~p},filter_default=>log,"
                           "filters=>[]}}]", [Log]),
    Interface = io_lib:format("{127,0,0,~b}", [Number]),
    Args = ["-setcookie", atom_to_list(?COOKIE), "-start_epmd", "false",
            "-erl_epmd_port", integer_to_list(Port),
            "-kernel", "inet_dist_use_interface", lists:flatten(Interface),
            "-kernel", "logger", lists:flatten(Logger) | code_path()],
    e2e_peer:start(atom_to_list(Name), Address, Args,
                   filename:rootname(Log) ++ ".status").

code_path() ->
    Otp = code:lib_dir(),
    Ours = [filename:absname(Dir) || Dir <- code:get_path(),
            string:prefix(Dir, Otp) =:= nomatch],
    ["-pa" | Ours].

%% All of them with each other.
-spec connect(cluster()) -> ok.
connect(Cluster) ->
    Names = litefs_cluster:names(),
    _ = [true = call(Cluster, Name, net_kernel,
                     {connect_node, [erlang_node(Cluster, Other)]})
         || Name <- Names, Other <- Names],
    ok.

create_table(Cluster = #{options := Options}) ->
    Mode = maps:get(journal_mode, Options, wal),
    ok = call(Cluster, a, e2e_node, {create_table, [database(Cluster, a),
                                                    Mode]}),
    _ = [e2e_wait:until("the database is on every node", fun() ->
             filelib:is_regular(database(Cluster, Name))
         end) || Name <- litefs_cluster:names()],
    ok.
