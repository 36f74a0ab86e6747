%% One BEAM node of a cluster: a peer VM with a Repo and its
%% EctoLiteFS.Supervisor, started as an application would. The calling node
%% need not be distributed; nodes that one VM has started know each other's
%% cookie.
%%
%%   A = ecto_litefs_test_node:start(a, 'Elixir.TestRepo', LogDir,
%%                                   #{database => Db, primary_file => File, ...}),
%%   true = ecto_litefs_test_node:connect(A, B),
%%   {RanOn, Item} = ecto_litefs_test_node:insert(A, <<"ann">>),
%%   ok = ecto_litefs_test_node:stop(A).
-module(ecto_litefs_test_node).

-export([start/4]).
-export([stop/1]).
-export([name/1]).
-export([connect/2]).
-export([role/1]).
-export([create_table/1]).
-export([insert/2]).
-export([rows/1]).
-export([call/4]).

%% Called on the node itself.
-export([run_application/2]).
-export([insert_here/2]).
-export([process/2]).

-export_type([t/0]).

-opaque t() :: {peer:server_ref(), node(), Repo :: module()}.

-define(WITNESS, ecto_litefs_test_witness).
-define(TIMEOUT, 60000).

%% Options are those of EctoLiteFS.Supervisor, and the Repo's database.
-spec start(atom(), module(), file:filename(), #{atom() => term()}) -> t().
start(Name, Repo, LogDir, Options) ->
    Log = filename:join(LogDir, lists:concat([Name, ".beam.log"])),
    Handler = lists:flatten(
                io_lib:format("[{handler,default,logger_std_h,"
                              "#{config=>#{file=>~p}}}]", [Log])),
    {ok, Peer, Node} =
        peer:start_link(#{name => peer:random_name(lists:concat([litefs_, Name])),
                          host => "127.0.0.1", longnames => true,
                          connection => standard_io,
                          args => ["-setcookie", "ecto_litefs_" ++ os:getpid(),
                                   "-kernel", "logger", Handler,
                                   "-pa" | code_paths()]}),
    ok = peer:call(Peer, ?MODULE, run_application, [Repo, Options], ?TIMEOUT),
    {Peer, Node, Repo}.

-spec stop(t()) -> ok.
stop({Peer, _, _}) ->
    peer:stop(Peer).

-spec name(t()) -> node().
name({_, Node, _}) -> Node.

-spec connect(t(), t()) -> boolean().
connect(Node, Other) ->
    call(Node, net_kernel, connect_node, [name(Other)]).

-spec role(t()) -> atom().
role({_, _, Repo} = Node) ->
    call(Node, ecto_litefs_status, role, [Repo]).

-spec create_table(t()) -> ok.
create_table({_, _, Repo} = Node) ->
    call(Node, ecto_litefs_test_repo, create_table, [Repo]).

%% What Repo.insert answers, and where it ran (or nowhere).
-spec insert(t(), binary()) -> {node() | nowhere, {ok | error, term()}}.
insert({_, _, Repo} = Node, Text) ->
    call(Node, ?MODULE, insert_here, [Repo, Text]).

-spec rows(t()) -> [binary()].
rows({_, _, Repo} = Node) ->
    [Text || {Text, _} <- call(Node, ecto_litefs_test_repo, rows, [Repo])].

-spec call(t(), module(), atom(), [term()]) -> term().
call({Peer, _, _}, Module, Function, Args) ->
    peer:call(Peer, Module, Function, Args, ?TIMEOUT).

%%% On the node

%% The processes live as long as who started them, so one stays for them.
-spec run_application(module(), map()) -> ok.
run_application(Repo, Options) ->
    {ok, _} = application:ensure_all_started(ecto_litefs),
    Self = self(),
    {Owner, Monitor} = spawn_monitor(fun() -> own(Self, Repo, Options) end),
    receive
        {Owner, running} -> demonitor(Monitor, [flush]), ok;
        {'DOWN', Monitor, process, Owner, Reason} -> error(Reason)
    end.

own(Parent, Repo, #{database := Database} = Options) ->
    ok = ecto_litefs_test_repo:set_middleware(
           Repo, ['Elixir.EctoLiteFS.Middleware', ?MODULE]),
    {ok, _} = Repo:start_link(#{database => Database}),
    {ok, _} = 'Elixir.EctoLiteFS.Supervisor':start_link(
                [{repo, Repo} | maps:to_list(maps:remove(database, Options))]),
    Parent ! {self(), running},
    receive after infinity -> ok end.

-spec insert_here(module(), binary()) -> {node() | nowhere, term()}.
insert_here(Repo, Text) ->
    true = register(?WITNESS, self()),
    Item = ecto_litefs_test_item:new(#{name => Text}),
    Answer = Repo:insert(ecto_litefs_test_item:changeset(Item, #{})),
    true = unregister(?WITNESS),
    receive {ran_on, Node} -> {Node, Answer} after 0 -> {nowhere, Answer} end.

%% A middleware after EctoLiteFS.Middleware runs where the write runs. It tells
%% whoever waits to know, before the write's own answer is on its way.
-spec process(term(), map()) -> {cont, term(), map()}.
process(Resource, Resolution) ->
    [{?WITNESS, Node} ! {ran_on, node()} || Node <- [node() | nodes()]],
    {Result, Resolution1} =
        'Elixir.EctoMiddleware.Engine':yield(Resource, Resolution),
    {cont, Result, Resolution1}.

code_paths() ->
    [filename:absname(Path) || Path <- code:get_path(),
                               string:find(Path, "_build") =/= nomatch].
