%% The primary that set_primary/2 named for a Repo on a plain directory. Kept
%% in memory, for this VM only.
-module(ecto_litefs_manual).

-export([new/0]).
-export([name/2]).
-export([named/1]).
-export([forget/2]).
-export([restore/2]).

-define(TABLE, ?MODULE).

%% The table belongs to the calling process, which is ecto_litefs_sup.
-spec new() -> ok.
new() ->
    ?TABLE = ets:new(?TABLE, [named_table, public, {read_concurrency, true}]),
    ok.

-spec name(module(), node()) -> ok.
name(Repo, Node) ->
    true = ets:insert(?TABLE, {Repo, Node}),
    ok.

-spec named(module()) -> {ok, node()} | none.
named(Repo) ->
    case ets:lookup(?TABLE, Repo) of
        [{Repo, Node}] -> {ok, Node};
        [] -> none
    end.

%% Only if it is this node that was named.
-spec forget(module(), node()) -> ok.
forget(Repo, Node) ->
    true = ets:delete_object(?TABLE, {Repo, Node}),
    ok.

%% Back to what named/1 said before.
-spec restore(module(), {ok, node()} | none) -> ok.
restore(Repo, {ok, Node}) ->
    name(Repo, Node);
restore(Repo, none) ->
    true = ets:delete(?TABLE, Repo),
    ok.
