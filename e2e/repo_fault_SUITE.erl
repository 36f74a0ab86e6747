%% What becomes of the calls of a Repo with the line `use EctoLiteFS.Repo` when
%% something happens to the primary in the middle of them, on real LiteFS:
%% promotions, cuts, a crowd, failovers. README.md says what each case proves.
-module(repo_fault_SUITE).

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

-export([demoted_in_a_transaction_is_told/1]).
-export([demoted_in_a_multi_runs_again/1]).
-export([demoted_in_an_insert_runs_again/1]).
-export([cut_in_a_write_is_done_once/1]).
-export([cut_in_a_transaction_is_done_once/1]).
-export([crowd_is_served_in_turn/1]).
-export([transactions_under_failover_wal/1]).
-export([transactions_under_failover_delete/1]).

-define(REPO, 'Elixir.FullRepo').
-define(MULTI, 'Elixir.Ecto.Multi').

%% 16 rows for each process take 46 s where 4 take 12.
-define(PROCESSES, 512).
-define(ROWS_EACH, 4).

%% The real Consul is for the cases of cluster_SUITE.
all() ->
    case os:getenv("CONSUL") of
        false -> [{group, wal}, {group, delete} | on_their_own()];
        _Path -> []
    end.

%% With a cluster of their own each.
on_their_own() ->
    [crowd_is_served_in_turn,
     transactions_under_failover_wal,
     transactions_under_failover_delete].

groups() ->
    Cases = [demoted_in_a_transaction_is_told,
             demoted_in_a_multi_runs_again,
             demoted_in_an_insert_runs_again,
             cut_in_a_write_is_done_once,
             cut_in_a_transaction_is_done_once],
    [{wal, [], Cases}, {delete, [], Cases}].

suite() ->
    [{timetrap, {seconds, 120}}].

init_per_suite(Config) ->
    e2e_cluster:skip_unless_possible(Config).

end_per_suite(_Config) ->
    ok.

init_per_group(Mode, Config) ->
    start(Mode, #{journal_mode => Mode}, Config).

end_per_group(_Mode, Config) ->
    e2e_suite:stop(Config).

init_per_testcase(Case, Config) ->
    e2e_suite:begin_case(lists:member(Case, on_their_own()),
                         fun() -> start(Case, options(Case), Config) end, Config).

end_per_testcase(Case, Config) ->
    e2e_suite:end_case(lists:member(Case, on_their_own()), Config).

start(Name, Options, Config) ->
    e2e_suite:start(Name, Options#{repo => ?REPO}, Config).

%% Whoever waits for a connection so long is dropped, as from Ecto's pool.
options(crowd_is_served_in_turn) ->
    #{pool => #{queue_timeout => 1000}};
%% A call that hangs in a LiteFS that has ended is given up sooner than usual. And
%% it returns when it is done: whether a commit was shipped before the death of
%% its LiteFS is told by the time between.
options(transactions_under_failover_wal) ->
    #{supervisor => [{erpc_timeout, 2000}, {await, false}]};
options(transactions_under_failover_delete) ->
    #{journal_mode => delete,
      supervisor => [{erpc_timeout, 2000}, {await, false}]}.

%%% A promotion while the call runs

%% Its fun is the user's, and may have done other things: it is not run again.
demoted_in_a_transaction_is_told(Config) ->
    Cluster = e2e_suite:cluster(Config),
    {Old, New, Caller} = parts(Cluster),
    OldNode = e2e_cluster:erlang_node(Cluster, Old),
    Work = fun() ->
        {ok, _} = ?REPO:insert(e2e_node:stamped(<<"first">>)),
        ok = e2e_node:hold(OldNode),
        ?REPO:insert(e2e_node:stamped(<<"second">>))
    end,
    Call = held(Cluster, Old, Caller, transaction, [Work]),
    ok = litefs_cluster:hand_over(e2e_cluster:litefs(Cluster), New),
    ?assertMatch({{raised, #{'__struct__' := 'Elixir.EctoLiteFS.Error',
                             reason := {not_executed, {demoted, OldNode}},
                             outcome := not_executed}}, [Old]},
                 released(Cluster, Old, Call)),
    settled(Cluster, Old, New, []).

%% One of data, with a hook in a changeset.
demoted_in_a_multi_runs_again(Config) ->
    Cluster = e2e_suite:cluster(Config),
    {Old, New, Caller} = parts(Cluster),
    Multi = ?MULTI:insert(
               ?MULTI:insert(?MULTI:new(), one, e2e_node:stamped(<<"first">>)),
               two, held_changeset(Cluster, Old, <<"second">>)),
    Call = held(Cluster, Old, Caller, transaction, [Multi]),
    ok = litefs_cluster:hand_over(e2e_cluster:litefs(Cluster), New),
    Number = e2e_cluster:number(New),
    {{returned, {ok, Changes}}, Forwards} = released(Cluster, Old, Call),
    ?assertMatch(#{one := #{value := Number}, two := #{value := Number}},
                 Changes),
    ?assertEqual({Old, New}, {hd(Forwards), lists:last(Forwards)}),
    settled(Cluster, Old, New, [<<"first">>, <<"second">>]).

demoted_in_an_insert_runs_again(Config) ->
    Cluster = e2e_suite:cluster(Config),
    {Old, New, Caller} = parts(Cluster),
    Changeset = held_changeset(Cluster, Old, <<"first">>),
    Call = held(Cluster, Old, Caller, insert, [Changeset]),
    ok = litefs_cluster:hand_over(e2e_cluster:litefs(Cluster), New),
    Number = e2e_cluster:number(New),
    {{returned, {ok, Item}}, Forwards} = released(Cluster, Old, Call),
    ?assertMatch(#{value := Number}, Item),
    ?assertEqual({Old, New}, {hd(Forwards), lists:last(Forwards)}),
    settled(Cluster, Old, New, [<<"first">>]).

%% What the old primary had begun keeps nobody back: each node has the later
%% row, and no others than it should.
settled(Cluster, Old, New, Rows) ->
    _Exits = e2e_load:settle(Cluster, Old),
    {ok, #{value := Number}} = e2e_cluster:insert(Cluster, Old, <<"later">>),
    ?assertEqual(e2e_cluster:number(New), Number),
    e2e_cluster:await_rows(Cluster, [<<"later">> | Rows]).

%%% A cut while the call runs

cut_in_a_write_is_done_once(Config) ->
    Cluster = e2e_suite:cluster(Config),
    {Primary, _Other, Caller} = parts(Cluster),
    Changeset = held_changeset(Cluster, Primary, <<"ann">>),
    Call = held(Cluster, Primary, Caller, insert, [Changeset]),
    cut(Cluster, Caller, Primary),
    {{returned, Answer}, Steps} = released(Cluster, Primary, Call),
    ?assertMatch({ok, #{name := <<"ann">>}}, Answer),
    sent_once_and_asked_for(Primary, Steps),
    e2e_cluster:await_rows(Cluster, [<<"ann">>]).

cut_in_a_transaction_is_done_once(Config) ->
    Cluster = e2e_suite:cluster(Config),
    {Primary, _Other, Caller} = parts(Cluster),
    PrimaryNode = e2e_cluster:erlang_node(Cluster, Primary),
    Work = fun() ->
        {ok, _} = ?REPO:insert(e2e_node:stamped(<<"ann">>)),
        ok = e2e_node:hold(PrimaryNode),
        {ok, _} = ?REPO:insert(e2e_node:stamped(<<"bob">>)),
        node()
    end,
    Call = held(Cluster, Primary, Caller, transaction, [Work]),
    cut(Cluster, Caller, Primary),
    {{returned, Answer}, Steps} = released(Cluster, Primary, Call),
    ?assertEqual({ok, PrimaryNode}, Answer),
    sent_once_and_asked_for(Primary, Steps),
    e2e_cluster:await_rows(Cluster, [<<"ann">>, <<"bob">>]).

cut(Cluster, Caller, Primary) ->
    Node = e2e_cluster:erlang_node(Cluster, Primary),
    true = e2e_cluster:call(Cluster, Caller, erlang, {disconnect_node, [Node]}),
    ok.

%% The call ran on, and its caller connected again to be told the end of it.
sent_once_and_asked_for(Primary, Steps) ->
    ?assertMatch([Primary, {claim, _} | _], Steps),
    ?assertEqual({claim, done}, lists:last(Steps)),
    ?assertEqual([Primary], [Step || Step <- Steps, is_atom(Step)]).

%%% A crowd

%% The pool of the primary has one connection, and would drop those that wait.
crowd_is_served_in_turn(Config) ->
    Cluster = e2e_suite:cluster(Config),
    {Primary, _Other, Caller} = parts(Cluster),
    Number = e2e_cluster:number(Primary),
    From = e2e_wait:us(),
    Inserted = e2e_cluster:call(Cluster, Caller, e2e_node,
                                {insert_at_once, [?PROCESSES, ?ROWS_EACH]},
                                100000),
    Us = e2e_wait:us() - From,
    Failed = [Insert || Insert <- Inserted, not done_by(Number, Insert)],
    ?assertEqual({0, []}, {length(Failed), lists:sublist(Failed, 3)}),
    Slowest = lists:max([To - Since || {_, _, Since, To} <- Inserted]),
    figure("~b processes, ~b inserts each: ~b ms, the slowest insert ~b ms",
           [?PROCESSES, ?ROWS_EACH, Us div 1000, Slowest div 1000]),
    ok = e2e_database:await_position(Cluster),
    [?assertEqual(?PROCESSES * ?ROWS_EACH,
                  e2e_cluster:call(Cluster, Name, e2e_node, {count, []}))
     || Name <- litefs_cluster:names()].

done_by(Number, {returned, {ok, #{value := Number}}, _From, _To}) -> true;
done_by(_Number, _Failed) -> false.

%% Also on the terminal, where rebar3 shows nothing of ct:pal/2.
figure(Format, Args) ->
    ok = io:format(user, "~n" ++ Format ++ "~n", Args),
    ct:log(Format, Args).

%%% Failovers under load

transactions_under_failover_wal(Config) ->
    transactions_under_failover(Config).

transactions_under_failover_delete(Config) ->
    transactions_under_failover(Config).

transactions_under_failover(Config) ->
    Promotions = lists:duplicate(4, promote),
    Faults = Promotions ++ [stop] ++ Promotions ++ [kill],
    e2e_pairs:under(Faults, e2e_suite:cluster(Config)).

%%% What the cases share

%% The primary, the one that is to become it, and the one that calls.
parts(Cluster) ->
    Primary = litefs_cluster:await_primary(e2e_cluster:litefs(Cluster)),
    [Next, Caller] = lists:delete(Primary, litefs_cluster:names()),
    {Primary, Next, Caller}.

held_changeset(Cluster, Name, Row) ->
    Node = e2e_cluster:erlang_node(Cluster, Name),
    ecto_litefs_test_item:prepare_changes(
      e2e_node:stamped(Row),
      fun(Changeset) -> ok = e2e_node:hold(Node), Changeset end).

%% A call from one node that has come to its e2e_node:hold/1 on another.
held(Cluster, Name, Caller, Function, Args) ->
    Call = e2e_cluster:in_background(fun() ->
        e2e_cluster:traced(Cluster, Caller, Function, Args)
    end),
    true = e2e_wait:until("the call is held in the middle", fun() ->
        e2e_cluster:call(Cluster, Name, e2e_node, {held, []})
    end),
    Call.

released(Cluster, Name, Call) ->
    ok = e2e_cluster:call(Cluster, Name, e2e_node, {release, []}),
    e2e_cluster:await(Call, 60000).
