%% The NIF against real directories and a scripted LiteFS.
-module(ecto_litefs_nif_tests).

-include_lib("eunit/include/eunit.hrl").

-import(ecto_litefs_test_wait, [until/2]).

-define(nif, ecto_litefs_nif).

nif_test_() ->
    {foreach, fun new_directory/0, fun remove/1,
     [fun(Dir) -> {Name, {timeout, 20, fun() -> Test(Dir) end}} end
      || {Name, Test} <-
             [{"it is loaded", fun loaded/1},
              {"open: wrong arguments", fun open_badarg/1},
              {"open: bad paths", fun open_bad_path/1},
              {"open: bad URLs", fun open_bad_url/1},
              {"other wrong arguments", fun badarg/1},
              {"shape of the snapshot", fun snapshot_shape/1},
              {"the file comes and goes", fun file/1},
              {"one hint until take/1", fun one_hint/1},
              {"set_manual/2", fun manual/1},
              {"set_manual/2 hints the owner", fun manual_hint/1},
              {"set_manual/2 where LiteFS was seen", fun manual_managed/1},
              {"check/3 looks again", fun check/1},
              {"check/3 is answered when the handle closes", fun check_close/1},
              {"the event stream", fun stream/1},
              {"the node's own hostname", fun own_hostname/1},
              {"positions of the event stream", fun positions/1},
              {"positions do not outlive the stream", fun positions_cut/1},
              {"an era ends when the stream comes or goes", fun era/1},
              {"one hint of positions until positions/1", fun subscribe/1},
              {"another subscriber, and a dead one", fun subscribers/1},
              {"watch_position/3", fun watch/1},
              {"a closed handle", fun closed/1},
              {"the owner is killed", fun owner_killed/1},
              {"the owner ends", fun owner_ends/1},
              {"another process may close", fun close_elsewhere/1},
              {"the module is loaded again", fun reload/1},
              {"no thread, no descriptor is left", fun no_leak/1}]]}.

loaded(_Dir) ->
    ?assertEqual({true, <<"the native part of ecto_litefs is loaded">>},
                 {?nif:available(), ?nif:unavailable_reason()}).

%% -- open --------------------------------------------------------------------

open_badarg(Dir) ->
    Good = options(Dir),
    Bad = [not_a_map, #{}
          | [maps:remove(Key, Good) || Key <- maps:keys(Good)]]
        ++ [Good#{Key := Value}
            || {Key, Value} <- [{primary_file, "/string/.primary"},
                                {primary_file, undefined},
                                {events_url, "http://string/events"},
                                {events_url, nil},
                                {poll_interval, 0},
                                {poll_interval, -1},
                                {poll_interval, 1 bsl 64},
                                {poll_interval, 1.5},
                                {mount, other},
                                {litefs_seen, yes}]],
    [?assertError(badarg, ?nif:open(Options)) || Options <- Bad].

open_bad_path(Dir) ->
    Long = binary:copy(<<"/a">>, 4096),
    [?assertMatch({error, {bad_path, <<_, _/binary>>}},
                  ?nif:open((options(Dir))#{primary_file := Path}))
     || Path <- [<<>>, <<"relative/.primary">>, <<"/nul", 0, "x">>, <<"/">>,
                 <<"/dir/">>, <<"/dir/.">>, <<"/dir/..">>, Long,
                 <<"/", (binary:copy(<<"a">>, 256))/binary>>]].

open_bad_url(Dir) ->
    [?assertMatch({error, {bad_url, <<_, _/binary>>}},
                  ?nif:open((options(Dir))#{events_url := Url}))
     || Url <- [<<>>, <<"http://host:port/events">>, <<"http://a", 0, "b/">>]].

badarg(Dir) ->
    Handle = open(Dir),
    Others = [make_ref(), self(), <<>>, {Handle}],
    [?assertError(badarg, ?nif:Function(Other))
     || Function <- [close, role, snapshot, take, positions, subscribe, hint],
        Other <- Others],
    [?assertError(badarg, ?nif:Function(make_ref(), Argument))
     || {Function, Argument} <- [{position, <<"app.db">>},
                                 {set_manual, primary}, {reconnected, 0}]],
    [?assertError(badarg, ?nif:Function(Handle, Argument))
     || {Function, Argument} <- [{position, none}, {position, "app.db"},
                                 {set_manual, unknown},
                                 {set_manual, "primary"}, {reconnected, -1},
                                 {reconnected, 1 bsl 64}, {reconnected, x}]],
    [?assertError(badarg, ?nif:check(Where, Ref, Db))
     || {Where, Ref, Db} <- [{make_ref(), make_ref(), none},
                             {Handle, ref, none},
                             {Handle, make_ref(), undefined},
                             {Handle, make_ref(), "app.db"}]],
    [?assertError(badarg, ?nif:watch_position(Where, Db, On))
     || {Where, Db, On} <- [{make_ref(), <<"app.db">>, true},
                            {Handle, none, true},
                            {Handle, <<"app.db">>, 1}]].

%% -- reading -----------------------------------------------------------------

snapshot_shape(Dir) ->
    Handle = open(Dir),
    until(not_litefs, fun() -> ?nif:role(Handle) end),
    #{since_ms := Since, generation := Generation} = Snapshot =
        ?nif:snapshot(Handle),
    ?assert(is_integer(Since) andalso Since >= 0 andalso Since < 10_000),
    ?assert(is_integer(Generation) andalso Generation > 0),
    ?assertEqual(#{role => not_litefs, source => mount, hostname => <<>>,
                   own_hostname => <<>>, mount => plain, stream => off,
                   lag_ms => undefined, settled => true, litefs_seen => false,
                   reconnect => false, positions => #{}},
                 maps:without([since_ms, generation], Snapshot)),
    ?assertEqual(lists:sort(maps:keys(Snapshot)),
                 lists:sort(maps:keys(?nif:take(Handle)))).

file(Dir) ->
    Handle = open(Dir),
    until(not_litefs, fun() -> ?nif:role(Handle) end),
    write_primary(Dir, "node-1\n"),
    until({replica, <<"node-1">>}, fun() -> role_and_host(Handle) end),
    ok = file:delete(primary_file(Dir)),
    until({not_litefs, <<>>}, fun() -> role_and_host(Handle) end).

one_hint(Dir) ->
    Handle = open(Dir),
    until(not_litefs, fun() -> ?nif:role(Handle) end),
    [begin
         write_primary(Dir, Host),
         until({replica, list_to_binary(Host)},
               fun() -> role_and_host(Handle) end)
     end || Host <- ["a", "b", "c"]],
    ?assertEqual([{ecto_litefs_changed, Handle}], mailbox()),
    #{hostname := <<"c">>} = ?nif:take(Handle),
    write_primary(Dir, "d"),
    receive
        {ecto_litefs_changed, Handle} -> ok
    after 5000 -> error(no_hint_after_take)
    end.

manual(Dir) ->
    Handle = open(Dir),
    until(not_litefs, fun() -> ?nif:role(Handle) end),
    ok = ?nif:set_manual(Handle, replica),
    ?assertMatch(#{role := replica, source := manual}, ?nif:snapshot(Handle)),
    ok = ?nif:set_manual(Handle, primary),
    ?assertMatch(#{role := primary, source := manual}, ?nif:snapshot(Handle)),
    ok = ?nif:set_manual(Handle, none),
    ?assertMatch(#{role := not_litefs}, ?nif:snapshot(Handle)).

%% Such a hint is not sent by a thread of C but by the calling NIF.
manual_hint(Dir) ->
    Handle = open(Dir),
    until(not_litefs, fun() -> ?nif:role(Handle) end),
    _ = ?nif:take(Handle),
    _ = mailbox(),
    {Pid, Monitor} = spawn_monitor(
                       fun() ->
                               [ok = ?nif:set_manual(Handle, Role)
                                || Role <- [replica, primary, none, replica]]
                       end),
    receive {'DOWN', Monitor, process, Pid, normal} -> ok end,
    ?assertEqual([{ecto_litefs_changed, Handle}], mailbox()),
    ?assertMatch(#{role := replica}, ?nif:take(Handle)),
    ok = ?nif:set_manual(Handle, primary),
    ?assertEqual([{ecto_litefs_changed, Handle}], mailbox()).

manual_managed(Dir) ->
    {ok, Handle} = ?nif:open((options(Dir))#{litefs_seen := true}),
    ?assertEqual({error, managed_by_litefs}, ?nif:set_manual(Handle, primary)),
    ?assertEqual(unknown, ?nif:role(Handle)).

%% No poll, no hint, no inotify event to come: a check that follows the change
%% of the file sees it.
check(Dir) ->
    {ok, Handle} = ?nif:open((options(Dir))#{poll_interval := disabled}),
    until(not_litefs, fun() -> ?nif:role(Handle) end),
    ?assertEqual(not_litefs, ask(Handle)),
    write_primary(Dir, "node-1"),
    ?assertEqual(replica, ask(Handle)),
    ok = file:delete(primary_file(Dir)),
    ?assertEqual(not_litefs, ask(Handle)).

check_close(Dir) ->
    [begin
         Handle = open(Dir),
         Refs = [make_ref() || _ <- lists:seq(1, 20)],
         [ok = ?nif:check(Handle, Ref, Db)
          || {Ref, Db} <- lists:zip(Refs, dbs(length(Refs)))],
         ok = ?nif:close(Handle),
         [receive
              {ecto_litefs_check, Ref, Role, none} ->
                  ?assert(lists:member(Role, [unknown, not_litefs]))
          after 5000 -> error({no_answer, Ref})
          end || Ref <- Refs]
     end || _ <- lists:seq(1, 20)],
    ?assertEqual([], [M || {ecto_litefs_check, _, _, _} = M <- mailbox()]).

%% Names that can be none have no position either.
dbs(Count) ->
    lists:sublist(lists:append(
                    lists:duplicate(Count, [none, <<"app.db">>, <<>>,
                                            <<"../x">>, <<"a", 0>>,
                                            binary:copy(<<"x">>, 300)])),
                  Count).

stream(Dir) ->
    {ok, Sim} = litefs_simulator:start(
                  #{directory => Dir, nodes => [<<"node-1">>, <<"node-2">>]}),
    Handles = [open_node(Sim, Name) || Name <- [<<"node-1">>, <<"node-2">>]],
    [until(Want, fun() -> role_and_host(Handle) end)
     || {Want, Handle} <- lists:zip([{primary, <<>>}, {replica, <<"node-1">>}],
                                    Handles)],
    ?assertMatch([#{stream := up}, #{stream := up}],
                 [?nif:snapshot(Handle) || Handle <- Handles]),
    ok = litefs_simulator:stop_node(Sim, <<"node-1">>),
    until([down, up], fun() -> [stream_of(Handle) || Handle <- Handles] end),
    until(primary, fun() -> ?nif:role(lists:last(Handles)) end),
    ok = litefs_simulator:stop(Sim).

%% Known of a node that is or was primary, for as long as the stream is up.
own_hostname(Dir) ->
    Nodes = [<<"node-1">>, <<"node-2">>],
    {ok, Sim} = litefs_simulator:start(#{directory => Dir, nodes => Nodes}),
    [One, Two] = Handles = [open_node(Sim, Node) || Node <- Nodes],
    until([<<"node-1">>, <<>>], fun() -> own_hostnames(Handles) end),
    ok = litefs_simulator:promote(Sim, <<"node-2">>),
    until(Nodes, fun() -> own_hostnames(Handles) end),
    until(primary, fun() -> ?nif:role(Two) end),
    ok = litefs_simulator:stop_node(Sim, <<"node-1">>),
    until(down, fun() -> stream_of(One) end),
    ?assertEqual([<<>>, <<"node-2">>], own_hostnames(Handles)),
    ok = ?nif:close(Two),
    ?assertEqual([<<>>, <<>>], own_hostnames(Handles)),
    ok = litefs_simulator:stop(Sim).

own_hostnames(Handles) ->
    [maps:get(own_hostname, ?nif:snapshot(Handle)) || Handle <- Handles].

%% -- positions ---------------------------------------------------------------

-define(DB, <<"app.db">>).
-define(NODE, <<"node-1">>).

%% A 64-bit checksum is no small integer.
positions(Dir) ->
    {Sim, Handle} = simulated(Dir),
    Unknown = [<<"other.db">>, <<>>, <<"../x">>, <<"a", 0>>,
               binary:copy(<<"x">>, 127), binary:copy(<<"x">>, 300)],
    ?assertEqual({unknown, #{}},
                 {position(Handle, ?DB), ?nif:positions(Handle)}),
    [begin
         ok = litefs_simulator:tx(Sim, ?NODE, Db, Position),
         until(Position, fun() -> position(Handle, Db) end)
     end || {Db, Position} <- [{?DB, {1, 16#ffffffffffffffff}},
                               {<<"b.db">>, {16#7fffffffffffffff, 0}},
                               {?DB, {3, 8}}, {?DB, {2, 9}}]],
    ?assertEqual([unknown || _ <- Unknown],
                 [position(Handle, Db) || Db <- Unknown]),
    All = #{?DB => {2, 9}, <<"b.db">> => {16#7fffffffffffffff, 0}},
    ?assertEqual(All, ?nif:positions(Handle)),
    ?assertMatch(#{positions := All}, ?nif:snapshot(Handle)),
    ok = ?nif:close(Handle),
    ?assertEqual({unknown, #{}},
                 {position(Handle, ?DB), ?nif:positions(Handle)}),
    ok = litefs_simulator:stop(Sim).

positions_cut(Dir) ->
    {Sim, Handle} = simulated(Dir),
    ok = litefs_simulator:tx(Sim, ?NODE, ?DB, {7, 7}),
    until({7, 7}, fun() -> position(Handle, ?DB) end),
    ok = litefs_simulator:stop_node(Sim, ?NODE),
    until({down, unknown}, fun() -> {stream_of(Handle),
                                     position(Handle, ?DB)} end),
    ok = litefs_simulator:start_node(Sim, ?NODE),
    until(up, fun() -> stream_of(Handle) end),
    ?assertEqual(unknown, position(Handle, ?DB)),
    ok = litefs_simulator:stop(Sim).

subscribe(Dir) ->
    {Sim, Handle} = simulated(Dir),
    Tx = fun(TxId) ->
                 ok = litefs_simulator:tx(Sim, ?NODE, ?DB, {TxId, 0}),
                 until({TxId, 0}, fun() -> position(Handle, ?DB) end)
         end,
    _ = [Tx(TxId) || TxId <- [1, 2]],
    ok = ?nif:subscribe(Handle),
    _ = ?nif:take(Handle),
    _ = mailbox(),
    _ = [Tx(TxId) || TxId <- [3, 4, 5]],
    one_position_hint(Handle),
    ?assertEqual(#{?DB => {5, 0}}, ?nif:positions(Handle)),
    Tx(6),
    one_position_hint(Handle),
    ?assertMatch(#{positions := #{?DB := {6, 0}}}, ?nif:snapshot(Handle)),
    Tx(7),
    ?assertEqual([], mailbox()),
    ok = ?nif:close(Handle),
    ?assertEqual({error, closed}, ?nif:subscribe(Handle)),
    ok = litefs_simulator:stop(Sim).

subscribers(Dir) ->
    {Sim, Handle} = simulated(Dir),
    Tx = fun(TxId) ->
                 ok = litefs_simulator:tx(Sim, ?NODE, ?DB, {TxId, 0}),
                 until({TxId, 0}, fun() -> position(Handle, ?DB) end)
         end,
    ok = ?nif:subscribe(Handle),
    _ = ?nif:take(Handle),
    _ = mailbox(),
    Self = self(),
    Other = spawn_link(fun() ->
                               ok = ?nif:subscribe(Handle),
                               Self ! {self(), subscribed},
                               receive Hint -> Self ! {self(), Hint} end
                       end),
    receive {Other, subscribed} -> ok end,
    Tx(1),
    receive
        {Other, Hint} -> ?assertEqual({ecto_litefs_position, Handle}, Hint)
    after 5000 -> error(no_hint)
    end,
    until(false, fun() -> is_process_alive(Other) end),
    _ = ?nif:positions(Handle), % as if it were about to look
    _ = [Tx(TxId) || TxId <- [2, 3]],
    ?assertEqual([], mailbox()),
    ok = ?nif:subscribe(Handle),
    Tx(4),
    one_position_hint(Handle),
    ok = litefs_simulator:stop(Sim).

%% It is sent a moment after the position is there.
one_position_hint(Handle) ->
    receive
        {ecto_litefs_position, Handle} -> ?assertEqual([], mailbox())
    after 5000 -> error(no_hint)
    end.

%% What it does on a mount is tested in C; a plain directory has no positions.
watch(Dir) ->
    {Sim, Handle} = simulated(Dir),
    Names = [integer_to_binary(N) || N <- lists:seq(1, 16)],
    Watch = fun(Db, On) -> ?nif:watch_position(Handle, Db, On) end,
    [?assertEqual(ok, Watch(Name, On)) || Name <- Names, On <- [true, true]],
    ?assertEqual({error, busy}, Watch(<<"17">>, true)),
    ?assertEqual([ok, ok, ok], [Watch(Name, false)
                                || Name <- [<<"17">>, <<"1">>, <<"1">>]]),
    ?assertEqual([ok, {error, busy}],
                 [Watch(Name, true) || Name <- [<<"17">>, <<"18">>]]),
    ok = ?nif:subscribe(Handle),
    ?assertEqual(ok, Watch(<<"18">>, true)),
    ?assertEqual([ok, ok], [Watch(Name, true)
                            || Name <- [<<>>, binary:copy(<<"x">>, 300)]]),
    ok = litefs_simulator:tx(Sim, ?NODE, ?DB, {7, 7}),
    until({7, 7}, fun() -> position(Handle, ?DB) end),
    ok = litefs_simulator:stop(Sim).

%% The simulator's node names itself each time, so no role changes.
era(Dir) ->
    {Sim, Handle} = simulated(Dir),
    {unknown, Start} = ?nif:position(Handle, ?DB),
    ok = litefs_simulator:tx(Sim, ?NODE, ?DB, {7, 7}),
    until({{7, 7}, Start}, fun() -> ?nif:position(Handle, ?DB) end),
    ok = litefs_simulator:stop_node(Sim, ?NODE),
    until(down, fun() -> stream_of(Handle) end),
    {unknown, Down} = ?nif:position(Handle, ?DB),
    ?assert(Down > Start),
    ok = litefs_simulator:start_node(Sim, ?NODE),
    until(primary, fun() -> ?nif:role(Handle) end),
    {unknown, Up} = ?nif:position(Handle, ?DB),
    ?assert(Up > Down),
    ok = litefs_simulator:stop(Sim).

position(Handle, Db) ->
    {Position, _Era} = ?nif:position(Handle, Db),
    Position.

simulated(Dir) ->
    {ok, Sim} = litefs_simulator:start(#{directory => Dir, nodes => [?NODE]}),
    Handle = open_node(Sim, ?NODE),
    until(primary, fun() -> ?nif:role(Handle) end),
    {Sim, Handle}.

%% -- the end of a handle -----------------------------------------------------

closed(Dir) ->
    Handle = open(Dir),
    until(not_litefs, fun() -> ?nif:role(Handle) end),
    ok = ?nif:close(Handle),
    assert_closed(Handle),
    ?assertEqual(ok, ?nif:close(Handle)),
    assert_closed(Handle).

owner_killed(Dir) ->
    {Owner, Handle} = owner(Dir),
    exit(Owner, kill),
    until(unknown, fun() -> ?nif:role(Handle) end),
    assert_closed(Handle).

owner_ends(Dir) ->
    {Owner, Handle} = owner(Dir),
    Owner ! finish,
    until(unknown, fun() -> ?nif:role(Handle) end),
    assert_closed(Handle).

close_elsewhere(Dir) ->
    {Owner, Handle} = owner(Dir),
    ok = ?nif:close(Handle),
    assert_closed(Handle),
    Owner ! finish,
    until(false, fun() -> is_process_alive(Owner) end),
    assert_closed(Handle).

%% The new code works with handles that the old code opened.
reload(Dir) ->
    Handle = open(Dir),
    until(not_litefs, fun() -> ?nif:role(Handle) end),
    _ = code:purge(?nif),
    {module, ?nif} = code:load_file(?nif),
    ?assert(code:soft_purge(?nif)),
    ?assertEqual(not_litefs, ?nif:role(Handle)),
    write_primary(Dir, "node-1"),
    until(replica, fun() -> ?nif:role(Handle) end),
    ok = ?nif:close(Handle),
    assert_closed(Handle).

no_leak(Dir) ->
    _ = owner_round(Dir, close),
    Before = {until_stable(), ecto_litefs_test_wait:descriptors()},
    [owner_round(Dir, How)
     || _ <- lists:seq(1, 30), How <- [close, kill, drop]],
    until(Before, fun() -> {ecto_litefs_test_wait:threads(),
                            ecto_litefs_test_wait:descriptors()} end).

%% The first handle makes what stays (libcurl's state, scheduler threads).
until_stable() ->
    until_stable(ecto_litefs_test_wait:threads(), 20).

until_stable(Count, 0) ->
    Count;
until_stable(Count, Left) ->
    timer:sleep(5),
    case ecto_litefs_test_wait:threads() of
        Count -> until_stable(Count, Left - 1);
        Other -> until_stable(Other, 20)
    end.

%% With a stream that nobody serves, so that both threads exist.
owner_round(Dir, How) ->
    Options = (options(Dir))#{events_url := <<"http://127.0.0.1:1/events">>},
    {Pid, Monitor} =
        spawn_monitor(
          fun() ->
                  {ok, Handle} = ?nif:open(Options),
                  until(true,
                        fun() -> maps:get(settled, ?nif:take(Handle)) end),
                  finish(How, Handle)
          end),
    receive
        {'DOWN', Monitor, process, Pid, Reason} ->
            ?assert(lists:member(Reason, [normal, killed]))
    end.

finish(close, Handle) -> ?nif:close(Handle);
finish(kill, _Handle) -> exit(self(), kill);
finish(drop, _Handle) -> ok.

%% -- helpers -----------------------------------------------------------------

new_directory() ->
    Unique = integer_to_list(erlang:unique_integer([positive])),
    Dir = filename:join([temporary(), "ecto_litefs_" ++ os:getpid() ++ "_"
                         ++ Unique]),
    ok = filelib:ensure_path(Dir),
    Dir.

temporary() ->
    os:getenv("TMPDIR", "/tmp").

remove(Dir) ->
    ok = file:del_dir_r(Dir).

options(Dir) ->
    #{primary_file => list_to_binary(primary_file(Dir)),
      events_url => undefined,
      poll_interval => 1000,
      mount => auto,
      litefs_seen => false}.

primary_file(Dir) ->
    filename:join(Dir, ".primary").

%% At once, as LiteFS has it: a reader never sees half of it.
write_primary(Dir, Text) ->
    New = filename:join(Dir, "new"),
    ok = file:write_file(New, Text),
    ok = file:rename(New, primary_file(Dir)).

open(Dir) ->
    {ok, Handle} = ?nif:open(options(Dir)),
    Handle.

open_node(Sim, Name) ->
    #{primary_file := File, event_stream_url := Url} =
        litefs_simulator:node(Sim, Name),
    {ok, Handle} = ?nif:open(#{primary_file => File, events_url => Url,
                               poll_interval => 1000, mount => plain,
                               litefs_seen => false}),
    Handle.

owner(Dir) ->
    Self = self(),
    Owner = spawn_link(fun() ->
                               unlink(Self),
                               Self ! {self(), open(Dir)},
                               receive finish -> ok end
                       end),
    receive
        {Owner, Handle} ->
            until(not_litefs, fun() -> ?nif:role(Handle) end),
            {Owner, Handle}
    after 5000 -> error(no_handle)
    end.

role_and_host(Handle) ->
    #{role := Role, hostname := Host} = ?nif:snapshot(Handle),
    {Role, Host}.

stream_of(Handle) ->
    maps:get(stream, ?nif:snapshot(Handle)).

ask(Handle) ->
    Ref = make_ref(),
    ok = ?nif:check(Handle, Ref, <<"app.db">>),
    receive
        {ecto_litefs_check, Ref, Role, none} -> Role
    after 5000 -> error(no_answer)
    end.

assert_closed(Handle) ->
    ?assertEqual(unknown, ?nif:role(Handle)),
    ?assertMatch(#{role := unknown, source := none, hostname := <<>>},
                 ?nif:snapshot(Handle)),
    ?assertEqual({error, closed}, ?nif:check(Handle, make_ref(), none)),
    ?assertEqual({error, closed}, ?nif:subscribe(Handle)),
    ?assertEqual({error, closed},
                 ?nif:watch_position(Handle, <<"app.db">>, true)),
    ?assertEqual({error, closed}, ?nif:set_manual(Handle, primary)),
    ?assertEqual([ok, ok], [?nif:hint(Handle), ?nif:reconnected(Handle, 1)]).

mailbox() ->
    receive
        Message -> [Message | mailbox()]
    after 0 -> []
    end.
