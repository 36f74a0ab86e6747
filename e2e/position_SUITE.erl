%% Positions and names on real LiteFS, as the NIF gives them: are they those of
%% LiteFS, and does asking for them keep it from stopping and starting?
%%
%% No Repo and no pool: the only descriptors on the mounts are the NIF's own.
-module(position_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([all/0]).
-export([suite/0]).
-export([init_per_suite/1]).
-export([end_per_suite/1]).
-export([init_per_testcase/2]).
-export([end_per_testcase/2]).

-export([check_gives_the_position_after_the_commit/1]).
-export([replica_is_hinted_and_has_the_position/1]).
-export([without_a_stream_a_watched_position_is_followed/1]).
-export([unknown_after_the_stream_was_lost_until_it_is_read/1]).
-export([one_of_many_databases_has_a_place/1]).
-export([another_primary_is_another_era_before_its_positions/1]).
-export([primary_knows_its_own_hostname/1]).
-export([clean_stop_between_checks/1]).
-export([stop_right_after_a_check/1]).
-export([kill_right_after_a_check/1]).
-export([stop_while_a_position_is_watched/1]).

-define(nif, ecto_litefs_nif).
-define(DB, <<"app.db">>).
-define(KEPT, 16). % databases

all() ->
    [check_gives_the_position_after_the_commit,
     replica_is_hinted_and_has_the_position,
     without_a_stream_a_watched_position_is_followed,
     unknown_after_the_stream_was_lost_until_it_is_read,
     one_of_many_databases_has_a_place,
     another_primary_is_another_era_before_its_positions,
     primary_knows_its_own_hostname,
     clean_stop_between_checks,
     stop_right_after_a_check,
     kill_right_after_a_check,
     stop_while_a_position_is_watched].

suite() ->
    [{timetrap, {seconds, 60}}].

init_per_suite(Config) ->
    e2e_cluster:skip_unless_possible(Config).

end_per_suite(_Config) ->
    ok.

init_per_testcase(Case, Config) ->
    LogDir = filename:join(proplists:get_value(priv_dir, Config), Case),
    Cluster = litefs_cluster:start(#{log_dir => LogDir}),
    write(Cluster, a, "CREATE TABLE t (x)"),
    [{cluster, Cluster} | Config].

end_per_testcase(_Case, Config) ->
    litefs_cluster:destroy(proplists:get_value(cluster, Config)).

%%% What is read

check_gives_the_position_after_the_commit(Config) ->
    Cluster = cluster(Config),
    Handle = open(Cluster, a),
    {ok, Db} = open_database(Cluster, a),
    Positions = [begin
                     insert(Db),
                     File = file_position(Cluster, a),
                     ?assertEqual({primary, File}, check(Handle, ?DB)),
                     ?assertEqual(File, position(Handle, ?DB)),
                     File
                 end || _ <- lists:seq(1, 50)],
    ?assertEqual(Positions, lists:ukeysort(1, Positions)),
    ?assertEqual(50, length(lists:usort(Positions))),
    ok = ecto_litefs_test_sqlite:close(Db),
    ?assertEqual({primary, none}, check(Handle, none)),
    ?assertEqual({primary, none}, check(Handle, <<"other.db">>)),
    Last = lists:last(Positions),
    B = open(Cluster, b),
    true = e2e_wait:until("the replica has it", fun() ->
        check(B, ?DB) =:= {replica, Last}
    end),
    ?assertEqual(file_position(Cluster, b), Last).

replica_is_hinted_and_has_the_position(Config) ->
    Cluster = cluster(Config),
    {A, B} = {open(Cluster, a), open(Cluster, b)},
    ok = ?nif:subscribe(B),
    {ok, Db} = open_database(Cluster, a),
    [begin
         insert(Db),
         {primary, Position} = check(A, ?DB),
         ok = await_hint(B, Position)
     end || _ <- lists:seq(1, 20)],
    ok = ecto_litefs_test_sqlite:close(Db),
    ?assertEqual(file_position(Cluster, b), position(B, ?DB)).

without_a_stream_a_watched_position_is_followed(Config) ->
    Cluster = cluster(Config),
    A = open(Cluster, a),
    B = open(Cluster, b, undefined),
    ok = ?nif:subscribe(B),
    ok = ?nif:watch_position(B, ?DB, true),
    {ok, Db} = open_database(Cluster, a),
    [begin
         insert(Db),
         {primary, Position} = check(A, ?DB),
         ok = await_hint(B, Position)
     end || _ <- lists:seq(1, 20)],
    ok = ecto_litefs_test_sqlite:close(Db),
    ok = ?nif:watch_position(B, ?DB, false),
    no_descriptor(Cluster, b),
    true = e2e_wait:until("what was read is of the past", fun() ->
        position(B, ?DB) =:= unknown
    end).

%% The stream has told of as many others as are kept, before somebody wants to
%% know this one.
one_of_many_databases_has_a_place(Config) ->
    Cluster = cluster(Config),
    B = open(Cluster, b),
    ok = ?nif:subscribe(B),
    _ = [write(Cluster, a, "CREATE TABLE t (x)",
               <<"tenant", (integer_to_binary(N))/binary, ".db">>)
         || N <- lists:seq(1, ?KEPT + 3)],
    true = e2e_wait:until("all places are taken", fun() ->
        case ?nif:positions(B) of
            Positions when map_size(Positions) =:= ?KEPT ->
                not is_map_key(?DB, Positions);
            Fewer ->
                Fewer
        end
    end),
    ok = ?nif:watch_position(B, ?DB, true),
    {ok, Db} = open_database(Cluster, a),
    ok = await_hint(B, file_position(Cluster, a)),
    insert(Db),
    ok = await_hint(B, file_position(Cluster, a)),
    ok = ecto_litefs_test_sqlite:close(Db).

unknown_after_the_stream_was_lost_until_it_is_read(Config) ->
    Cluster = cluster(Config),
    B = open(Cluster, b),
    ok = ?nif:watch_position(B, ?DB, true),
    Before = file_position(Cluster, b),
    true = e2e_wait:until("it was read", fun() ->
        position(B, ?DB) =:= Before
    end),
    Node = litefs_cluster:node(Cluster, b),
    _ = litefs_node:kill(Node),
    true = e2e_wait:until("it is not known any more", fun() ->
        position(B, ?DB) =:= unknown
    end),
    write(Cluster, a, "INSERT INTO t VALUES (0)"),
    ok = litefs_node:start(Node),
    After = file_position(Cluster, a),
    ok = ready(B),
    true = e2e_wait:until("it was read again", fun() ->
        position(B, ?DB) =:= After
    end).

%% B is asked without a pause, and nothing but the stream tells it a position.
another_primary_is_another_era_before_its_positions(Config) ->
    Cluster = cluster(Config),
    B = open(Cluster, b),
    write(Cluster, a, "INSERT INTO t VALUES (1)"),
    Old = file_position(Cluster, a),
    true = e2e_wait:until("the replica was told", fun() ->
        position(B, ?DB) =:= Old
    end),
    {Old, Era} = ?nif:position(B, ?DB),
    Self = self(),
    Watcher = spawn_link(fun() -> Self ! {self(), first_other(B, Old)} end),
    ok = litefs_cluster:hand_over(Cluster, c),
    write(Cluster, c, "INSERT INTO t VALUES (2)"),
    receive
        {Watcher, {_TxId, Later}} -> ?assert(Later > Era)
    after 30000 -> error(no_position)
    end.

first_other(Handle, Old) ->
    case ?nif:position(Handle, ?DB) of
        {{_, _} = Position, Era} when Position =/= Old -> {Position, Era};
        _ -> first_other(Handle, Old)
    end.

%% C is told at once, and A still knows its own afterwards.
primary_knows_its_own_hostname(Config) ->
    Cluster = cluster(Config),
    {A, C} = {open(Cluster, a), open(Cluster, c)},
    true = e2e_wait:until("it is known", fun() -> own(A) =:= <<"a">> end),
    ?assertEqual(<<>>, own(C)),
    ok = litefs_cluster:hand_over(Cluster, c),
    true = e2e_wait:until("it is primary", fun() ->
        ?nif:role(C) =:= primary
    end),
    Promoted = e2e_wait:us(),
    true = e2e_wait:until("it is known", fun() -> own(C) =:= <<"c">> end),
    ct:pal("known ~b us after the role", [e2e_wait:us() - Promoted]),
    ?assert(e2e_wait:us() - Promoted < 1000000),
    ?assertEqual(<<"a">>, own(A)).

own(Handle) ->
    maps:get(own_hostname, ?nif:snapshot(Handle)).

%%% What LiteFS notices of it

%% A stop that meets an open descriptor does not unmount: it ends with status 1
%% and leaves a dead mount. On a busy machine it may meet a look.
clean_stop_between_checks(Config) ->
    Cluster = cluster(Config),
    Handle = open(Cluster, b),
    mostly_clean([begin
                      {replica, {_TxId, _Checksum}} = check(Handle, ?DB),
                      no_descriptor(Cluster, b),
                      restart(Cluster, Handle)
                  end || _ <- lists:seq(1, 10)]).

%% The descriptor is closed when the stream breaks off, which may or may not be
%% before LiteFS unmounts; but LiteFS can always start again.
stop_right_after_a_check(Config) ->
    Cluster = cluster(Config),
    Handle = open(Cluster, b),
    Statuses = [begin
                    _ = [check(Handle, ?DB) || _ <- lists:seq(1, 50)],
                    restart(Cluster, Handle)
                end || _ <- lists:seq(1, 20)],
    ct:pal("~b of 20 stops right after a check did unmount",
           [length([0 || 0 <- Statuses])]).

kill_right_after_a_check(Config) ->
    Cluster = cluster(Config),
    Handle = open(Cluster, b),
    [begin
         _ = [check(Handle, ?DB) || _ <- lists:seq(1, 50)],
         _ = litefs_node:kill(litefs_cluster:node(Cluster, b)),
         start(Cluster, Handle)
     end || _ <- lists:seq(1, 5)].

%% The polls begin when the stream is lost, which is when LiteFS stops.
stop_while_a_position_is_watched(Config) ->
    Cluster = cluster(Config),
    Handle = open(Cluster, b),
    ok = ?nif:watch_position(Handle, ?DB, true),
    mostly_clean([begin
                      true = e2e_wait:until("it was read", fun() ->
                          position(Handle, ?DB) =/= unknown
                      end),
                      %% That is before the second answer.
                      _ = [check(Handle, none) || _ <- [1, 2]],
                      no_descriptor(Cluster, b),
                      restart(Cluster, Handle)
                  end || _ <- lists:seq(1, 10)]).

mostly_clean(Statuses) ->
    ?assertMatch({Clean, _} when Clean >= 7,
                 {length([0 || 0 <- Statuses]), Statuses}).

%% How it ended.
restart(Cluster, Handle) ->
    Status = litefs_node:stop(litefs_cluster:node(Cluster, b)),
    start(Cluster, Handle),
    Status.

start(Cluster, Handle) ->
    no_descriptor(Cluster, b),
    Node = litefs_cluster:node(Cluster, b),
    ?assertEqual(ok, litefs_node:start(Node)),
    ?assertEqual(1, litefs_node:layers(litefs_node:mount_dir(Node))),
    true = e2e_wait:until("a check gives role and position", fun() ->
        ok = ready(Handle),
        case check(Handle, ?DB) of
            {replica, {_TxId, _Checksum}} -> true;
            Other -> Other
        end
    end).

%%% The NIF

open(Cluster, Name) ->
    Port = litefs_node:port(litefs_cluster:node(Cluster, Name)),
    open(Cluster, Name, iolist_to_binary(["http://127.0.0.1:",
                                          integer_to_list(Port), "/events"])).

open(Cluster, Name, Url) ->
    {ok, Handle} = ?nif:open(#{primary_file => path(Cluster, Name, ".primary"),
                               events_url => Url, poll_interval => 1000,
                               mount => required, litefs_seen => true}),
    ok = ready(Handle),
    Handle.

%% There is no pool to reconnect.
ready(Handle) ->
    true = e2e_wait:until("the role is known", fun() ->
        case ?nif:snapshot(Handle) of
            #{reconnect := {pending, Epoch}} ->
                ok = ?nif:reconnected(Handle, Epoch),
                pending;
            #{role := Role, stream := Stream} = Snapshot ->
                (lists:member(Role, [primary, replica])
                 andalso lists:member(Stream, [up, off])) orelse Snapshot
        end
    end),
    ok.

check(Handle, Db) ->
    Ref = make_ref(),
    ok = ?nif:check(Handle, Ref, Db),
    receive
        {ecto_litefs_check, Ref, Role, Position} -> {Role, Position}
    after 10000 -> error(no_answer)
    end.

position(Handle, Db) ->
    {Position, _Era} = ?nif:position(Handle, Db),
    Position.

await_hint(Handle, Position) ->
    case ?nif:positions(Handle) of
        #{?DB := Position} ->
            ok;
        Other ->
            receive
                {ecto_litefs_position, Handle} -> await_hint(Handle, Position)
            after 10000 -> error({no_hint, Position, Other})
            end
    end.

%% Soon this VM has nothing open on the mount.
no_descriptor(Cluster, Name) ->
    Mount = litefs_node:mount_dir(litefs_cluster:node(Cluster, Name)),
    true = e2e_wait:until("nothing is open on the mount", 1000, fun() ->
        {ok, Descriptors} = file:list_dir("/proc/self/fd"),
        Targets = [file:read_link(filename:join("/proc/self/fd", D))
                   || D <- Descriptors],
        [] =:= [T || {ok, T} <- Targets,
                     string:prefix(T, Mount) =/= nomatch]
    end).

%%% The database

write(Cluster, Name, Sql) ->
    write(Cluster, Name, Sql, ?DB).

write(Cluster, Name, Sql, File) ->
    {ok, Db} = open_database(Cluster, Name, File),
    _ = ecto_litefs_test_sqlite:execute(Db, Sql, []),
    ecto_litefs_test_sqlite:close(Db).

open_database(Cluster, Name) ->
    open_database(Cluster, Name, ?DB).

open_database(Cluster, Name, File) ->
    ecto_litefs_test_sqlite:open(#{database => path(Cluster, Name, File),
                                   journal_mode => wal}).

insert(Db) ->
    ecto_litefs_test_sqlite:execute(Db, "INSERT INTO t VALUES (0)", []).

file_position(Cluster, Name) ->
    {ok, <<TxId:16/binary, "/", Checksum:16/binary, "\n">>} =
        file:read_file(path(Cluster, Name, [?DB, "-pos"])),
    {binary_to_integer(TxId, 16), binary_to_integer(Checksum, 16)}.

path(Cluster, Name, File) ->
    Mount = litefs_node:mount_dir(litefs_cluster:node(Cluster, Name)),
    iolist_to_binary([Mount, "/", File]).

cluster(Config) ->
    proplists:get_value(cluster, Config).
