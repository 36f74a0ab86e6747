%% The tracking process with the real port program, real SQLite and the real
%% NIF, which a test tells what role it has. What the detector would see of LiteFS
%% is made up here; e2e/tracking_SUITE has the real one.
-module(tracking_process_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_testcase/2, end_per_testcase/2]).
-export([promoted/1,
         read_by_1_0/1,
         one_write/1,
         restarted/1,
         demoted/1,
         unknown_keeps_the_term/1,
         interrupted_unseen/1,
         hostname_comes_later/1,
         waits_for_the_row/1,
         not_waited_for/1,
         written_when_it_can_be/1,
         without_a_database/1,
         not_tracked/1,
         plain/1,
         port_killed/1,
         tables_lost/1,
         let_go_of_another_mount/1,
         cached/1,
         forced/1,
         expired/1,
         shared/1,
         invalidated/1,
         late/1,
         database/1,
         config_that_raises/1,
         config_that_hangs/1]).

%% The Repo's own.
-export([config/0]).

-define(TRACKING, ecto_litefs_tracking).
-define(PORT, ecto_litefs_port).
-define(PROGRAM, ecto_litefs_test_program).
-define(SQLITE, ecto_litefs_test_sqlite).
-define(WAIT, ecto_litefs_test_wait).
-define(LOG, ecto_litefs_test_log).

-define(TABLE, "_ecto_litefs_primary").
-define(LONG, 10_000).       % nothing takes that long

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    [promoted, read_by_1_0, one_write, restarted, demoted,
     unknown_keeps_the_term, interrupted_unseen, hostname_comes_later,
     waits_for_the_row, not_waited_for, written_when_it_can_be,
     without_a_database, not_tracked, plain, port_killed, tables_lost,
     let_go_of_another_mount, cached, forced, expired, shared, invalidated,
     late, database, config_that_raises, config_that_hangs].

init_per_testcase(Name, Config) ->
    Directory = filename:join(?config(priv_dir, Config), atom_to_list(Name)),
    ok = filelib:ensure_path(Directory),
    Path = filename:join(Directory, "app.db"),
    ok = ?LOG:start(),
    ok = ?TRACKING:new(),
    {ok, Other} = ?SQLITE:open(#{database => Path, journal_mode => wal,
                                 busy_timeout => 0}),
    ok = sql(Other, "CREATE TABLE items (name TEXT)"),
    [{repo, list_to_atom("Elixir.TrackingProcess." ++ atom_to_list(Name))},
     {directory, list_to_binary(Directory)}, {path, list_to_binary(Path)},
     {other, Other} | Config].

end_per_testcase(_Name, Config) ->
    Repo = ?config(repo, Config),
    _ = ?LOG:stop(),
    _ = persistent_term:erase({ecto_litefs, Repo}),
    _ = persistent_term:erase({ecto_litefs_primaryship, Repo}),
    ok = ?SQLITE:close(?config(other, Config)).

%% -- the row -----------------------------------------------------------------

promoted(Config) ->
    #{repo := Repo} = World = start(Config),
    ?assertEqual(none, ?TRACKING:term(Repo)),
    ?assertEqual(none, ?TRACKING:await_term(Repo, ?LONG)),
    Before = erlang:system_time(millisecond),
    promote(World),
    {ok, Term} = ?TRACKING:await_term(Repo, ?LONG),
    ?assertEqual({ok, Term}, ?TRACKING:term(Repo)),
    ?assertEqual({ok, Term}, ecto_litefs_primaryship:term(Repo)),
    Program = ?PROGRAM:pid(maps:get(port, World)),
    ?WAIT:until([], fun() -> ?PROGRAM:descriptors(Program) end), % let go of
    {ok, Row} = ?TRACKING:row(Repo, false, ?LONG),
    Node = atom_to_binary(node()),
    ?assertMatch(#{node := Node, term := Term, hostname := undefined}, Row),
    #{started_at := StartedAt, updated_at := UpdatedAt} = Row,
    ?assert(abs(StartedAt - Before) < 5_000),
    ?assert(abs(UpdatedAt - Before div 1000) < 5),
    ?assertEqual([], ?LOG:lines()).

read_by_1_0(Config) ->
    #{repo := Repo} = World = start(Config),
    promote(World),
    {ok, _Term} = ?TRACKING:await_term(Repo, ?LONG),
    Node = atom_to_binary(node()),
    ?assertMatch([{1, Node, Time}] when is_integer(Time),
                 rows(Config, "SELECT id, node_name, updated_at FROM " ?TABLE)).

one_write(Config) ->
    #{repo := Repo} = World = start(Config),
    promote(World),
    {ok, _Term} = ?TRACKING:await_term(Repo, ?LONG),
    Written = changes(Config),
    [promote(World) || _ <- lists:seq(1, 5)],
    {ok, _} = ?TRACKING:row(Repo, true, ?LONG), % it has seen them
    ?assertEqual(Written, changes(Config)).

restarted(Config) ->
    #{repo := Repo} = World = start(Config),
    promote(World),
    {ok, Term} = ?TRACKING:await_term(Repo, ?LONG),
    Written = changes(Config),
    ok = stop(World),
    promote(start_process(World)),
    {ok, Term} = ?TRACKING:await_term(Repo, ?LONG),
    {ok, #{term := Term}} = ?TRACKING:row(Repo, true, ?LONG),
    ?assertEqual(Written, changes(Config)).

demoted(Config) ->
    #{repo := Repo} = World = start(Config),
    promote(World),
    {ok, Term} = ?TRACKING:await_term(Repo, ?LONG),
    demote(World),
    ?assertEqual(none, ?TRACKING:term(Repo)),
    ?assertEqual(none, ?TRACKING:await_term(Repo, ?LONG)),
    promote(World),
    {ok, Next} = ?TRACKING:await_term(Repo, ?LONG),
    ?assertNotEqual(Term, Next),
    ?assertMatch({ok, #{term := Next}}, ?TRACKING:row(Repo, false, ?LONG)).

unknown_keeps_the_term(Config) ->
    #{repo := Repo, handle := Handle} = World = start(Config),
    promote(World),
    {ok, Term} = ?TRACKING:await_term(Repo, ?LONG),
    Written = changes(Config),
    ok = ecto_litefs_nif:set_manual(Handle, replica),
    ?assertEqual(none, ?TRACKING:term(Repo)), % before anybody has said it
    observe(World, #{role => unknown}),
    ?assertEqual(none, ?TRACKING:term(Repo)),
    promote(World),
    {ok, Term} = ?TRACKING:await_term(Repo, ?LONG),
    ?assertEqual(Written, changes(Config)).

%% Another node was primary while this VM was frozen, and all that is seen of
%% it is that the role is younger than it was.
interrupted_unseen(Config) ->
    #{repo := Repo} = World = start(Config),
    observe_primary(World, #{since_ms => ?LONG}),
    {ok, Term} = ?TRACKING:await_term(Repo, ?LONG),
    ok = sql(?config(other, Config), "UPDATE " ?TABLE " SET node_name = "
             "'other@host', term = '00000000000000ff'"),
    observe_primary(World, #{since_ms => 0}),
    {ok, _} = ?TRACKING:row(Repo, true, ?LONG), % it has seen that
    {ok, Next} = ?TRACKING:await_term(Repo, ?LONG),
    ?assertNotEqual(Term, Next),
    Node = atom_to_binary(node()),
    ?assertMatch({ok, #{node := Node, term := Next}},
                 ?TRACKING:row(Repo, true, ?LONG)),
    ok = stop(World),
    observe_primary(start_process(World), #{since_ms => 0}),
    ?assertEqual({ok, Next}, ?TRACKING:await_term(Repo, ?LONG)).

hostname_comes_later(Config) ->
    #{repo := Repo} = World = start(Config),
    promote(World),
    {ok, Term} = ?TRACKING:await_term(Repo, ?LONG),
    observe_named(World, <<"node-a">>),
    ?assertEqual({ok, Term}, ?TRACKING:term(Repo)),
    ?WAIT:until({<<"node-a">>, Term}, fun() -> hostname(Repo) end),
    Written = changes(Config),
    observe_named(World, <<>>),
    observe_named(World, <<"node-a">>),
    {ok, _} = ?TRACKING:row(Repo, true, ?LONG),
    ?assertEqual(Written, changes(Config)).

hostname(Repo) ->
    {ok, #{hostname := Hostname, term := Term}} =
        ?TRACKING:row(Repo, true, ?LONG),
    {Hostname, Term}.

%% -- waiting for it ----------------------------------------------------------

waits_for_the_row(Config) ->
    #{repo := Repo} = World = start(Config),
    Other = ?config(other, Config),
    ok = sql(Other, "BEGIN EXCLUSIVE"),
    promote(World),
    ?assertEqual(none, ?TRACKING:term(Repo)),
    ?assertEqual(none, ?TRACKING:await_term(Repo, 50)),
    {Ref, _} = async(fun() -> ?TRACKING:await_term(Repo, ?LONG) end),
    ok = sql(Other, "COMMIT"),
    {ok, Term} = await(Ref),
    ?assertEqual({ok, Term}, ?TRACKING:term(Repo)).

%% Demoted in the middle of it.
not_waited_for(Config) ->
    #{repo := Repo} = World = start(Config),
    Other = ?config(other, Config),
    ok = sql(Other, "BEGIN EXCLUSIVE"),
    promote(World),
    {Ref, _} = async(fun() -> ?TRACKING:await_term(Repo, ?LONG) end),
    until_waiting(Repo),
    demote(World),
    ?assertEqual(none, await(Ref)),
    ok = sql(Other, "COMMIT").

until_waiting(Repo) ->
    ?WAIT:until(true, fun() ->
        lists:any(fun(Field) -> is_map(Field) andalso map_size(Field) =:= 1
                                    andalso is_reference(hd(maps:keys(Field)))
                  end, tuple_to_list(sys:get_state(process(Repo))))
    end).

%% One line when it cannot be, with what to do, and one when it was.
written_when_it_can_be(Config) ->
    Path = ?config(path, Config),
    Broken = <<(?config(directory, Config))/binary, "/broken.db">>,
    ok = file:write_file(Broken, binary:copy(<<"x">>, 4096)),
    #{repo := Repo} = World = start(Config, #{database => Broken}),
    promote(World),
    ?assertEqual(none, ?TRACKING:await_term(Repo, ?LONG)),
    ?assertEqual(none, ?TRACKING:await_term(Repo, ?LONG)), % at once
    [{warning, Line}] = ?LOG:lines(),
    ?assertMatch({match, _}, re:run(Line, "tracking: false")),
    {ok, _} = file:copy(Path, Broken),
    ?WAIT:until(true, fun() -> ?TRACKING:term(Repo) =/= none end),
    ?assertMatch([{notice, _}], ?LOG:lines()).

without_a_database(Config) ->
    #{repo := Repo} = World = start(Config, #{database => undefined}),
    promote(World), % the Repo's module does not exist
    ?assertEqual(none, ?TRACKING:await_term(Repo, ?LONG)),
    ?assertEqual({error, no_database}, ?TRACKING:row(Repo, false, ?LONG)),
    ?assertEqual(none, ?TRACKING:database(Repo)),
    ?assertEqual([], ?LOG:lines()).

not_tracked(Config) ->
    #{repo := Repo} = World = start(Config, #{tracking => false}),
    promote(World),
    ?assertEqual({ok, 0}, ?TRACKING:await_term(Repo, ?LONG)),
    ?assertEqual({error, no_tracking}, ?TRACKING:row(Repo, false, ?LONG)),
    ?assertEqual({error, no_tracking}, ?TRACKING:read(Repo, ?LONG)),
    demote(World),
    ?assertEqual(none, ?TRACKING:term(Repo)),
    ?assertEqual([], rows(Config, "SELECT * FROM sqlite_master WHERE name = '"
                          ?TABLE "'")).

plain(Config) ->
    #{repo := Repo, handle := Handle} = World =
        start(Config, #{mount => plain}),
    ok = ecto_litefs_nif:set_manual(Handle, primary),
    observe(World, plain, #{}),
    ?assertEqual(none, ?TRACKING:await_term(Repo, ?LONG)),
    ?assertEqual({error, no_tracking}, ?TRACKING:row(Repo, false, ?LONG)),
    ?assertEqual(none, ?PROGRAM:pid(maps:get(port, World))).

%% -- the port ----------------------------------------------------------------

%% The application ecto_litefs was started again under this process. The term
%% stays, because the row has it.
tables_lost(Config) ->
    #{repo := Repo} = World = start(Config),
    promote(World),
    {ok, Term} = ?TRACKING:await_term(Repo, ?LONG),
    true = ets:delete(ecto_litefs_tracking_table),
    ok = ecto_litefs_tracking_table:new(),
    ?assertEqual({none, none}, {?TRACKING:term(Repo), ?TRACKING:database(Repo)}),
    promote(World),
    ?assertEqual({ok, Term}, ?TRACKING:await_term(Repo, ?LONG)),
    ?assertEqual({ok, <<"app.db">>}, ?TRACKING:database(Repo)).

port_killed(Config) ->
    #{repo := Repo, port := Port} = World = start(Config),
    promote(World),
    {ok, Term} = ?TRACKING:await_term(Repo, ?LONG),
    "" = os:cmd("kill -KILL " ++ integer_to_list(?PROGRAM:pid(Port))),
    ?WAIT:until(none, fun() -> ?PROGRAM:pid(Port) end),
    demote(World),
    promote(World),
    {ok, Next} = ?TRACKING:await_term(Repo, ?LONG),
    ?assertNotEqual(Term, Next).

%% Once for each change of it.
let_go_of_another_mount(Config) ->
    #{repo := Repo, port := Port} = World = start(Config),
    observe(World, #{role => replica}),
    [begin
         {ok, none} = ?TRACKING:row(Repo, true, ?LONG),
         Pid = ?PROGRAM:pid(Port),
         [_ | _] = ?PROGRAM:descriptors(Pid),
         observe(World, Mount),
         ?WAIT:until([], fun() -> ?PROGRAM:descriptors(Pid) end),
         {ok, none} = ?TRACKING:read(Repo, ?LONG),
         observe(World, Mount#{hostname => <<"b">>}),
         {ok, none} = ?TRACKING:row(Repo, true, ?LONG), % it has seen that
         ?assertNotEqual([], ?PROGRAM:descriptors(Pid))
     end || Mount <- [#{role => unknown, mount => dead},
                      #{role => unknown, reconnect => {pending, 1}},
                      #{role => unknown, reconnect => {pending, 2}}]].

%% -- the cache ---------------------------------------------------------------

%% Nobody reads again what was read a moment ago, not even by force.
cached(Config) ->
    #{repo := Repo} = World =
        start(Config, #{cache_ttl => ?LONG, refresh_grace_period => ?LONG}),
    observe(World, #{role => replica}),
    node_is(Config, "n1"),
    ?assertEqual(<<"n1">>, node_in_row(Repo, false)),
    node_is(Config, "n2"),
    ?assertEqual(<<"n1">>, node_in_row(Repo, false)),
    ?assertEqual(<<"n1">>, node_in_row(Repo, true)). % others have just asked

%% After its grace period, and for those who do not force it, too.
forced(Config) ->
    #{repo := Repo} = World =
        start(Config, #{cache_ttl => ?LONG, refresh_grace_period => 60}),
    observe(World, #{role => replica}),
    node_is(Config, "n1"),
    Start = erlang:monotonic_time(millisecond),
    ?assertEqual(<<"n1">>, node_in_row(Repo, false)),
    node_is(Config, "n2"),
    ?WAIT:until(<<"n2">>, fun() -> node_in_row(Repo, true) end),
    ?assert(erlang:monotonic_time(millisecond) - Start >= 60),
    ?assertEqual(<<"n2">>, node_in_row(Repo, false)).

expired(Config) ->
    #{repo := Repo} = World =
        start(Config, #{cache_ttl => 300, refresh_grace_period => ?LONG}),
    observe(World, #{role => replica}),
    node_is(Config, "n1"),
    Start = erlang:monotonic_time(millisecond),
    ?assertEqual(<<"n1">>, node_in_row(Repo, false)),
    node_is(Config, "n2"),
    ?WAIT:until(<<"n2">>, fun() -> node_in_row(Repo, false) end),
    ?assert(erlang:monotonic_time(millisecond) - Start >= 300).

%% All who come while the row is read.
shared(Config) ->
    #{repo := Repo, port := Port} = World = start(Config),
    observe(World, #{role => replica}),
    {ok, none} = ?TRACKING:read(Repo, ?LONG),
    ok = sys:suspend(Port),
    Refs = [element(1, async(fun() -> ?TRACKING:row(Repo, true, ?LONG) end))
            || _ <- lists:seq(1, 50)],
    ?WAIT:until(50, fun() -> readers(Repo) end),
    {message_queue_len, 1} = process_info(Port, message_queue_len),
    ok = sys:resume(Port),
    [{ok, none} = await(Ref) || Ref <- Refs].

readers(Repo) ->
    lists:max([map_size(Field)
               || Record <- tuple_to_list(sys:get_state(process(Repo))),
                  is_tuple(Record), element(1, Record) =:= cache,
                  Field <- tuple_to_list(Record), is_map(Field),
                  lists:all(fun is_reference/1, maps:keys(Field))]).

%% Also while it is read.
invalidated(Config) ->
    #{repo := Repo, port := Port} = World = start(Config),
    observe(World, #{role => replica}),
    node_is(Config, "n1"),
    ?assertEqual(<<"n1">>, node_in_row(Repo, false)),
    node_is(Config, "n2"),
    ok = ?TRACKING:invalidate(Repo),
    ?assertEqual(<<"n2">>, node_in_row(Repo, false)),
    ok = ?TRACKING:invalidate(Repo),
    ok = sys:suspend(Port),
    {Ref, _} = async(fun() -> node_in_row(Repo, false) end),
    ?WAIT:until(1, fun() -> readers(Repo) end),
    ok = ?TRACKING:invalidate(Repo),
    ok = sys:resume(Port),
    ?assertEqual(<<"n2">>, await(Ref)).

late(Config) ->
    #{repo := Repo, port := Port} = World = start(Config),
    observe(World, #{role => replica}),
    ok = sys:suspend(Port),
    {Time, {error, timeout}} =
        timer:tc(fun() -> ?TRACKING:row(Repo, false, 50) end),
    ?assert(Time < 1_000_000),
    ok = sys:resume(Port).

%% -- the database's name -----------------------------------------------------

database(Config) ->
    Directory = ?config(directory, Config),
    Elsewhere = <<Directory/binary, "/elsewhere">>,
    ok = file:make_dir(Elsewhere),
    Link = <<Elsewhere/binary, "/link.db">>,
    Folder = <<Elsewhere/binary, "/folder">>,
    ok = file:make_symlink(<<"../app.db">>, Link),
    ok = file:make_symlink(<<"..">>, Folder),
    [begin
         World = start(Config, #{database => Path}),
         #{repo := Repo} = World,
         ?WAIT:until(Expected, fun() -> ?TRACKING:database(Repo) end),
         ok = stop(World)
     end || {Path, Expected} <-
                [{?config(path, Config), {ok, <<"app.db">>}},
                 {<<Elsewhere/binary, "/app.db">>, none},
                 {Link, {ok, <<"app.db">>}},
                 {<<Elsewhere/binary, "/no.db">>, none},
                 {<<Folder/binary, "/app.db">>, {ok, <<"app.db">>}}]].

config_that_raises(Config) ->
    persistent_term:put(?MODULE, fun() -> error(not_yet) end),
    #{repo := Repo} = start_own(Config),
    ?assertEqual(none, ?TRACKING:database(Repo)),
    Path = ?config(path, Config),
    persistent_term:put(?MODULE, fun() -> [{database, Path}] end),
    ?WAIT:until({ok, <<"app.db">>}, fun() -> ?TRACKING:database(Repo) end).

config_that_hangs(Config) ->
    Path = ?config(path, Config),
    Self = self(),
    persistent_term:put(?MODULE, fun() -> Self ! asked, timer:sleep(infinity)
                                 end),
    #{repo := Repo} = start_own(Config),
    receive asked -> ok end,
    persistent_term:put(?MODULE, fun() -> [{database, Path}] end),
    ?assertEqual(none, ?TRACKING:database(Repo)),
    ?assertEqual({error, no_tracking}, ?TRACKING:row(no_such_repo, true, 0)),
    ?WAIT:until({ok, <<"app.db">>}, fun() -> ?TRACKING:database(Repo) end).

start_own(Config) ->
    start([{repo, ?MODULE} | Config], #{database => undefined}).

config() ->
    (persistent_term:get(?MODULE))().

%% -- small things ------------------------------------------------------------

start(Config) ->
    start(Config, #{}).

%% As if its directory were a LiteFS mount.
start(Config, Options) ->
    Repo = ?config(repo, Config),
    File = <<(?config(directory, Config))/binary, "/.primary">>,
    Defaults = (ecto_litefs_config:defaults())
        #{repo => Repo, primary_file := File, mount := required,
          database := ?config(path, Config)},
    Given = maps:merge(Defaults, Options),
    {ok, Handle} = ecto_litefs_nif:open(
                     #{primary_file => File, events_url => undefined,
                       poll_interval => disabled, mount => plain,
                       litefs_seen => false}),
    ok = ?WAIT:until(true, fun() ->
        maps:get(settled, ecto_litefs_nif:snapshot(Handle))
    end),
    ok = ecto_litefs_nif:set_manual(Handle, replica),
    ok = ecto_litefs_instance:put(Repo, Handle, Given),
    start_process(#{repo => Repo, config => Given, handle => Handle}).

start_process(#{config := Config} = World) ->
    Port = case ?PORT:start_link(Config) of
               {ok, Pid} -> Pid;
               ignore -> none
           end,
    {ok, Process} = ?TRACKING:start_link(Config),
    World#{port => Port, process => Process}.

stop(#{port := Port, process := Process}) ->
    [begin true = unlink(Pid), ok = gen_server:stop(Pid) end
     || Pid <- [Process, Port], is_pid(Pid)],
    ok.

promote(World) ->
    observe_primary(World, #{}).

observe_primary(#{handle := Handle} = World, Fields) ->
    ok = ecto_litefs_nif:set_manual(Handle, primary),
    observe(World, Fields).

observe_named(#{repo := Repo} = World, Hostname) ->
    Snapshot = snapshot(World),
    ok = ?TRACKING:observe(Repo, litefs, Snapshot#{own_hostname => Hostname}).

demote(#{handle := Handle} = World) ->
    ok = ecto_litefs_nif:set_manual(Handle, replica),
    observe(World, #{}).

observe(World, Fields) ->
    observe(World, litefs, Fields).

%% As the detector does it.
observe(#{repo := Repo} = World, Kind, Fields) ->
    Snapshot = maps:merge(snapshot(World), Fields),
    ok = ecto_litefs_primaryship:observe(Repo, Kind, Snapshot),
    ok = ?TRACKING:observe(Repo, Kind, Snapshot).

snapshot(#{handle := Handle}) ->
    (ecto_litefs_nif:snapshot(Handle))#{mount := litefs, reconnect := false}.

process(Repo) ->
    whereis(ecto_litefs_name:of_repo('Elixir.EctoLiteFS.Tracking', Repo)).

node_is(Config, Node) ->
    Other = ?config(other, Config),
    ok = sql(Other, "CREATE TABLE IF NOT EXISTS " ?TABLE " ("
             "id INTEGER PRIMARY KEY CHECK (id = 1), "
             "node_name TEXT NOT NULL, updated_at INTEGER NOT NULL)"),
    ok = sql(Other, "INSERT OR REPLACE INTO " ?TABLE
             " (id, node_name, updated_at) VALUES (1, '" ++ Node ++ "', 5)").

node_in_row(Repo, Force) ->
    {ok, #{node := Node}} = ?TRACKING:row(Repo, Force, ?LONG),
    Node.

%% A number that another connection's writes change.
changes(Config) ->
    rows(Config, "PRAGMA data_version").

sql(Connection, Sql) ->
    case ?SQLITE:execute(Connection, Sql, []) of
        ok -> ok;
        {rowid, _} -> ok
    end.

rows(Config, Sql) ->
    case ?SQLITE:execute(?config(other, Config), Sql, []) of
        [_Columns, {rows, Rows}] -> Rows;
        [_Columns] -> []
    end.

async(Fun) ->
    Self = self(),
    Ref = make_ref(),
    Pid = spawn_link(fun() -> Self ! {Ref, Fun()} end),
    {Ref, Pid}.

await(Ref) ->
    receive {Ref, Result} -> Result end. % or the time trap's
