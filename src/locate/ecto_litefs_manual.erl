%% The primary that set_primary/2 named for a Repo on a plain directory. Kept
%% in memory, for this VM only. Without the table (the application ecto_litefs was
%% stopped) nobody is named and nobody can be.
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

-spec name(module(), node()) -> ok | {error, not_ready}.
name(Repo, Node) ->
    try ets:insert(?TABLE, {Repo, Node}) of
        true -> ok
    catch
        error:badarg -> {error, not_ready}
    end.

-spec named(module()) -> {ok, node()} | none.
named(Repo) ->
    try ets:lookup_element(?TABLE, Repo, 2) of
        Node -> {ok, Node}
    catch
        error:badarg -> none % also where there is no such Repo
    end.

%% Only if it is this node that was named.
-spec forget(module(), node()) -> ok | {error, not_ready}.
forget(Repo, Node) ->
    try ets:delete_object(?TABLE, {Repo, Node}) of
        true -> ok
    catch
        error:badarg -> {error, not_ready}
    end.

%% Back to what named/1 said before.
-spec restore(module(), {ok, node()} | none) -> ok | {error, not_ready}.
restore(Repo, {ok, Node}) ->
    name(Repo, Node);
restore(Repo, none) ->
    case named(Repo) of
        {ok, Node} -> forget(Repo, Node);
        none -> ok
    end.
