%% Which VM, and which life of the application in it, other nodes are: each has
%% a number of its own (ecto_litefs_ledger), without which a call could end in
%% one life and be asked for in the next. Kept from the first call on; a node
%% that has another one meanwhile refuses the call and says so.
-module(ecto_litefs_incarnation).

-export([new/0]).
-export([known/1]).
-export([remember/2]).

-export_type([t/0]).

-type t() :: <<_:128>>.

-define(TABLE, ?MODULE).

%% The table belongs to the calling process, which is ecto_litefs_sup.
-spec new() -> ok.
new() ->
    ?TABLE = ets:new(?TABLE, [named_table, public, {read_concurrency, true}]),
    ok.

-spec known(node()) -> t() | unknown.
known(Node) ->
    try ets:lookup_element(?TABLE, Node, 2)
    catch
        error:badarg -> unknown % also where there is no such node
    end.

%% Without the table (the application was stopped) it is asked for each time.
-spec remember(node(), t()) -> ok.
remember(Node, Incarnation) ->
    try ets:insert(?TABLE, {Node, Incarnation}) of
        true -> ok
    catch
        error:badarg -> ok
    end.
