%% A BEAM node under a test's hand: each step of an application's start is a
%% call, and the operating system's process can be stopped. The test's own
%% node need not be distributed.
%%
%%   A = ecto_litefs_test_peer:start(a),
%%   ok = ecto_litefs_test_peer:repo(A, 'Elixir.TestRepo', Directory),
%%   ok = ecto_litefs_test_peer:supervise(A, 'Elixir.TestRepo', Directory, []),
%%   {returned, {ok, _}, []} =
%%       ecto_litefs_test_peer:write(A, 'Elixir.TestRepo', insert, [Changeset]),
%%   ok = ecto_litefs_test_peer:stop(A).
-module(ecto_litefs_test_peer).

-export([start/1]).
-export([start/2]).
-export([restart/1]).
-export([stop/1]).
-export([kill/1]).
-export([freeze/1]).
-export([thaw/1]).
-export([node/1]).
-export([connect/1]).
-export([call/4]).
-export([repo/3]).
-export([supervise/4]).
-export([unsupervise/2]).
-export([write/4]).
-export([async/4]).
-export([await/1]).

%% Called on the peer.
-export([own/2]).
-export([release/1]).

-export_type([t/0]).
-export_type([options/0]).

-opaque t() :: #{peer := pid(), node := node(), os_pid := string(),
                 name := string(), options := options()}.

%% args: more of them for erl.
-type options() :: #{args => [string()]}.

-define(HOST, "127.0.0.1").
-define(TIMEOUT, 60000).

-spec start(atom()) -> t().
start(Name) ->
    start(Name, #{}).

-spec start(atom(), options()) -> t().
start(Name, Options) ->
    launch(peer:random_name(atom_to_list(Name)), Options).

%% Another VM of the name of one that was stopped or killed, as soon as epmd
%% knows that it was.
-spec restart(t()) -> t().
restart(#{name := Name, options := Options}) ->
    ecto_litefs_test_wait:until(
      noport, fun() -> erl_epmd:port_please(Name, ?HOST) end),
    launch(Name, Options).

launch(Name, Options) ->
    {ok, Peer, Node} =
        peer:start(#{name => Name, host => ?HOST, longnames => true,
                     connection => standard_io, args => args(Options)}),
    OsPid = peer:call(Peer, os, getpid, []),
    {ok, _} = peer:call(Peer, application, ensure_all_started, [ecto_litefs]),
    #{peer => Peer, node => Node, os_pid => OsPid,
      name => Name, options => Options}.

args(Options) ->
    ["-setcookie", "ecto_litefs_" ++ os:getpid(), "-connect_all", "false",
     "-kernel", "prevent_overlapping_partitions", "false"]
        ++ maps:get(args, Options, []) ++ ["-pa" | code_paths()].

%% Whatever happened to it before.
-spec stop(t()) -> ok.
stop(#{peer := Peer, os_pid := OsPid}) ->
    _ = os:cmd("kill -CONT " ++ OsPid), % a frozen node cannot stop
    try peer:stop(Peer) catch exit:_ -> ok end.

%% As a machine that loses its power: no goodbye to anybody.
-spec kill(t()) -> ok.
kill(#{peer := Peer} = Node) ->
    Monitor = monitor(process, Peer),
    signal("KILL", Node),
    receive {'DOWN', Monitor, process, Peer, _} -> ok
    after ?TIMEOUT -> error(peer_not_killed)
    end.

%% Returns when it has stopped: a signal is only on its way when it was sent.
-spec freeze(t()) -> ok.
freeze(#{os_pid := OsPid} = Node) ->
    ok = signal("STOP", Node),
    ecto_litefs_test_wait:until($T, fun() -> process_state(OsPid) end).

process_state(OsPid) ->
    {ok, Stat} = file:read_file("/proc/" ++ OsPid ++ "/stat"),
    [_, <<State, _/binary>>] = binary:split(Stat, <<") ">>),
    State.

-spec thaw(t()) -> ok.
thaw(Node) -> signal("CONT", Node).

signal(Signal, #{os_pid := OsPid}) ->
    "" = os:cmd("kill -" ++ Signal ++ " " ++ OsPid),
    ok.

-spec node(t()) -> node().
node(#{node := Node}) -> Node.

%% All with all, and every claim known to everybody.
-spec connect([t()]) -> ok.
connect(Peers) ->
    [true = call(A, net_kernel, connect_node, [?MODULE:node(B)])
     || A <- Peers, B <- Peers, A =/= B],
    ok.

-spec call(t(), module(), atom(), [term()]) -> term().
call(#{peer := Peer}, Module, Function, Args) ->
    peer:call(Peer, Module, Function, Args, ?TIMEOUT).

%% A Repo with its table, in Directory/db.
-spec repo(t(), module(), file:filename()) -> ok.
repo(Peer, Repo, Directory) ->
    ok = filelib:ensure_dir(filename:join(Directory, "db")),
    Options = #{database => filename:join(Directory, "db")},
    {ok, _} = call(Peer, ecto_litefs_test_repo, start, [Repo, Options]),
    call(Peer, ecto_litefs_test_repo, create_table, [Repo]).

%% Directory is the one that a LiteFS would be mounted on. No stream unless
%% the options have one.
-spec supervise(t(), module(), file:filename(), [{atom(), term()}]) -> ok.
supervise(Peer, Repo, Directory, Options) ->
    File = filename:join(Directory, ".primary"),
    All = Options ++ [{repo, Repo}, {event_stream_url, nil},
                      {primary_file, unicode:characters_to_binary(File)}],
    call(Peer, ?MODULE, own, [Repo, first_of_each(All)]).

first_of_each(Options) ->
    [lists:keyfind(Key, 1, Options)
     || Key <- lists:usort([Key || {Key, _} <- Options])].

-spec unsupervise(t(), module()) -> ok.
unsupervise(Peer, Repo) ->
    call(Peer, ?MODULE, release, [Repo]).

%% Calls Repo:Action(Args...) in a process of its own.
-spec write(t(), module(), atom(), [term()]) ->
          ecto_litefs_test_capture:outcome().
write(Peer, Repo, Action, Args) ->
    call(Peer, ecto_litefs_test_capture, call, [Repo, Action, Args]).

-spec async(t(), module(), atom(), [term()]) -> {pid(), reference()}.
async(Peer, Repo, Action, Args) ->
    spawn_monitor(fun() -> exit({outcome, write(Peer, Repo, Action, Args)}) end).

-spec await({pid(), reference()}) -> ecto_litefs_test_capture:outcome().
await({Pid, Monitor}) ->
    receive
        {'DOWN', Monitor, process, Pid, {outcome, Outcome}} -> Outcome;
        {'DOWN', Monitor, process, Pid, Reason} -> error(Reason)
    after ?TIMEOUT -> error(no_outcome)
    end.

%%% On the peer

%% A supervisor lives as long as the process that started it.
own(Repo, Options) ->
    Caller = self(),
    {Owner, Monitor} =
        spawn_monitor(
          fun() ->
                  process_flag(trap_exit, true),
                  {ok, Pid} = 'Elixir.EctoLiteFS.Supervisor':start_link(Options),
                  true = register(owner(Repo), self()),
                  Caller ! {self(), started},
                  receive release -> exit(Pid, shutdown) end,
                  receive {'EXIT', Pid, _} -> ok end
          end),
    receive
        {Owner, started} -> demonitor(Monitor, [flush]), ok;
        {'DOWN', Monitor, process, Owner, Reason} -> error(Reason)
    end.

release(Repo) ->
    Owner = whereis(owner(Repo)),
    Monitor = monitor(process, Owner),
    Owner ! release,
    receive {'DOWN', Monitor, process, Owner, _} -> ok end.

owner(Repo) ->
    list_to_atom(atom_to_list(Repo) ++ ".owner").

%% Whatever is not OTP's own.
code_paths() ->
    [Absolute || Path <- code:get_path(),
                 Absolute <- [filename:absname(Path)],
                 filename:basename(Path) =/= ".",
                 string:prefix(Absolute, code:lib_dir()) =:= nomatch].
