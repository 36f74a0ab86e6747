%% The functions of 1.0 in one VM, on plain directories, with the real
%% detector and real SQLite below.
-module(ecto_litefs_api_tests).

-include_lib("eunit/include/eunit.hrl").

-define(API, 'Elixir.EctoLiteFS').
-define(TRACKER, 'Elixir.EctoLiteFS.Tracker').
-define(SUPERVISOR, 'Elixir.EctoLiteFS.Supervisor').
-define(MIDDLEWARE, 'Elixir.EctoLiteFS.Middleware').
-define(RPC, 'Elixir.EctoLiteFS.RPC').
-define(NOBODY, 'nobody@127.0.0.1').

api_test_() ->
    {setup, fun start_application/0, fun stop_application/1,
     {foreach, fun new_repo/0, fun remove_repo/1,
      [fun(Context) ->
               {Name, {timeout, 30, fun() -> Test(Context) end}}
       end || {Name, Test} <- tests()]}}.

tests() ->
    [{"without a supervisor everything is local", fun never_supervised/1},
     {"without LiteFS this node is the primary", fun no_litefs/1},
     {"either source can be switched off", fun sources_off/1},
     {"names", fun names/1},
     {"await: nothing, no LiteFS, wrong arguments", fun await/1},
     {"a second supervisor is refused", fun second_supervisor/1},
     {"wrong options do not start", fun wrong_options/1},
     {"the supervisor has gone: refused at once", fun supervisor_gone/1},
     {"the detector was killed and is back", fun detector_killed/1},
     {"set_primary: this node", fun set_primary_here/1},
     {"set_primary: a node that is not connected", fun set_primary_there/1},
     {"set_replica", fun set_replica/1},
     {"a .primary file makes a replica", fun primary_file/1},
     {"several Repos", fun several_repos/1},
     {"the seam: RPC is stubbed and calls the fun", fun stub_calls/1},
     {"the seam: RPC is stubbed and raises", fun stub_raises/1},
     {"every action of 1.0 on the primary", fun actions_on_primary/1},
     {"a bulk action away from the primary raises", fun bulk_away/1},
     {"reads pass", fun reads/1},
     {"noconnection: nothing was sent", fun rpc_noconnection/1}].

%% -- supervision -------------------------------------------------------------

never_supervised(#{repo := Repo}) ->
    ?assertMatch({ok, _}, Repo:insert(changeset(<<"ann">>))),
    ?assertEqual({error, not_ready}, ?API:get_primary(Repo)),
    ?assertEqual({error, not_ready}, ?API:set_primary(Repo, node())),
    ?assertEqual({error, not_ready}, ?API:set_replica(Repo)),
    ?assertEqual(ok, ?API:invalidate_cache(Repo)),
    ?assertNot(?API:'is_primary?'(Repo)),
    ?assertNot(?API:'tracker_ready?'(Repo)),
    ?assertEqual(15000, ?API:get_erpc_timeout(Repo)),
    ?assertError(#{'__struct__' := 'Elixir.ArgumentError',
                   message := <<"no EctoLiteFS tracker registered for ",
                                _/binary>>},
                 ?API:'get_tracker!'(Repo)).

no_litefs(#{repo := Repo} = Context) ->
    supervise(Context, [{erpc_timeout, 77}]),
    ?assertEqual({ok, node()}, ?API:get_primary(Repo)),
    ?assertEqual({ok, node()}, ?TRACKER:get_primary(Repo, [{force, true}])),
    ?assert(?API:'is_primary?'(Repo)),
    ?assert(?API:'tracker_ready?'(Repo)),
    ?assert(is_process_alive(?API:'get_tracker!'(Repo))),
    ?assertEqual(77, ?API:get_erpc_timeout(Repo)),
    ?assertEqual(ok, ?API:invalidate_cache(Repo)),
    ?assertMatch({ok, _}, Repo:insert(changeset(<<"ann">>))),
    ?assertEqual([{<<"ann">>, null}], ecto_litefs_test_repo:rows(Repo)),
    %% Nothing of ours is in the user's database.
    [_, {rows, Tables}] = ecto_litefs_test_repo:sql(
                            Repo, "SELECT name FROM sqlite_master "
                            "WHERE type = 'table' ORDER BY name", []),
    ?assertEqual([{<<"items">>}, {<<"sqlite_sequence">>}], Tables).

sources_off(#{repo := Repo} = Context) ->
    supervise(Context, [{poll_interval, disabled}, {event_stream_url, nil}]),
    ?assertEqual({ok, node()}, ?API:get_primary(Repo)).

%% A text from a cookie is no position yet.
await(#{repo := Repo} = Context) ->
    supervise(Context, []),
    Position = 'Elixir.EctoLiteFS.Position':new({1, 2, 3}),
    ?assertEqual(ok, ?API:await(Repo, nil)),
    {Outcome, Events} =
        telemetry:record(fun() -> ?API:await(Repo, Position, 10) end),
    ?assertEqual({error, unavailable}, Outcome),
    ?assertMatch([{[ecto_litefs, await, start], _, #{txid := 2}},
                  {[ecto_litefs, await, stop], _, #{result := unavailable}}],
                 Events),
    Text = 'Elixir.EctoLiteFS.Position':to_string(Position),
    [?assertError(#{'__struct__' := 'Elixir.ArgumentError',
                    message := <<"EctoLiteFS.await wants", _/binary>>},
                  ?API:await(Repo, Wrong))
     || Wrong <- [Text, {1, 2, 3}, #{}, undefined]],
    [?assertError(#{'__struct__' := 'Elixir.ArgumentError',
                    message := <<"the timeout of EctoLiteFS.await", _/binary>>},
                  ?API:await(Repo, Given, Ms))
     || Given <- [Position, nil], Ms <- [infinity, -1, 1.0, nil]].

names(_) ->
    ?assertEqual('Elixir.EctoLiteFS.Tracker.MyApp.Repo',
                 ?TRACKER:process_name('Elixir.MyApp.Repo')),
    ?assertEqual('Elixir.EctoLiteFS.Tracker.repo',
                 ?TRACKER:process_name(repo)),
    ?assertEqual('Elixir.EctoLiteFS.Supervisor.MyApp.Repo',
                 ?SUPERVISOR:supervisor_name('Elixir.MyApp.Repo')).

second_supervisor(#{repo := Repo} = Context) ->
    Pid = supervise(Context, []),
    Tracker = ?API:'get_tracker!'(Repo),
    ?assertEqual(Pid, whereis(?SUPERVISOR:supervisor_name(Repo))),
    ?assertEqual({error, {already_started, Pid}},
                 ?SUPERVISOR:start_link(options(Context, []))),
    ?assertEqual(Tracker, ?API:'get_tracker!'(Repo)).

wrong_options(_) ->
    ?assertError(#{'__struct__' := 'Elixir.ArgumentError'},
                 ?SUPERVISOR:start_link([])),
    #{id := A, start := {M, F, [[_]] = Args}, type := supervisor} =
        ?SUPERVISOR:child_spec([{repo, <<"x">>}]),
    #{id := B} = ?SUPERVISOR:child_spec([{repo, other}]),
    ?assertNotEqual(A, B),
    ?assertError(#{'__struct__' := 'Elixir.ArgumentError'}, apply(M, F, Args)).

supervisor_gone(#{repo := Repo} = Context) ->
    Pid = supervise(Context, [{mount, plain}, {event_stream_url, <<"http://127.0.0.1:1/events">>}]),
    unsupervise(Pid),
    ?assertEqual({error, not_ready}, ?API:get_primary(Repo)),
    ?assertNot(?API:'is_primary?'(Repo)),
    Started = erlang:monotonic_time(millisecond),
    ?assertEqual({error, primary_unavailable},
                 Repo:insert(changeset(<<"ann">>))),
    ?assert(erlang:monotonic_time(millisecond) - Started < 1000),
    ?assertEqual([], ecto_litefs_test_repo:rows(Repo)),
    ?assertEqual([], Repo:all(table)),
    supervise(Context, []),
    ?assertMatch({ok, _}, Repo:insert(changeset(<<"ann">>))).

detector_killed(#{repo := Repo} = Context) ->
    supervise(Context, []),
    Old = ?API:'get_tracker!'(Repo),
    exit(Old, kill),
    ecto_litefs_test_wait:until(
      true, fun() -> whereis(?TRACKER:process_name(Repo)) =/= Old
                         andalso ?API:'is_primary?'(Repo) end),
    ?assertMatch({ok, _}, Repo:insert(changeset(<<"ann">>))).

%% -- roles by hand -----------------------------------------------------------

set_primary_here(#{repo := Repo} = Context) ->
    supervise(Context, []),
    ok = ?API:set_replica(Repo),
    ?assertNot(?API:'is_primary?'(Repo)),
    ok = ?API:set_primary(Repo, node()),
    ?assert(?API:'is_primary?'(Repo)),
    ?assertEqual({ok, node()}, ?API:get_primary(Repo)),
    ?assertMatch({ok, _}, Repo:insert(changeset(<<"ann">>))).

set_primary_there(#{repo := Repo} = Context) ->
    supervise(Context, []),
    ok = ?API:set_primary(Repo, ?NOBODY),
    ?assertEqual({ok, ?NOBODY}, ?API:get_primary(Repo)),
    ?assertNot(?API:'is_primary?'(Repo)),
    ?assertEqual({error, {erpc, noconnection, ?NOBODY}},
                 Repo:insert(changeset(<<"ann">>))),
    %% Named stays named, and is forgotten only by name.
    ok = ?API:set_replica(Repo),
    ?assertEqual({ok, ?NOBODY}, ?API:get_primary(Repo)),
    ok = ?API:set_primary(Repo, node()),
    ok = ?API:set_replica(Repo),
    ?assertEqual({ok, nil}, ?API:get_primary(Repo)).

set_replica(#{repo := Repo} = Context) ->
    supervise(Context, []),
    ok = ?API:set_replica(Repo),
    ?assertEqual({ok, nil}, ?API:get_primary(Repo)),
    ?assertEqual({error, primary_unavailable},
                 Repo:insert(changeset(<<"ann">>))),
    ?assertError(#{'__struct__' := 'Elixir.EctoLiteFS.Error',
                   reason := primary_unavailable, outcome := not_executed},
                 Repo:'insert!'(changeset(<<"ann">>))),
    ?assertError(#{'__struct__' := 'Elixir.EctoLiteFS.Error',
                   reason := in_transaction},
                 Repo:transaction(fun() -> Repo:insert(changeset(<<"a">>)) end)),
    ?assertEqual([], ecto_litefs_test_repo:rows(Repo)),
    ?assertEqual({messages, []}, process_info(self(), messages)).

primary_file(#{repo := Repo, directory := Directory} = Context) ->
    ok = file:write_file(filename:join(Directory, ".primary"), "elsewhere"),
    supervise(Context, []),
    ?assertEqual({ok, nil}, ?API:get_primary(Repo)),
    ?assertEqual({error, primary_unavailable},
                 Repo:insert(changeset(<<"ann">>))),
    ok = ?API:set_primary(Repo, ?NOBODY),
    ?assertEqual({error, {erpc, noconnection, ?NOBODY}},
                 Repo:delete(ecto_litefs_test_item:loaded(1, <<"a">>, 1))).

several_repos(#{repo := Repo} = Context) ->
    #{repo := Other} = OtherContext = new_repo(),
    try
        supervise(Context, []),
        Second = supervise(OtherContext, []),
        ok = ?API:set_replica(Repo),
        ?assertEqual({error, primary_unavailable},
                     Repo:insert(changeset(<<"ann">>))),
        ?assertMatch({ok, _}, Other:insert(changeset(<<"ann">>))),
        unsupervise(Second),
        ok = ?API:set_primary(Repo, node()),
        ?assertMatch({ok, _}, Repo:insert(changeset(<<"ann">>))),
        ?assertEqual({error, primary_unavailable},
                     Other:insert(changeset(<<"bob">>)))
    after
        remove_repo(OtherContext)
    end.

%% -- the middleware, called as 1.0's tests call it ---------------------------

stub_calls(#{repo := Repo} = Context) ->
    supervise(Context, []),
    ok = ?API:set_primary(Repo, ?NOBODY),
    Resolution = resolution(Repo, update, fun(changed, _) -> {ok, forwarded} end),
    stubbed("call(Node, Fun, 15000) -> self() ! {to, Node}, Fun().",
            fun() ->
                    ?assertMatch({cont, {ok, forwarded}, _},
                                 ?MIDDLEWARE:process(changed, Resolution)),
                    ?assertEqual(?NOBODY, receive {to, Node} -> Node
                                          after 0 -> none end)
            end).

stub_raises(#{repo := Repo} = Context) ->
    supervise(Context, []),
    ok = ?API:set_primary(Repo, ?NOBODY),
    Insert = resolution(Repo, insert, fun(_, _) -> error(not_called) end),
    Bang = Insert#{action := 'insert!'},
    [stubbed("call(_, _, _) -> error({erpc, " ++ atom_to_list(Reason) ++ "}).",
             fun() ->
                     Expected = {erpc, Reason, ?NOBODY},
                     ?assertMatch({cont, {error, Expected}, _},
                                  ?MIDDLEWARE:process(changed, Insert)),
                     ?assertError(#{reason := Expected, outcome := Outcome,
                                    node := ?NOBODY},
                                  ?MIDDLEWARE:process(changed, Bang))
             end)
     || {Reason, Outcome} <- [{timeout, unknown},
                              {noconnection, not_executed}]].

actions_on_primary(#{repo := Repo} = Context) ->
    supervise(Context, []),
    [?assertMatch({cont, {ok, Action}, _},
                  ?MIDDLEWARE:process(
                     resource, resolution(Repo, Action,
                                          fun(resource, _) -> {ok, Action} end)))
     || Action <- [insert, insert_all, insert_or_update, update, update_all,
                   delete, delete_all, 'insert!', 'update!', 'delete!',
                   'insert_or_update!']].

bulk_away(#{repo := Repo} = Context) ->
    supervise(Context, []),
    ok = ?API:set_replica(Repo),
    Resolution = resolution(Repo, insert_all, fun(_, _) -> error(not_called) end),
    ?assertError(#{'__struct__' := 'Elixir.EctoLiteFS.Error',
                   reason := primary_unavailable, action := insert_all},
                 ?MIDDLEWARE:process(table, Resolution#{args := [table, []]})).

reads(#{repo := Repo} = Context) ->
    supervise(Context, []),
    ok = ?API:set_replica(Repo),
    [?assertMatch({cont, Action, _},
                  ?MIDDLEWARE:process(
                     query, resolution(Repo, Action, fun(query, _) -> Action end)))
     || Action <- [all, get, 'get!', get_by, 'get_by!', one, 'one!', reload,
                   'reload!', preload]].

rpc_noconnection(_) ->
    Self = self(),
    ?assertError({erpc, noconnection},
                 ?RPC:call(?NOBODY, fun() -> Self ! ran end, 1000)),
    ?assertEqual(here, ?RPC:call(node(), fun() -> here end, 1000)),
    ?assertError({erpc, timeout},
                 ?RPC:call(node(), fun() -> receive never -> ok end end, 10)),
    ?assertEqual({messages, []}, process_info(Self, messages)).

%% -- help --------------------------------------------------------------------

resolution(Repo, Action, Super) ->
    #{repo => Repo, action => Action, args => [], middleware => [],
      entity => nil, private => #{'__super__' => Super}}.

%% A user's test replaces the module; so does this.
stubbed(Call, Test) ->
    {?RPC, Real, File} = code:get_object_code(?RPC),
    Forms = [form(Line) || Line <- ["-module('Elixir.EctoLiteFS.RPC').",
                                    "-export([call/3]).", Call]],
    {ok, ?RPC, Stub} = compile:forms(Forms),
    {module, ?RPC} = code:load_binary(?RPC, "stub", Stub),
    try Test()
    after
        code:purge(?RPC),
        {module, ?RPC} = code:load_binary(?RPC, File, Real),
        code:purge(?RPC)
    end.

form(Text) ->
    {ok, Tokens, _} = erl_scan:string(Text),
    {ok, Form} = erl_parse:parse_form(Tokens),
    Form.

changeset(Name) ->
    ecto_litefs_test_item:changeset(ecto_litefs_test_item:new(),
                                    #{name => Name}).

start_application() ->
    {ok, Started} = application:ensure_all_started(ecto_litefs),
    Started.

stop_application(Started) ->
    [ok = application:stop(Application) || Application <- Started].

%% A Repo module of its own for each test, as an entry is never erased.
new_repo() ->
    process_flag(trap_exit, true),
    Unique = integer_to_list(erlang:unique_integer([positive])),
    Repo = list_to_atom("Elixir.TestRepo" ++ Unique),
    {'Elixir.TestRepo', Beam, _} = code:get_object_code('Elixir.TestRepo'),
    {ok, {_, [{abstract_code, {_, Forms}}]}} =
        beam_lib:chunks(Beam, [abstract_code]),
    {ok, Repo, Code} = compile:forms([rename(Form, Repo) || Form <- Forms]),
    {module, Repo} = code:load_binary(Repo, "copy", Code),
    Directory = filename:join("/tmp", "ecto_litefs_api_" ++ os:getpid()
                              ++ "_" ++ Unique),
    ok = file:make_dir(Directory),
    {ok, _} = Repo:start_link(#{database => filename:join(Directory, "db")}),
    ok = ecto_litefs_test_repo:create_table(Repo),
    #{repo => Repo, directory => Directory}.

%% ?MODULE is in the abstract code as an atom.
rename('Elixir.TestRepo', Repo) -> Repo;
rename(Form, Repo) when is_tuple(Form) ->
    list_to_tuple(rename(tuple_to_list(Form), Repo));
rename(Forms, Repo) when is_list(Forms) -> [rename(F, Repo) || F <- Forms];
rename(Form, _Repo) -> Form.

remove_repo(#{repo := Repo, directory := Directory}) ->
    case whereis(?SUPERVISOR:supervisor_name(Repo)) of
        undefined -> ok;
        Pid -> unsupervise(Pid)
    end,
    ok = ecto_litefs_test_repo:stop(Repo),
    code:delete(Repo),
    code:purge(Repo),
    ok = file:del_dir_r(Directory).

supervise(Context, Options) ->
    {ok, Pid} = ?SUPERVISOR:start_link(options(Context, Options)),
    Pid.

options(#{repo := Repo, directory := Directory}, Options) ->
    File = unicode:characters_to_binary(filename:join(Directory, ".primary")),
    [{repo, Repo}, {primary_file, File} |
     Options ++ [{event_stream_url, nil}
                 || not lists:keymember(event_stream_url, 1, Options)]].

unsupervise(Pid) ->
    Monitor = monitor(process, Pid),
    unlink(Pid),
    exit(Pid, shutdown),
    receive {'DOWN', Monitor, _, _, _} -> ok end,
    receive {'EXIT', Pid, _} -> ok after 0 -> ok end.
