%% What the contract is run with: the stand-ins, or the real Ecto. A world has
%% two nodes with a Repo each, and a module of words that builds items,
%% changesets and queries there.
-module(ecto_litefs_contract_world).

-export([on/5]).
-export([name/2]).

-export_type([t/0]).
-export_type([role/0]).

-type role() :: caller | primary.

%% link: the caller reaches the primary through it. sql: a statement, past the
%% Repo, on a node's database; gives the rows.
-type t() ::
        #{repo := module(),
          words := module(),
          caller := ecto_litefs_test_link:side(),
          primary := ecto_litefs_test_link:side(),
          link := Proxy :: pid(),
          sql := fun((role(), Sql :: binary(), Params :: list()) -> [list()])}.

-callback item(Fields :: map()) -> Item :: map().
-callback stored(Repo :: module(), Name :: binary()) -> Item :: map().
-callback changeset(Item :: map(), Params :: map()) -> Changeset :: map().

%% The unique index is declared.
-callback unique(Changeset :: map()) -> Changeset :: map().
-callback prepare(Changeset :: map(), Fun :: fun((map()) -> map())) ->
    Changeset :: map().

%% For Repo.all, Repo.insert_all, and the functions that take a query.
-callback table() -> term().
-callback rows([map()]) -> Args :: [term()].
-callback named(Name :: term()) -> Query :: term().
-callback select(Query :: term()) -> Query :: term().

%% A name of rows/1 and named/1 that calls Fun where it is dumped.
-callback hooked(Name :: binary(), Fun :: fun(() -> term())) -> term().

%% Calls Fun with one of the Repo's connections in its hands.
-callback checkout(Repo :: module(), Fun :: fun(() -> Result)) -> Result.

%% us, count, count_all, rename; how often the last three ran on this node.
-callback set_middleware(Repo :: module(), [atom()]) -> ok.
-callback reset_count() -> ok.
-callback count() -> non_neg_integer().

%% Calls the function on that node.
-spec on(role(), module(), atom(), [term()], t()) -> term().
on(Role, Module, Function, Args, World) ->
    {_Node, On} = maps:get(Role, World),
    On(Module, Function, Args).

-spec name(role(), t()) -> node().
name(Role, World) ->
    {Node, _On} = maps:get(Role, World),
    Node.
