%% A node of a cluster, ready to write: an ecto_litefs_test_peer with a Repo on
%% a given database, its EctoLiteFS.Supervisor, a log file, and a middleware
%% that tells where a write runs.
%%
%%   A = ecto_litefs_test_node:start(a, LogDir,
%%                                   #{database => Db, primary_file => File, ...}),
%%   ok = ecto_litefs_test_node:connect([A, B]),
%%   {RanOn, {ok, Item}} = ecto_litefs_test_node:insert(A, <<"ann">>),
%%   ok = ecto_litefs_test_node:stop(A).
-module(ecto_litefs_test_node).

-export([start/3]).
-export([stop/1]).
-export([name/1]).
-export([connect/1]).
-export([role/1]).
-export([create_table/1]).
-export([insert/2]).
-export([rows/1]).

%% Called on the node itself.
-export([insert_here/1]).
-export([process/2]).

-export_type([t/0]).

-type t() :: ecto_litefs_test_peer:t().

-define(REPO, 'Elixir.TestRepo').
-define(WITNESS, ecto_litefs_test_witness).

%% Options are those of EctoLiteFS.Supervisor, and the Repo's database.
-spec start(atom(), file:filename(), #{atom() => term()}) -> t().
start(Name, LogDir, #{database := Database} = Options) ->
    Peer = ecto_litefs_test_peer:start(Name),
    log_to(filename:join(LogDir, lists:concat([Name, ".beam.log"])), Peer),
    {ok, _} = call(Peer, ecto_litefs_test_repo, start,
                   [?REPO, #{database => Database}]),
    ok = call(Peer, ecto_litefs_test_repo, set_middleware,
              [?REPO, ['Elixir.EctoLiteFS.Middleware', ?MODULE]]),
    ok = ecto_litefs_test_peer:supervise(
           Peer, ?REPO, LogDir, maps:to_list(maps:remove(database, Options))),
    Peer.

%% A peer's standard output is this node's.
log_to(File, Peer) ->
    ok = call(Peer, logger, remove_handler, [default]),
    ok = call(Peer, logger, add_handler,
              [default, logger_std_h, #{config => #{file => File}}]).

%% In the order of a release that stops: first the application.
-spec stop(t()) -> ok.
stop(Peer) ->
    ok = ecto_litefs_test_peer:unsupervise(Peer, ?REPO),
    ecto_litefs_test_peer:stop(Peer).

-spec name(t()) -> node().
name(Peer) -> ecto_litefs_test_peer:node(Peer).

-spec connect([t()]) -> ok.
connect(Peers) -> ecto_litefs_test_peer:connect(Peers).

-spec role(t()) -> atom().
role(Peer) ->
    call(Peer, ecto_litefs_status, role, [?REPO]).

-spec create_table(t()) -> ok.
create_table(Peer) ->
    call(Peer, ecto_litefs_test_repo, create_table, [?REPO]).

%% What Repo.insert answers, and where it ran (or nowhere).
-spec insert(t(), binary()) -> {node() | nowhere, {ok | error, term()}}.
insert(Peer, Text) ->
    call(Peer, ?MODULE, insert_here, [Text]).

-spec rows(t()) -> [binary()].
rows(Peer) ->
    [Text || {Text, _} <- call(Peer, ecto_litefs_test_repo, rows, [?REPO])].

call(Peer, Module, Function, Args) ->
    ecto_litefs_test_peer:call(Peer, Module, Function, Args).

%%% On the node

-spec insert_here(binary()) -> {node() | nowhere, term()}.
insert_here(Text) ->
    true = register(?WITNESS, self()),
    Item = ecto_litefs_test_item:new(#{name => Text}),
    Answer = ?REPO:insert(ecto_litefs_test_item:changeset(Item, #{})),
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
