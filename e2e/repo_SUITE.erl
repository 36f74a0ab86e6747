%% What `use EctoLiteFS.Repo` sends to the primary whole, on real LiteFS and in
%% both journal modes: bulk functions, Multis and transactions; and what a local
%% transaction on a replica may not do. README.md says what each case proves.
-module(repo_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([all/0]).
-export([groups/0]).
-export([suite/0]).
-export([init_per_suite/1]).
-export([end_per_suite/1]).
-export([init_per_group/2]).
-export([end_per_group/2]).
-export([init_per_testcase/2]).
-export([end_per_testcase/2]).

-export([bulk_is_everywhere/1]).
-export([multi_is_committed_whole/1]).
-export([multi_is_rolled_back_whole/1]).
-export([multi_of_reads_stays/1]).
-export([transaction_is_committed_whole/1]).
-export([transaction_is_rolled_back_whole/1]).
-export([transaction_of_mfa_and_transact/1]).
-export([write_in_read_only_transaction_is_refused/1]).
-export([write_in_plain_transaction_is_refused/1]).

%% Called on a node.
-export([insert_both/2]).

-define(FULL, 'Elixir.FullRepo').  % has the line `use EctoLiteFS.Repo`
-define(PLAIN, 'Elixir.TestRepo'). % has not
-define(MULTI, 'Elixir.Ecto.Multi').
-define(ITEM, ecto_litefs_test_item).
-define(IN_TRANSACTION,
        {raised, #{'__struct__' := 'Elixir.EctoLiteFS.Error',
                   reason := in_transaction, outcome := not_executed}}).

%% The real Consul is for the cases of cluster_SUITE.
all() ->
    case os:getenv("CONSUL") of
        false -> [{group, Group} || {Group, _, _} <- groups()];
        _Path -> []
    end.

groups() ->
    Full = [bulk_is_everywhere,
            multi_is_committed_whole,
            multi_is_rolled_back_whole,
            multi_of_reads_stays,
            transaction_is_committed_whole,
            transaction_is_rolled_back_whole,
            transaction_of_mfa_and_transact,
            write_in_read_only_transaction_is_refused],
    Plain = [write_in_plain_transaction_is_refused],
    [{wal, [], Full}, {delete, [], Full},
     {plain_wal, [], Plain}, {plain_delete, [], Plain}].

suite() ->
    [{timetrap, {seconds, 120}}].

init_per_suite(Config) ->
    e2e_cluster:skip_unless_possible(Config).

end_per_suite(_Config) ->
    ok.

init_per_group(Group, Config) ->
    {Repo, Mode} = case Group of
                       wal -> {?FULL, wal};
                       delete -> {?FULL, delete};
                       plain_wal -> {?PLAIN, wal};
                       plain_delete -> {?PLAIN, delete}
                   end,
    [{mode, Mode} | e2e_suite:start(Group, #{repo => Repo,
                                             journal_mode => Mode}, Config)].

end_per_group(_Group, Config) ->
    e2e_suite:stop(Config).

init_per_testcase(_Case, Config) ->
    ok = e2e_suite:empty(e2e_suite:cluster(Config)),
    Config.

end_per_testcase(_Case, Config) ->
    e2e_suite:print_logs_of_failure(Config).

%%% Bulk functions

bulk_is_everywhere(Config) ->
    Cluster = e2e_suite:cluster(Config),
    Rows = [#{name => Name, value => 0} || Name <- [<<"ann">>, <<"bob">>]],
    done(Cluster, b, insert_all, [items, Rows], {2, nil}),
    ok = e2e_database:await_table(Cluster, #{<<"ann">> => 0, <<"bob">> => 0}),
    done(Cluster, c, update_all, [named(<<"ann">>), [{set, [{value, 7}]}]],
         {1, nil}),
    ok = e2e_database:await_table(Cluster, #{<<"ann">> => 7, <<"bob">> => 0}),
    done(Cluster, b, delete_all, [named(<<"bob">>)], {1, nil}),
    ok = e2e_database:await_table(Cluster, #{<<"ann">> => 7}).

%%% Multis

multi_is_committed_whole(Config) ->
    Cluster = e2e_suite:cluster(Config),
    A = e2e_cluster:erlang_node(Cluster, a),
    Before = e2e_database:position(Cluster, a),
    {{returned, {ok, Changes}}, [a]} =
        e2e_cluster:traced(Cluster, b, transaction, [multi(<<"bob">>)]),
    ?assertMatch(#{first := #{name := <<"ann">>, value := 1},
                   seen := {A, [#{name := <<"ann">>}]},
                   second := #{name := <<"bob">>, value := 1}}, Changes),
    ?assertEqual(Before + 1, e2e_database:position(Cluster, a)),
    e2e_database:await_table(Cluster, #{<<"ann">> => 1, <<"bob">> => 1}).

%% Its last step meets a row that is there, or the user's own refusal.
multi_is_rolled_back_whole(Config) ->
    Cluster = e2e_suite:cluster(Config),
    {ok, _} = e2e_cluster:insert(Cluster, a, <<"taken">>),
    Refusal = fun(_Repo, #{second := #{name := <<"bob">>}}) -> {error, no} end,
    Before = e2e_database:position(Cluster, a),
    ?assertMatch({returned, {error, second, #{errors := [{name, _}]},
                             #{first := #{}, seen := {_Node, [_, _]}}}},
                 e2e_cluster:repo(Cluster, b, transaction,
                                  [multi(<<"taken">>)])),
    ?assertMatch({returned, {error, third, no, #{second := #{}}}},
                 e2e_cluster:repo(Cluster, c, transaction,
                                  [?MULTI:run(multi(<<"bob">>), third,
                                              Refusal)])),
    nothing_since(Before, Cluster, [<<"taken">>]).

%% Insert, look, insert.
multi(Last) ->
    Look = fun(Repo, _Changes) -> {ok, {node(), Repo:all(?ITEM)}} end,
    ?MULTI:insert(
       ?MULTI:run(?MULTI:insert(?MULTI:new(), first,
                                e2e_node:stamped(<<"ann">>)), seen, Look),
       second, ?ITEM:unique_constraint(e2e_node:stamped(Last))).

%% Nobody else can be asked, so that one that asks would not come back in time.
multi_of_reads_stays(Config) ->
    Cluster = e2e_suite:cluster(Config),
    {ok, _} = e2e_cluster:insert(Cluster, a, <<"ann">>),
    1 = e2e_cluster:await_row(Cluster, c, <<"ann">>),
    Ann = named(<<"ann">>),
    Multi = lists:foldl(fun(Function, Multi) ->
        ?MULTI:Function(Multi, Function, Ann)
    end, ?MULTI:put(?MULTI:new(), put, 5), [one, all, 'exists?']),
    ok = e2e_cluster:isolate(Cluster, c),
    {{returned, {ok, Read}}, Forwards} =
        e2e_cluster:traced(Cluster, c, transaction, [Multi]),
    ok = e2e_cluster:reconnect(Cluster, c),
    ?assertEqual([], Forwards),
    ?assertMatch(#{put := 5, one := #{name := <<"ann">>},
                   all := [#{name := <<"ann">>}], 'exists?' := true}, Read),
    {ok, #{value := 1}} = e2e_cluster:insert(Cluster, c, <<"bob">>),
    e2e_cluster:await_rows(Cluster, [<<"ann">>, <<"bob">>]).

%%% Transactions

transaction_is_committed_whole(Config) ->
    Cluster = e2e_suite:cluster(Config),
    A = e2e_cluster:erlang_node(Cluster, a),
    Before = e2e_database:position(Cluster, a),
    Work = fun(Repo) -> insert_both(Repo, <<"ann">>) end,
    done(Cluster, b, transaction, [Work],
         {ok, {A, [<<"ann">>, <<"ann, too">>]}}),
    ?assertEqual(Before + 1, e2e_database:position(Cluster, a)),
    e2e_database:await_table(Cluster, #{<<"ann">> => 1, <<"ann, too">> => 1}).

transaction_is_rolled_back_whole(Config) ->
    Cluster = e2e_suite:cluster(Config),
    Before = e2e_database:position(Cluster, a),
    Then = fun(End) -> fun() -> insert_both(?FULL, <<"ann">>), End() end end,
    done(Cluster, b, transaction, [Then(fun() -> ?FULL:rollback(no) end)],
         {error, no}),
    done(Cluster, c, transact, [Then(fun() -> {error, no} end)], {error, no}),
    ?assertEqual({{raised, on_purpose}, [a]},
                 e2e_cluster:traced(Cluster, b, transaction,
                                    [Then(fun() -> error(on_purpose) end)])),
    nothing_since(Before, Cluster, []).

transaction_of_mfa_and_transact(Config) ->
    Cluster = e2e_suite:cluster(Config),
    A = e2e_cluster:erlang_node(Cluster, a),
    Ann = [<<"ann">>, <<"ann, too">>],
    done(Cluster, b, transaction, [{?MODULE, insert_both, [?FULL, <<"ann">>]}],
         {ok, {A, Ann}}),
    done(Cluster, c, transact,
         [fun() -> {ok, insert_both(?FULL, <<"bob">>)} end],
         {ok, {A, Ann ++ [<<"bob">>, <<"bob, too">>]}}),
    e2e_database:await_table(Cluster,
                            #{<<"ann">> => 1, <<"ann, too">> => 1,
                              <<"bob">> => 1, <<"bob, too">> => 1}).

%% Where that was, and which rows it saw then.
insert_both(Repo, Name) ->
    [{ok, #{value := 1}} = Repo:insert(e2e_node:stamped(Row))
     || Row <- [Name, <<Name/binary, ", too">>]],
    {node(), [Row || #{name := Row} <- Repo:all(?ITEM)]}.

%%% A local transaction on a replica

%% Of raw SQL in it LiteFS decides, in WAL mode only at the COMMIT.
write_in_read_only_transaction_is_refused(Config) ->
    Cluster = e2e_suite:cluster(Config),
    ReadOnly = [{read_only, true}],
    Sql = fun(Repo) -> Repo:query("INSERT INTO items (name) VALUES ('x')") end,
    More = [Sql,
            fun(Repo) -> Repo:'query!'("DELETE FROM items") end,
            fun(Repo) -> Repo:transaction(fun() -> Sql(Repo) end) end,
            fun(Repo) -> Repo:transaction(multi(<<"x">>)) end],
    refused_in_transaction(Cluster, More, ReadOnly),
    Before = e2e_database:position(Cluster, a),
    GivesUp = fun(Repo) -> catch Sql(Repo), Repo:rollback(no) end,
    done_here(Cluster, b, transaction, [GivesUp, ReadOnly], {error, no}),
    nothing_since(Before, Cluster, [<<"ann">>, <<"later">>]).

%% Without the line nobody looks at raw SQL: SQLite's own exception.
write_in_plain_transaction_is_refused(Config) ->
    Cluster = e2e_suite:cluster(Config),
    refused_in_transaction(Cluster, [], []),
    Before = e2e_database:position(Cluster, a),
    Sql = fun(Repo) ->
        Repo:'query!'("INSERT INTO items (name) VALUES ('x')")
    end,
    Refusal = e2e_database:refusal(proplists:get_value(mode, Config)),
    ?assertMatch({raised, #{'__struct__' := 'Elixir.Exqlite.Error',
                            message := Refusal}},
                 e2e_cluster:repo(Cluster, b, transaction, [Sql])),
    nothing_since(Before, Cluster, [<<"ann">>, <<"later">>]).

%% Each reads first, so that SQLite holds its lock, which keeps LiteFS from
%% replicating to this node: it must be free again afterwards. On the primary
%% the same may write.
refused_in_transaction(Cluster, More, Options) ->
    {ok, Ann} = e2e_cluster:insert(Cluster, a, <<"ann">>),
    1 = e2e_cluster:await_row(Cluster, b, <<"ann">>),
    Before = e2e_database:position(Cluster, a),
    [?assertMatch(?IN_TRANSACTION,
                  e2e_cluster:repo(Cluster, b, transaction,
                                   [reading_first(Write), Options]))
     || Write <- writes(Ann) ++ More],
    nothing_since(Before, Cluster, [<<"ann">>]),
    Insert = fun(Repo) -> Repo:insert(e2e_node:stamped(<<"later">>)) end,
    {{returned, {ok, {ok, _}}}, []} =
        e2e_cluster:traced(Cluster, a, transaction,
                           [reading_first(Insert), Options]),
    e2e_database:await_table(Cluster, #{<<"ann">> => 1, <<"later">> => 1}).

reading_first(Write) ->
    fun(Repo) ->
        [#{name := <<"ann">>}] = Repo:all(?ITEM),
        Write(Repo)
    end.

writes(Ann) ->
    New = e2e_node:stamped(<<"x">>),
    Changed = ?ITEM:changeset(Ann, #{value => 5}),
    Single = [{insert, New}, {'insert!', New}, {update, Changed},
              {'update!', Changed}, {insert_or_update, New},
              {'insert_or_update!', Changed}, {delete, Ann}, {'delete!', Ann}],
    [fun(Repo) -> Repo:Function(Resource) end || {Function, Resource} <- Single]
        ++ [fun(Repo) -> Repo:insert_all(items, [#{name => <<"x">>,
                                                   value => 1}]) end,
            fun(Repo) -> Repo:update_all(named(<<"ann">>),
                                         [{set, [{value, 5}]}]) end,
            fun(Repo) -> Repo:delete_all(named(<<"ann">>)) end,
            fun(Repo) -> 'Elixir.EctoLiteFS':run_on_primary(
                           Repo, {erlang, node, []}) end].

%%% What the cases share

named(Name) ->
    ecto_litefs_test_bulk:named(Name).

%% By one call on the primary.
done(Cluster, Name, Function, Args, Answer) ->
    ?assertEqual({{returned, Answer}, [a]},
                 e2e_cluster:traced(Cluster, Name, Function, Args)).

done_here(Cluster, Name, Function, Args, Answer) ->
    ?assertEqual({{returned, Answer}, []},
                 e2e_cluster:traced(Cluster, Name, Function, Args)).

%% LiteFS has seen no COMMIT, and each node has these rows alone.
nothing_since(Position, Cluster, Rows) ->
    ok = e2e_database:await_position(Cluster),
    ?assertEqual(Position, e2e_database:position(Cluster, a)),
    e2e_cluster:await_rows(Cluster, Rows).
