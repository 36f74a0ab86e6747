%% Read-your-writes on real LiteFS: is what a node has forwarded on that node when
%% the call returns, or is its caller told? README.md says what each case proves.
%%
%% READS: how many rows the long case writes, 1500 where it is not set.
-module(read_your_writes_SUITE).

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

-export([own_writes_are_here/1]).
-export([own_writes_are_here_without_a_stream/1]).
-export([all_kinds_of_writes_wait/1]).
-export([a_position_travels/1]).
-export([a_position_beside_many_writers/1]).
-export([a_long_read_delays/1]).
-export([nobody_waits_who_does_not_want_to/1]).
-export([the_port_is_killed_meanwhile/1]).
-export([ten_thousand_wait/1]).
-export([without_tracking/1]).
-export([nobody_knows_the_database/1]).
-export([two_repos_on_one_database/1]).
-export([two_histories/1]).
-export([the_primary_is_killed_during_200_waits/1]).
-export([litefs_is_restarted/1]).
-export([promoted_while_it_waits/1]).
-export([application_of_the_primary_is_restarted/1]).

-define(REPO, 'Elixir.FullRepo').
-define(OTHER, 'Elixir.TestRepo').
-define(API, 'Elixir.EctoLiteFS').
-define(MULTI, 'Elixir.Ecto.Multi').

all() ->
    case os:getenv("CONSUL") of
        false -> [{group, wal}, {group, delete}, {group, alone}];
        _Path -> []
    end.

groups() ->
    Both = [all_kinds_of_writes_wait,
            a_position_travels,
            a_position_beside_many_writers,
            a_long_read_delays,
            nobody_waits_who_does_not_want_to,
            the_port_is_killed_meanwhile],
    [{wal, [], Both}, {delete, [], Both}, {alone, [], on_their_own()}].

on_their_own() ->
    [own_writes_are_here,
     own_writes_are_here_without_a_stream,
     ten_thousand_wait,
     without_tracking,
     nobody_knows_the_database,
     two_repos_on_one_database,
     two_histories,
     the_primary_is_killed_during_200_waits,
     litefs_is_restarted,
     promoted_while_it_waits,
     application_of_the_primary_is_restarted].

suite() ->
    [{timetrap, {seconds, 600}}].

init_per_suite(Config) ->
    e2e_cluster:skip_unless_possible(Config).

end_per_suite(_Config) ->
    ok.

init_per_group(alone, Config) ->
    Config;
init_per_group(Mode, Config) ->
    start(Mode, #{journal_mode => Mode}, Config).

end_per_group(alone, _Config) ->
    ok;
end_per_group(_Mode, Config) ->
    e2e_suite:stop(Config).

init_per_testcase(Case, Config) ->
    e2e_suite:begin_case(lists:member(Case, on_their_own()),
                         fun() -> start(Case, options(Case), Config) end, Config).

end_per_testcase(Case, Config) ->
    e2e_suite:end_case(lists:member(Case, on_their_own()), Config).

start(Name, Options, Config) ->
    e2e_suite:start(Name, Options#{repo => ?REPO}, Config).

options(own_writes_are_here_without_a_stream) ->
    #{supervisor => [{event_stream_url, nil}]};
options(the_primary_is_killed_during_200_waits) ->
    #{supervisor => [{await_timeout, 15_000}]}; % longer than 200 writes
options(without_tracking) ->
    #{supervisor => [{tracking, false}]};
options(_Case) ->
    #{}.

%%% A row that this node has forwarded

%% Beside a writer on the primary, and a LiteFS that is paused at random. A wait
%% of 250 ms ends before some of the pauses do, and then says so.
own_writes_are_here(Config) ->
    Cluster = e2e_suite:cluster(Config),
    Count = list_to_integer(os:getenv("READS", "1500")),
    Stop = stop_file(Config),
    Other = write_on_primary(Cluster, Stop),
    Pauses = pause_at_random(e2e_cluster:litefs(Cluster, b), Stop),
    Seen = e2e_cluster:call(Cluster, b, e2e_reader,
                            {insert_and_read,
                             [?REPO, Count, [{await_timeout, 250}]]},
                            infinity),
    ok = file:write_file(Stop, <<>>),
    Written = e2e_cluster:await(Other, 60_000),
    Paused = e2e_cluster:await(Pauses, 60_000),
    ct:pal("~b rows: ~p, ~b pauses, ~b rows of the other writer",
           [Count, Seen, Paused, length(Written)]),
    ?assertNot(maps:is_key(missed_rows, Seen)),
    ?assert(Paused > 1),
    ?assert(maps:get({reported, timeout}, Seen, 0) > 0),
    ?assert(maps:get(read, Seen) > Count div 2),
    ?assert(length(Written) > 10).

own_writes_are_here_without_a_stream(Config) ->
    Cluster = e2e_suite:cluster(Config),
    Stop = stop_file(Config),
    Other = write_on_primary(Cluster, Stop),
    ?assertEqual(#{read => 200},
                 e2e_cluster:call(Cluster, b, e2e_reader,
                                  {insert_and_read, [?REPO, 200, []]}, 60_000)),
    ok = file:write_file(Stop, <<>>),
    _ = e2e_cluster:await(Other, 60_000).

%% A read keeps each of them away until the call is known to wait.
all_kinds_of_writes_wait(Config) ->
    Cluster = e2e_suite:cluster(Config),
    Row = fun(Name) -> e2e_node:stamped(Name) end,
    Writes =
        [{<<"r1">>, {?REPO, insert, [Row(<<"r1">>)]}},
         {<<"r2">>, {?REPO, insert_all,
                     [<<"items">>, [#{name => <<"r2">>, value => 0}], []]}},
         {<<"r3">>, {?REPO, transaction,
                     [fun() -> ?REPO:insert(Row(<<"r3">>)) end, []]}},
         {<<"r4">>, {?REPO, transaction,
                     [?MULTI:insert(?MULTI:new(), one, Row(<<"r4">>)), []]}},
         {<<"r5">>, {?REPO, query,
                     ["INSERT INTO items (name) VALUES ('r5')", [], []]}},
         {<<"r6">>, {?API, run_on_primary,
                     [?REPO, {e2e_node, insert, [<<"r6">>]}]}}],
    [begin
         ok = hold_read(Cluster, b),
         Call = e2e_cluster:in_background(fun() ->
             e2e_cluster:call(Cluster, b, e2e_reader,
                              {write_read, [?REPO, Name, Write]})
         end),
         true = e2e_wait:until("it waits", fun() ->
             waiters(Cluster, b) =:= 1
         end),
         ok = release_read(Cluster, b),
         {_Value, Seen} = e2e_cluster:await(Call, 30_000),
         ?assertEqual({Name, read}, {Name, Seen})
     end || {Name, Write} <- Writes],
    ?assertEqual(6, maps:size(e2e_cluster:rows(Cluster, a))),
    ?assertEqual(0, waiters(Cluster, b)).

%% From the primary to a replica, and from one replica to the other: as text,
%% the way that a cookie takes it.
a_position_travels(Config) ->
    Cluster = e2e_suite:cluster(Config),
    [begin
         Name = iolist_to_binary(io_lib:format("~w ~w ~b",
                                                [From, To, N])),
         {{ok, _Item}, Position} = with_position(Cluster, From, Name),
         Text = 'Elixir.EctoLiteFS.Position':to_string(Position),
         {ok, Position} = 'Elixir.EctoLiteFS.Position':from_string(Text),
         ?assertEqual(ok, await(Cluster, To, Position, 5_000)),
         ?assert(maps:is_key(Name, e2e_cluster:rows(Cluster, To)))
     end || N <- lists:seq(1, 20), {From, To} <- [{a, b}, {a, c}, {b, c},
                                                  {c, b}, {b, a}]],
    {ok, Here} = position(Cluster, b),
    ?assertEqual(ok, await(Cluster, b, Here, 0)),
    ?assertEqual(ok, await(Cluster, a, Here, 5_000)),
    ?assertMatch({nothing, nil},
                 e2e_cluster:call(Cluster, b, ?API,
                                  {with_position,
                                   [?REPO, fun() -> nothing end]})).

%% Whose transactions come faster than anybody can ask.
a_position_beside_many_writers(Config) ->
    Cluster = e2e_suite:cluster(Config),
    Stop = stop_file(Config),
    Others = [write_on_primary(Cluster, Stop) || _ <- [1, 2, 3]],
    [begin
         Name = iolist_to_binary(io_lib:format("mine ~b", [N])),
         {{ok, _Item}, #{} = Position} = with_position(Cluster, a, Name),
         ?assertEqual(ok, await(Cluster, b, Position, 5_000)),
         ?assert(maps:is_key(Name, e2e_cluster:rows(Cluster, b)))
     end || N <- lists:seq(1, 50)],
    ok = file:write_file(Stop, <<>>),
    _ = [e2e_cluster:await(Other, 60_000) || Other <- Others].

a_long_read_delays(Config) ->
    Cluster = e2e_suite:cluster(Config),
    ok = hold_read(Cluster, b),
    ?assertEqual({reported, timeout},
                 e2e_cluster:call(Cluster, b, e2e_reader,
                                  {insert_read,
                                   [?REPO, <<"late">>,
                                    [{await_timeout, 300}]]})),
    ok = release_read(Cluster, b),
    1 = e2e_cluster:await_row(Cluster, b, <<"late">>).

nobody_waits_who_does_not_want_to(Config) ->
    Cluster = e2e_suite:cluster(Config),
    ok = hold_read(Cluster, b),
    {{returned, {ok, _Item}}, Us} = timed(fun() ->
        e2e_cluster:repo(Cluster, b, insert,
                         [e2e_node:stamped(<<"late">>), [{await, false}]])
    end),
    ?assert(Us < 4_000_000),
    ?assertNot(maps:is_key(<<"late">>, e2e_cluster:rows(Cluster, b))),
    ?assertMatch({raised, #{'__struct__' := 'Elixir.ArgumentError'}},
                 e2e_cluster:repo(Cluster, b, insert,
                                  [e2e_node:stamped(<<"bad">>),
                                   [{await, maybe_}]])),
    ok = release_read(Cluster, b),
    1 = e2e_cluster:await_row(Cluster, b, <<"late">>),
    ?assertNot(maps:is_key(<<"bad">>, e2e_cluster:rows(Cluster, a))).

%% Without an event stream each wait for a position that this node has passed
%% reads the row, so needs the program. A dead one makes a wait late, or it is
%% reported; it is never taken for another history.
the_port_is_killed_meanwhile(Config) ->
    Cluster = e2e_suite:cluster(Config),
    ok = e2e_cluster:restart_supervisor(Cluster, b, [{event_stream_url, nil}]),
    ok = e2e_cluster:await_role(Cluster, b, replica),
    {{ok, _Item}, Passed} = with_position(Cluster, a, <<"passed">>),
    {ok, _Later} = e2e_cluster:insert(Cluster, b, <<"later">>),
    Stop = stop_file(Config),
    [Killer, Writer] =
        [e2e_cluster:in_background(fun() ->
             e2e_cluster:call(Cluster, b, Module, Call, infinity)
         end) || {Module, Call} <-
                     [{e2e_port, {kill_until, [?REPO, Stop]}},
                      {e2e_reader, {insert_and_read, [?REPO, 100, []]}}]],
    Outcomes = e2e_cluster:call(Cluster, b, e2e_reader,
                                {await_often, [?REPO, 200, Passed, 5_000]},
                                120_000),
    Seen = e2e_cluster:await(Writer, 60_000),
    ok = file:write_file(Stop, <<>>),
    Killed = e2e_cluster:await(Killer, 60_000),
    ct:pal("~b port programs were killed: ~p, ~p", [Killed, Outcomes, Seen]),
    ok = e2e_cluster:restart_supervisor(Cluster, b, []),
    ok = e2e_cluster:await_role(Cluster, b, replica),
    ?assert(Killed >= 10),
    ?assert(maps:get(ok, Outcomes) > 150),
    ?assertEqual([], maps:keys(Outcomes) -- [ok, timeout, unavailable]),
    ?assertNot(maps:is_key(missed_rows, Seen)),
    ?assert(maps:get(read, Seen) > 50).

%% For a row that a long read keeps away. With a stream they read nothing and
%% poll nothing, however long: that is seen for two seconds, in which a poll would
%% be hundreds of reads. What is left is the look at a node that has just started.
ten_thousand_wait(Config) ->
    Cluster = e2e_suite:cluster(Config),
    OsPid = e2e_cluster:call(Cluster, b, os, {getpid, []}),
    ok = hold_read(Cluster, b),
    {{ok, _Item}, Position} = with_position(Cluster, a, <<"late">>),
    Waits = e2e_cluster:in_background(fun() ->
        e2e_cluster:call(Cluster, b, e2e_reader,
                         {await_at_once, [?REPO, 10_000, Position, 60_000]},
                         90_000)
    end),
    true = e2e_wait:until("10,000 wait", 30_000, fun() ->
        waiters(Cluster, b) =:= 10_000
    end),
    #{open := Open, reads := Reads, waits := Switches} =
        e2e_mount_thread:watch(OsPid, 2_000),
    ct:pal("~b position files, ~b reads, ~b waits", [Open, Reads, Switches]),
    ?assert(Open =< 1),
    ?assert(Reads < 20),
    ?assert(Switches < 50),
    ?assertEqual(10_000, waiters(Cluster, b)),
    ok = release_read(Cluster, b),
    ?assertEqual([ok], lists:usort(e2e_cluster:await(Waits, 60_000))),
    ?assertEqual(0, waiters(Cluster, b)).

without_tracking(Config) ->
    Cluster = e2e_suite:cluster(Config),
    ?assertEqual(#{read => 100},
                 e2e_cluster:call(Cluster, b, e2e_reader,
                                  {insert_and_read, [?REPO, 100, []]}, 60_000)),
    {{ok, _}, #{term := 0} = Position} =
        with_position(Cluster, a, <<"untracked">>),
    ?assertEqual(ok, await(Cluster, c, Position, 5_000)),
    ?assert(maps:is_key(<<"untracked">>, e2e_cluster:rows(Cluster, c))),
    {returned, {ok, #{rows := Tables}}} =
        e2e_cluster:repo(Cluster, a, query,
                         ["SELECT name FROM sqlite_master "
                          "WHERE name LIKE '%litefs%'"]),
    ?assertEqual([], Tables).

%% Which of LiteFS's databases is this Repo's its primary cannot know: each wait
%% says so, and the option says which.
nobody_knows_the_database(Config) ->
    Cluster = e2e_suite:cluster(Config),
    [ok = e2e_cluster:call(Cluster, Name, e2e_reader,
                           {add_nameless_repo,
                            [?OTHER, e2e_cluster:database(Cluster, Name)]})
     || Name <- [a, b]],
    Insert = fun(Row) ->
        e2e_cluster:call(Cluster, b, e2e_reader, {insert_read, [?OTHER, Row, []]})
    end,
    _ = e2e_wait:until("the primary is found", fun() ->
        e2e_cluster:call(Cluster, b, ?API, {get_primary, [?OTHER]})
            =:= {ok, e2e_cluster:erlang_node(Cluster, a)}
    end),
    ?assertEqual({reported, unavailable}, Insert(<<"one">>)),
    ?assertEqual({reported, unavailable}, Insert(<<"two">>)),
    {ok, #{last_error := #{what := {await, unavailable}, text := Text}}} =
        e2e_cluster:call(Cluster, b, ?API, {status, [?OTHER]}),
    ?assertMatch({match, _}, re:run(Text, "unavailable")).

%% They have one row, and so one term, however many promotions there are.
two_repos_on_one_database(Config) ->
    Cluster = e2e_suite:cluster(Config),
    [ok = e2e_cluster:call(Cluster, Name, e2e_reader,
                           {add_repo, [?OTHER,
                                       e2e_cluster:database(Cluster, Name)]})
     || Name <- [a, b, c]],
    [begin
         ok = litefs_cluster:hand_over(e2e_cluster:litefs(Cluster), New),
         ok = e2e_cluster:await_roles(Cluster, [{New, primary},
                                                {Other, replica}]),
         [?assertEqual(#{read => 20},
                       e2e_cluster:call(Cluster, Other, e2e_reader,
                                        {insert_and_read, [Repo, 20, []]},
                                        60_000))
          || _ <- [1, 2], Repo <- [?REPO, ?OTHER]],
         [Term, Term] = [e2e_cluster:call(Cluster, New, ecto_litefs_tracking,
                                          {await_term, [Repo, 5_000]})
                         || Repo <- [?REPO, ?OTHER]],
         {ok, #{term := Row}} = e2e_cluster:call(Cluster, New,
                                                 ecto_litefs_tracking,
                                                 {read, [?REPO, 5_000]}),
         ?assertEqual({ok, Row}, Term)
     end || {New, Other} <- [{b, a}, {c, b}, {a, c}]].

%%% Two histories

%% What A has written last is lost: B goes on without it, in transactions of the
%% same numbers. Neither position is taken for the other, anywhere.
two_histories(Config) ->
    Cluster = e2e_suite:cluster(Config),
    _ = [litefs_node:stop(e2e_cluster:litefs(Cluster, Name)) || Name <- [b, c]],
    {{ok, _}, _} = with_position(Cluster, a, <<"lost 1">>),
    {{ok, _}, PositionA} = with_position(Cluster, a, <<"lost 2">>),
    _ = litefs_node:stop(e2e_cluster:litefs(Cluster, a)),
    _ = [ok = e2e_cluster:await_role(Cluster, Name, unknown)
         || Name <- [a, b, c]],
    ok = start_litefs(Cluster, b),
    ok = e2e_cluster:await_role(Cluster, b, primary),
    PositionB = write_up_to(txid(PositionA), Cluster, b),
    ?assertEqual(txid(PositionA), txid(PositionB)),
    ?assertNotEqual(PositionA, PositionB),
    ?assertEqual(ok, await(Cluster, b, PositionB, 5_000)),
    ?assertEqual({error, other_term}, await(Cluster, b, PositionA, 5_000)),
    ok = start_litefs(Cluster, a),
    ?assertEqual(ok, await(Cluster, a, PositionB, 20_000)),
    ?assertEqual({error, other_term}, await(Cluster, a, PositionA, 20_000)),
    {{ok, _}, Later} = with_position(Cluster, b, <<"later">>),
    ?assertEqual(ok, await(Cluster, a, Later, 20_000)),
    ?assertEqual(ok, await(Cluster, a, PositionB, 20_000)),
    ?assertEqual({error, other_term}, await(Cluster, a, PositionA, 20_000)),
    Rows = e2e_cluster:rows(Cluster, a),
    ?assertNot(maps:is_key(<<"lost 2">>, Rows)).

write_up_to(TxId, Cluster, Name) ->
    Row = integer_to_binary(erlang:unique_integer([positive])),
    case with_position(Cluster, Name, Row) of
        {{ok, _}, #{txid := TxId} = Position} -> Position;
        {{ok, _}, #{txid := Earlier}} when Earlier < TxId ->
            write_up_to(TxId, Cluster, Name)
    end.

txid(#{txid := TxId}) -> TxId.

%%% Faults

%% 200 rows are written on the primary while the LiteFS of the caller stands
%% still; then the primary is killed.
the_primary_is_killed_during_200_waits(Config) ->
    Cluster = e2e_suite:cluster(Config),
    LiteFS = e2e_cluster:litefs(Cluster, b),
    Before = e2e_database:position(Cluster, a),
    ok = litefs_node:freeze(LiteFS),
    Inserts = e2e_cluster:in_background(fun() ->
        e2e_cluster:call(Cluster, b, e2e_node, {insert_at_once, [200, 1]},
                         60_000)
    end),
    true = e2e_wait:until("all are written, and wait", 30_000, fun() ->
        Seen = {e2e_database:position(Cluster, a) >= Before + 200,
                waiters(Cluster, b)},
        Seen =:= {true, 200} orelse Seen
    end),
    _ = litefs_node:kill(e2e_cluster:litefs(Cluster, a)),
    ok = litefs_node:thaw(LiteFS),
    {Rows, Us} = timed(fun() -> e2e_cluster:await(Inserts, 60_000) end),
    ct:pal("200 waits ended after ~b ms", [Us div 1000]),
    ?assertEqual(200, length([ok || {returned, {ok, _}, _, _} <- Rows])),
    ?assert(Us < 20_000_000),
    ?assertEqual(0, waiters(Cluster, b)).

%% Under the application: that of the replica, then that of the primary. Nobody
%% reads before the pool has new handles: SQLite maps its shared memory from
%% LiteFS, and to touch that of a dead one ends the VM with SIGBUS.
litefs_is_restarted(Config) ->
    Cluster = e2e_suite:cluster(Config),
    read_all(Cluster, b, 20),
    [begin
         _ = litefs_node:End(e2e_cluster:litefs(Cluster, b)),
         ok = e2e_cluster:await_role(Cluster, b, unknown),
         ok = start_litefs(Cluster, b),
         ok = e2e_cluster:await_role(Cluster, b, replica),
         read_all(Cluster, b, 20)
     end || End <- [stop, kill, stop, kill]],
    _ = litefs_node:kill(e2e_cluster:litefs(Cluster, a)),
    ok = e2e_cluster:await_role(Cluster, a, unknown),
    New = litefs_cluster:await_primary(e2e_cluster:litefs(Cluster), [b, c]),
    ok = start_litefs(Cluster, a),
    [ok, ok] = [e2e_cluster:await_role(Cluster, Name, replica)
                || Name <- [a, b, c] -- [New]],
    [read_all(Cluster, Name, 20) || Name <- [a, b, c] -- [New]].

%% Whoever waits on it for what a later primary has lost, or never had, is told;
%% what it has itself is there.
promoted_while_it_waits(Config) ->
    Cluster = e2e_suite:cluster(Config),
    {{ok, _}, Position} = with_position(Cluster, a, <<"first">>),
    ok = await(Cluster, b, Position, 5_000),
    Never = Position#{txid := txid(Position) + 1_000_000},
    Waits = e2e_cluster:in_background(fun() ->
        e2e_cluster:call(Cluster, b, e2e_reader,
                         {await_at_once, [?REPO, 50, Never, 4_000]}, 30_000)
    end),
    true = e2e_wait:until("50 wait", fun() ->
        waiters(Cluster, b) =:= 50
    end),
    ok = litefs_cluster:hand_over(e2e_cluster:litefs(Cluster), b),
    ?assertEqual([{error, timeout}],
                 lists:usort(e2e_cluster:await(Waits, 30_000))),
    {{ok, _}, New} = with_position(Cluster, b, <<"second">>),
    ?assertEqual(ok, await(Cluster, a, New, 10_000)),
    ?assertEqual({error, other_term}, await(Cluster, a, Position, 10_000)).

%% Its LiteFS goes on and says nothing, but the term is another one.
application_of_the_primary_is_restarted(Config) ->
    Cluster = e2e_suite:cluster(Config),
    {{ok, _}, Former} = with_position(Cluster, a, <<"former">>),
    read_all(Cluster, b, 20),
    ok = e2e_cluster:restart_beam(Cluster, a),
    ok = e2e_cluster:await_role(Cluster, a, primary),
    Stop = stop_file(Config),
    Other = write_on_primary(Cluster, Stop),
    read_all(Cluster, b, 100),
    ok = file:write_file(Stop, <<>>),
    _ = e2e_cluster:await(Other, 60_000),
    {{ok, _}, Later} = with_position(Cluster, a, <<"later">>),
    ?assertNotEqual(maps:get(term, Former), maps:get(term, Later)),
    ?assertEqual(ok, await(Cluster, b, Later, 5_000)),
    ?assertEqual({error, other_term}, await(Cluster, c, Former, 5_000)).

%%% Helpers

%% As a machine does: again and again. While anything of the application is open
%% on the dead mount LiteFS may refuse.
start_litefs(Cluster, Name) ->
    true = e2e_wait:until("LiteFS has started", 20_000, fun() ->
        case litefs_node:start(e2e_cluster:litefs(Cluster, Name)) of
            ok -> true;
            {error, Reason} -> Reason
        end
    end),
    ok.

with_position(Cluster, Name, Row) ->
    e2e_cluster:call(Cluster, Name, e2e_reader,
                     {insert_with_position, [?REPO, Row]}).

position(Cluster, Name) ->
    e2e_cluster:call(Cluster, Name, ?API, {position, [?REPO]}).

await(Cluster, Name, Position, Ms) ->
    e2e_cluster:call(Cluster, Name, ?API, {await, [?REPO, Position, Ms]},
                     Ms + 30_000).

waiters(Cluster, Name) ->
    e2e_cluster:call(Cluster, Name, ecto_litefs_await, {waiters, [?REPO]}).

read_all(Cluster, Name, Count) ->
    ?assertEqual(#{read => Count},
                 e2e_cluster:call(Cluster, Name, e2e_reader,
                                  {insert_and_read, [?REPO, Count, []]},
                                  60_000)).

hold_read(Cluster, Name) ->
    Database = e2e_cluster:database(Cluster, Name),
    e2e_cluster:call(Cluster, Name, e2e_reader,
                     {hold_read, [Database, e2e_long_read]}).

release_read(Cluster, Name) ->
    e2e_cluster:call(Cluster, Name, e2e_reader,
                     {release, [e2e_long_read]}).

timed(Fun) ->
    From = e2e_wait:us(),
    Value = Fun(),
    {Value, e2e_wait:us() - From}.

stop_file(Config) ->
    Unique = integer_to_list(erlang:unique_integer([positive])),
    filename:join(proplists:get_value(priv_dir, Config), "stop" ++ Unique).

write_on_primary(Cluster, Stop) ->
    e2e_cluster:in_background(fun() ->
        e2e_cluster:call(Cluster, a, e2e_node,
                         {write_until, [Stop, unique("other")]},
                         infinity)
    end).

unique(Name) ->
    Name ++ integer_to_list(erlang:unique_integer([positive])).

%% How often. Each second one is longer than a wait.
pause_at_random(LiteFS, Stop) ->
    e2e_cluster:in_background(fun() -> pause(LiteFS, Stop, 0) end).

pause(LiteFS, Stop, Count) ->
    timer:sleep(rand:uniform(1_000)),
    ok = litefs_node:freeze(LiteFS),
    timer:sleep(rand:uniform(300) + 300 * (Count rem 2)),
    ok = litefs_node:thaw(LiteFS),
    case filelib:is_file(Stop) of
        true -> Count + 1;
        false -> pause(LiteFS, Stop, Count + 1)
    end.
