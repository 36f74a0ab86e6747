%% What this node has its answers of, and the primary does not know yet: it goes
%% along with the next call to that node, so that no process there is woken for
%% it. What no call has taken along is sent now and then. An id that gets lost
%% costs that node memory for a while, and nothing else.
-module(ecto_litefs_acks).

-export([new/0]).
-export([add/2]).
-export([take/1]).
-export([flush/0]).

-define(TABLE, ?MODULE).

%% The table belongs to the calling process, which is ecto_litefs_sup.
-spec new() -> ok.
new() ->
    ?TABLE = ets:new(?TABLE, [named_table, public, duplicate_bag,
                              {write_concurrency, true}]),
    ok.

-spec add(node(), ecto_litefs_ledger:id()) -> ok.
add(Node, Id) ->
    try ets:insert(?TABLE, {Node, Id}) of
        true -> ok
    catch
        error:badarg -> ok % the application was stopped
    end.

%% All that this node owes that one; nobody else gets them.
-spec take(node()) -> [ecto_litefs_ledger:id()].
take(Node) ->
    try ets:take(?TABLE, Node) of
        Owed -> [Id || {_Node, Id} <- Owed]
    catch
        error:badarg -> []
    end.

%% To all nodes that are connected. Never connects, never waits.
-spec flush() -> ok.
flush() ->
    Owed = ets:select(?TABLE, [{{'$1', '_'}, [], ['$1']}]),
    lists:foreach(fun(Node) -> send(Node, take(Node)) end, lists:usort(Owed)).

send(_Node, []) ->
    ok;
send(Node, Ids) ->
    _ = erlang:send({ecto_litefs_ledger_keeper, Node}, {ack, Ids},
                    [noconnect, nosuspend]),
    ok.
