%% A forwarded insert against erpc's call of the same insert, which does not wait
%% for the replica either. Called on a replica.
-module(bench_forward).

-export([insert/2]).

-define(BLOCKS, 300).
-define(CALLS, 5).

-spec insert(module(), node()) -> {pos_integer(), bench_stats:series()}.
insert(Repo, Primary) ->
    replica = ecto_litefs_status:role(Repo),
    Ours = fun(Changeset) -> Repo:insert(Changeset, [{await, false}]) end,
    Bare = fun(Changeset) -> erpc:call(Primary, Repo, insert, [Changeset]) end,
    {?BLOCKS * ?CALLS,
     bench_stats:interleaved(?BLOCKS, ?CALLS,
                             fun() -> inserts(?CALLS, Ours) end,
                             fun() -> inserts(?CALLS, Bare) end)}.

inserts(0, _Insert) ->
    ok;
inserts(N, Insert) ->
    Unique = integer_to_binary(erlang:unique_integer([positive])),
    {ok, _Item} = Insert(e2e_node:changeset(<<"forward ", Unique/binary>>)),
    inserts(N - 1, Insert).
