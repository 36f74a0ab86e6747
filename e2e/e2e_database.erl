%% The database as each node has it: its rows, and LiteFS's own position.
-module(e2e_database).

-export([await_table/2]).
-export([position/2]).
-export([await_position/1]).
-export([refusal/1]).

-type cluster() :: e2e_cluster:cluster().

%% Until all three nodes have these rows with these values, and no other ones.
-spec await_table(cluster(), #{binary() => integer() | null}) -> ok.
await_table(Cluster, Table) ->
    _ = [e2e_wait:until("the node has this table", fun() ->
             Seen = e2e_cluster:rows(Cluster, Name),
             Seen =:= Table orelse {on, Name, Seen}
         end) || Name <- litefs_cluster:names()],
    ok.

%% Which transaction of LiteFS's this node has last: each COMMIT is one.
-spec position(cluster(), litefs_cluster:name()) -> pos_integer().
position(Cluster, Name) ->
    {ok, <<Transaction:16/binary, "/", _Checksum/binary>>} =
        file:read_file(e2e_cluster:database(Cluster, Name) ++ "-pos"),
    binary_to_integer(Transaction, 16).

%% Until all three nodes have what the primary has.
-spec await_position(cluster()) -> ok.
await_position(Cluster) ->
    Primary = litefs_cluster:await_primary(e2e_cluster:litefs(Cluster)),
    Position = position(Cluster, Primary),
    true = e2e_wait:until("all nodes are where the primary is", fun() ->
        Seen = [position(Cluster, Name) || Name <- litefs_cluster:names()],
        lists:usort(Seen) =:= [Position] orelse {Position, Seen}
    end),
    ok.

%% What SQLite says of a write on a replica, in this journal mode.
-spec refusal(wal | delete) -> binary().
refusal(wal) -> <<"disk I/O error">>;
refusal(delete) -> <<"attempt to write a readonly database">>.
