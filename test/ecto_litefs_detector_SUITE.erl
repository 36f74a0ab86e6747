%% The detector with the real NIF, on plain directories and on a scripted
%% LiteFS; and without the NIF, in a VM of its own.
-module(ecto_litefs_detector_SUITE).

-include_lib("stdlib/include/assert.hrl").

-import(ecto_litefs_test_wait, [until/2, until/3]).

-export([all/0]).
-export([init_per_testcase/2]).
-export([end_per_testcase/2]).

-export([auto/1]).
-export([required/1]).
-export([plain_without_stream/1]).
-export([plain_with_stream/1]).
-export([claims_are_kept_apart/1]).
-export([manual/1]).
-export([check/1]).
-export([not_supervised/1]).
-export([names/1]).
-export([already_started/1]).
-export([bad_options/1]).
-export([pg_not_running/1]).
-export([pg_restarted/1]).
-export([hint_lost/1]).
-export([idle_looks_rarely/1]).
-export([pg_lost_while_idle/1]).
-export([renewal_failed_while_idle/1]).
-export([old_timer_is_no_look/1]).
-export([role_changes_are_events/1]).
-export([raising_handler/1]).
-export([killed/1]).
-export([supervisor_stopped/1]).
-export([one_log_line/1]).
-export([unexpected_message/1]).
-export([restarts_leak_nothing/1]).
-export([without_nif/1]).
-export([without_nif_on_litefs/1]).
-export([without_nif_required/1]).
-export([without_nif_mounted_later/1]).
-export([without_nif_killed/1]).

%% For the other VM.
-export([passthrough_life/1]).
-export([mount_litefs/1]).
-export([ended_by_mount/2]).

-define(REPO, 'Elixir.DetectorSuite.Repo').

all() ->
    [auto, required, plain_without_stream, plain_with_stream,
     claims_are_kept_apart, manual, check, not_supervised, names,
     already_started, bad_options, pg_not_running, pg_restarted,
     hint_lost, idle_looks_rarely, pg_lost_while_idle,
     renewal_failed_while_idle, old_timer_is_no_look, role_changes_are_events,
     raising_handler, killed, supervisor_stopped, one_log_line, unexpected_message,
     restarts_leak_nothing, without_nif, without_nif_on_litefs,
     without_nif_required, without_nif_mounted_later, without_nif_killed].

%% A directory, pg, and no Repo that an earlier case has used.
init_per_testcase(pg_not_running, Config) ->
    new_directory(Config);
init_per_testcase(_Case, Config) ->
    {ok, Scope} = pg:start(ecto_litefs_claim:scope()),
    [{scope, Scope} | new_directory(Config)].

end_per_testcase(_Case, Config) ->
    [stop(Pid) || Name <- [ecto_litefs_detector:name(?REPO),
                           ecto_litefs_claim:scope()],
                  Pid <- [whereis(Name)], is_pid(Pid)],
    _ = persistent_term:erase({ecto_litefs, ?REPO}),
    file:del_dir_r(proplists:get_value(directory, Config)).

%% -- the option `mount` ------------------------------------------------------

auto(Config) ->
    Detector = start(config(Config)),
    ?assertEqual(not_litefs, ecto_litefs_status:role(?REPO)),
    ?assertEqual([Detector], claims(plain)),
    write_primary(Config, "node-1"),
    until({replica, []}, fun role_and_claims/0),
    ?assertMatch(#{hostname := <<"node-1">>, source := mount},
                 ecto_litefs_status:snapshot(?REPO)),
    delete_primary(Config),
    until({not_litefs, [Detector]}, fun role_and_claims/0),
    ?assertEqual(plain, ecto_litefs_status:kind(?REPO)),
    ?assertEqual([], claims(litefs)),
    ?assertNot(ecto_litefs_instance:litefs_seen(?REPO)).

required(Config) ->
    _ = start((config(Config))#{mount := required}),
    ?assertEqual({unknown, []}, role_and_claims()),
    ?assertMatch(#{settled := true, mount := plain},
                 ecto_litefs_status:snapshot(?REPO)),
    ?assertEqual({error, managed_by_litefs},
                 ecto_litefs_detector:set_manual(?REPO, primary)).

plain_without_stream(Config) ->
    Detector = start((config(Config))#{mount := plain}),
    ?assertEqual({primary, [Detector]}, role_and_claims()),
    write_primary(Config, "node-1"),
    until({replica, []}, fun role_and_claims/0),
    delete_primary(Config),
    until({primary, [Detector]}, fun role_and_claims/0),
    ?assertEqual([], claims(litefs)).

plain_with_stream(Config) ->
    {ok, Sim} = litefs_simulator:start(
                  #{directory => proplists:get_value(directory, Config),
                    nodes => [<<"node-1">>, <<"node-2">>]}),
    Detector = start(simulated(Sim, <<"node-2">>)),
    ?assertEqual({replica, []}, role_and_claims()),
    ok = litefs_simulator:promote(Sim, <<"node-2">>),
    until({primary, [Detector]}, fun role_and_claims/0),
    ?assertMatch(#{source := stream, stream := up},
                 ecto_litefs_status:snapshot(?REPO)),
    ok = litefs_simulator:promote(Sim, <<"node-1">>),
    until({replica, []}, fun role_and_claims/0),
    ok = litefs_simulator:stop(Sim).

%% -- claims ------------------------------------------------------------------

claims_are_kept_apart(_Config) ->
    [ok = ecto_litefs_claim:join(?REPO, litefs) || _ <- [1, 2]],
    ?assertEqual({[self()], []}, {claims(litefs), claims(plain)}),
    {Ref, []} = ecto_litefs_claim:monitor(?REPO, plain),
    ok = ecto_litefs_claim:join(?REPO, plain),
    Self = self(),
    receive
        {Ref, join, _Group, [Self]} -> ok
    after 5000 -> ct:fail(no_join_event)
    end,
    ok = ecto_litefs_claim:leave(?REPO, plain),
    receive
        {Ref, leave, _Group2, [Self]} -> ok
    after 5000 -> ct:fail(no_leave_event)
    end,
    ok = ecto_litefs_claim:demonitor(Ref),
    ?assertEqual(not_joined, ecto_litefs_claim:leave(?REPO, plain)),
    ok = ecto_litefs_claim:leave(?REPO, litefs),
    ?assertEqual({[], []}, {claims(litefs), claims(plain)}).

%% The claim says it when the call returns.
manual(Config) ->
    Detector = start(config(Config)),
    [begin
         ?assertEqual(ok, ecto_litefs_detector:set_manual(?REPO, Manual)),
         ?assertEqual(Want, role_and_claims())
     end || {Manual, Want} <- [{replica, {replica, []}},
                               {primary, {primary, [Detector]}},
                               {replica, {replica, []}},
                               {none, {not_litefs, [Detector]}}]],
    ?assertEqual([], claims(litefs)).

check(Config) ->
    _ = start((config(Config))#{poll_interval := disabled}),
    ?assertEqual(not_litefs, ecto_litefs_status:check(?REPO, 5000)),
    write_primary(Config, "node-1"),
    ?assertEqual(replica, ecto_litefs_status:check(?REPO, 5000)),
    stop(whereis(ecto_litefs_detector:name(?REPO))),
    ?assertEqual(unknown, ecto_litefs_status:check(?REPO, 5000)).

not_supervised(_Config) ->
    ?assertEqual({not_supervised, not_supervised, unknown, plain, none},
                 {ecto_litefs_status:role(?REPO),
                  ecto_litefs_status:snapshot(?REPO),
                  ecto_litefs_status:check(?REPO, 0),
                  ecto_litefs_status:kind(?REPO),
                  ecto_litefs_instance:lookup(?REPO)}).

%% -- the process -------------------------------------------------------------

names(_Config) ->
    ?assertEqual('Elixir.EctoLiteFS.Tracker.MyApp.Repo',
                 ecto_litefs_detector:name('Elixir.MyApp.Repo')),
    ?assertEqual('Elixir.EctoLiteFS.Tracker.my_repo',
                 ecto_litefs_detector:name(my_repo)).

already_started(Config) ->
    Detector = start(config(Config)),
    ?assertEqual({error, {already_started, Detector}},
                 ecto_litefs_detector:start_link(config(Config))),
    ?assertEqual({not_litefs, [Detector]}, role_and_claims()).

bad_options(Config) ->
    _ = process_flag(trap_exit, true),
    [?assertMatch({error, {Reason, <<_, _/binary>>}},
                  ecto_litefs_detector:start_link(
                    (config(Config))#{Key := Value}))
     || {Reason, Key, Value} <-
            [{bad_path, primary_file, <<"relative">>},
             {bad_url, event_stream_url, <<"http://a:b/">>}]],
    ?assertEqual(not_supervised, ecto_litefs_status:role(?REPO)).

pg_not_running(Config) ->
    _ = process_flag(trap_exit, true),
    ?assertMatch({error, {not_started, <<_, _/binary>>}},
                 ecto_litefs_detector:start_link(config(Config))).

pg_restarted(Config) ->
    Detector = start(config(Config)),
    ?assertEqual([Detector], claims(plain)),
    stop(proplists:get_value(scope, Config)),
    ?assertEqual([], claims(plain)),
    write_primary(Config, "node-1"),
    until({replica, []}, fun role_and_claims/0),
    delete_primary(Config),
    until({not_litefs, []}, fun role_and_claims/0),
    {ok, _Scope} = pg:start(ecto_litefs_claim:scope()),
    until({not_litefs, [Detector]}, fun role_and_claims/0),
    ?assertEqual(Detector, whereis(ecto_litefs_detector:name(?REPO))).

%% While it has another handle in its state it drops the hint as a message
%% that it does not know; no second one comes before it looks.
hint_lost(Config) ->
    Detector = start(config(Config)),
    {Handle, _} = ecto_litefs_instance:lookup(?REPO),
    ok = ecto_litefs_test_log:start(),
    Other = open_other(Config),
    _ = replace(Detector, Handle, Other),
    write_primary(Config, "node-1"),
    receive
        {ecto_litefs_test_log, warning, _UnexpectedMessage} -> ok
    after 5000 -> ct:fail(no_hint)
    end,
    _ = replace(Detector, Other, Handle),
    ok = ecto_litefs_test_log:stop(),
    until({replica, []}, fun role_and_claims/0).

open_other(Config) ->
    {ok, Handle} = ecto_litefs_nif:open(
                     ecto_litefs_config:nif_options(config(Config), false)),
    Handle.

replace(Detector, Old, New) ->
    Put = fun(Field) when Field =:= Old -> New;
             (Field) -> Field
          end,
    sys:replace_state(
      Detector,
      fun(State) -> list_to_tuple(lists:map(Put, tuple_to_list(State))) end).

%% -- looks -------------------------------------------------------------------

%% Twice a minute on a healthy replica and primary, once a second while a stream
%% or a primary is missing.
idle_looks_rarely(Config) ->
    {Sim, Detector} = start_healthy(Config),
    ok = litefs_simulator:promote(Sim, <<"node-2">>),
    until({primary, rarely}, fun() -> role_and_look(Detector) end),
    ok = litefs_simulator:stop_node(Sim, <<"node-2">>),
    until(soon, fun() -> next_look(Detector) end),
    ok = litefs_simulator:start_node(Sim, <<"node-2">>),
    until({replica, rarely}, fun() -> role_and_look(Detector) end),
    ok = litefs_simulator:stop(Sim).

%% The claims are back long before the look that was due.
pg_lost_while_idle(Config) ->
    {Sim, Detector} = start_healthy(Config),
    ok = litefs_simulator:promote(Sim, <<"node-2">>),
    until({primary, rarely}, fun() -> role_and_look(Detector) end),
    stop(proplists:get_value(scope, Config)),
    until(soon, fun() -> next_look(Detector) end),
    {ok, _Scope} = pg:start(ecto_litefs_claim:scope()),
    until([Detector], fun() -> claims(plain) end),
    until(rarely, fun() -> next_look(Detector) end),
    ok = litefs_simulator:stop(Sim).

%% As if its mount had changed.
renewal_failed_while_idle(Config) ->
    ok = ecto_litefs_last_error:new(),
    {Sim, Detector} = start_healthy(Config),
    Renewal = make_ref(),
    set(Detector, renewal, {Renewal, 7}),
    Detector ! {'DOWN', Renewal, process, self(), {error, noproc}},
    until(soon, fun() -> next_look(Detector) end),
    ?assertMatch({_At, {reconnect, {error, noproc}}},
                 ecto_litefs_last_error:get(?REPO)),
    until(rarely, fun() -> next_look(Detector) end),
    ok = litefs_simulator:stop(Sim).

%% Or each would begin a series of its own.
old_timer_is_no_look(Config) ->
    ok = ecto_litefs_test_log:start(),
    {Sim, Detector} = start_healthy(Config),
    _ = ecto_litefs_test_log:lines(),
    Before = timer_of(Detector),
    Detector ! {timeout, make_ref(), look},
    ?assertEqual(Before, timer_of(Detector)),
    ?assertEqual([], ecto_litefs_test_log:lines()),
    ok = ecto_litefs_test_log:stop(),
    ok = litefs_simulator:stop(Sim).

start_healthy(Config) ->
    {ok, Sim} = litefs_simulator:start(
                  #{directory => proplists:get_value(directory, Config),
                    nodes => [<<"node-1">>, <<"node-2">>]}),
    Detector = start(simulated(Sim, <<"node-2">>)),
    until({replica, rarely}, fun() -> role_and_look(Detector) end),
    {Sim, Detector}.

role_and_look(Detector) ->
    {ecto_litefs_status:role(?REPO), next_look(Detector)}.

next_look(Detector) ->
    case erlang:read_timer(timer_of(Detector)) of
        Ms when is_integer(Ms), Ms > 20_000 -> rarely;
        Ms when is_integer(Ms), Ms =< 1_000 -> soon;
        Other -> Other % it has just sent its message
    end.

timer_of(Detector) ->
    {Timer, _Due} = element(field(look), sys:get_state(Detector)),
    Timer.

set(Detector, Field, Value) ->
    sys:replace_state(Detector,
                      fun(State) -> setelement(field(Field), State, Value) end).

%% Where the detector's record has it.
field(Name) ->
    Beam = code:which(ecto_litefs_detector),
    {ok, {_, [{abstract_code, {_, Forms}}]}} =
        beam_lib:chunks(Beam, [abstract_code]),
    [Fields] = [Fields || {attribute, _, record, {state, Fields}} <- Forms],
    Names = [field_name(Field) || Field <- Fields],
    length(lists:takewhile(fun(N) -> N =/= Name end, Names)) + 2.

field_name({typed_record_field, Field, _Type}) -> field_name(Field);
field_name(Field) -> erl_parse:normalise(element(3, Field)).

%% -- events ------------------------------------------------------------------

%% Each state once, in order, and the same again is no news.
role_changes_are_events(Config) ->
    telemetry:send_to(self()),
    try
        {Sim, Detector} = start_healthy(Config),
        ok = ecto_litefs_detector:set_manual(?REPO, none),
        ok = litefs_simulator:promote(Sim, <<"node-2">>),
        until(primary, fun() -> ecto_litefs_status:role(?REPO) end),
        _ = sys:get_state(Detector), % it has acted on it
        [First | Changes] = Events = changes(),
        Node = node(),
        ?assertMatch({nil, #{repo := ?REPO, role := replica, source := _,
                             hostname := <<"node-1">>, node := Node}}, First),
        ?assertMatch({replica, #{role := primary, hostname := nil,
                                 source := stream}}, lists:last(Changes)),
        Generations = [G || {_, #{generation := G}} <- Events],
        ?assertEqual(Generations, lists:usort(Generations)),
        chained(Events),
        ok = litefs_simulator:stop(Sim)
    after
        telemetry:detach()
    end.

%% Each begins with what the one before it ended with.
chained([{_, #{role := Role}} | [{Role, _} | _] = Rest]) -> chained(Rest);
chained([_Last]) -> ok.

changes() ->
    receive
        {telemetry, [ecto_litefs, role, change], #{duration := Duration},
         #{previous_role := Former} = Metadata} ->
            ?assertEqual(Former =:= nil, Duration =:= 0),
            [{Former, Metadata} | changes()]
    after 0 -> []
    end.

%% telemetry catches what a handler raises; this one does not.
raising_handler(Config) ->
    telemetry:attach(fun(_, _, _) -> error(handler) end),
    try
        Detector = start(config(Config)),
        write_primary(Config, "node-1"),
        until({replica, []}, fun role_and_claims/0),
        delete_primary(Config),
        until({not_litefs, [Detector]}, fun role_and_claims/0)
    after
        telemetry:detach()
    end.

killed(Config) ->
    Detector = start(config(Config)),
    kill(Detector),
    until({unknown, []}, fun role_and_claims/0),
    ?assertMatch({_Handle, #{repo := ?REPO}},
                 ecto_litefs_instance:lookup(?REPO)),
    Next = start(config(Config)),
    ?assertEqual({not_litefs, [Next]}, role_and_claims()).

supervisor_stopped(Config) ->
    Flags = #{strategy => one_for_one},
    Child = ecto_litefs_detector:child_spec(config(Config)),
    {ok, Sup} = supervisor:start_link(ecto_litefs_test_sup, {Flags, [Child]}),
    [{_Id, Detector, worker, _Modules}] = supervisor:which_children(Sup),
    ?assertEqual({not_litefs, [Detector]}, role_and_claims()),
    kill(Detector),
    until(true, fun() -> is_claimed_by_other(Detector) end),
    unlink(Sup),
    ok = gen_server:stop(Sup, shutdown, 5000),
    until({unknown, []}, fun role_and_claims/0).

is_claimed_by_other(Detector) ->
    case role_and_claims() of
        {not_litefs, [Pid]} -> Pid =/= Detector;
        _Other -> false
    end.

%% -- noise -------------------------------------------------------------------

one_log_line(Config) ->
    Refused = <<"http://127.0.0.1:1/events">>,
    ok = ecto_litefs_test_log:start(),
    try
        _ = start((config(Config))#{event_stream_url := Refused,
                                    poll_interval := 10}),
        #{generation := Generation} = ecto_litefs_status:snapshot(?REPO),
        [not_litefs = ecto_litefs_status:check(?REPO, 5000)
         || _ <- lists:seq(1, 100)],
        ?assertMatch([{notice, _}], ecto_litefs_test_log:lines()),
        ?assertMatch(#{generation := Generation},
                     ecto_litefs_status:snapshot(?REPO))
    after
        ecto_litefs_test_log:stop()
    end.

unexpected_message(Config) ->
    ok = ecto_litefs_test_log:start(),
    Detector = start(config(Config)),
    _ = ecto_litefs_test_log:lines(),
    Detector ! {what, is, this},
    ok = ecto_litefs_detector:set_manual(?REPO, none),
    ?assertMatch([{warning, _}], ecto_litefs_test_log:lines()),
    ok = ecto_litefs_test_log:stop(),
    ?assertEqual(Detector, whereis(ecto_litefs_detector:name(?REPO))).

%% -- leaks -------------------------------------------------------------------

restarts_leak_nothing(Config) ->
    Options = (config(Config))#{event_stream_url :=
                                    <<"http://127.0.0.1:1/events">>},
    Restart = fun() ->
                      Pid = start(Options),
                      ?assertEqual({not_litefs, [Pid]}, role_and_claims()),
                      Pid
              end,
    kill(Restart()),
    until(unknown, fun() -> ecto_litefs_status:role(?REPO) end),
    Idle = idle_resources(),
    [case N rem 2 of
         0 -> kill(Restart());
         1 -> stop(Restart())
     end || N <- lists:seq(1, 100)],
    until(true, fun() -> none_above(Idle) end, 10_000).

%% What stays after the first detector: its threads are gone when the counts
%% have not changed for a while.
idle_resources() ->
    idle_resources(resources(), 50).

idle_resources(Counts, 0) ->
    Counts;
idle_resources(Counts, Left) ->
    timer:sleep(5),
    case resources() of
        Counts -> idle_resources(Counts, Left - 1);
        Others -> idle_resources(Others, 50)
    end.

none_above({Threads, Descriptors}) ->
    {ThreadsNow, DescriptorsNow} = resources(),
    ThreadsNow =< Threads andalso DescriptorsNow =< Descriptors.

resources() ->
    {ecto_litefs_test_wait:threads(), ecto_litefs_test_wait:descriptors()}.

%% -- without the NIF ---------------------------------------------------------

%% The code without priv/ecto_litefs_nif.so, as in an image where libcurl is
%% missing, or on another system.
without_nif(Config) ->
    Peer = start_peer(copy_without_nif(Config), #{}),
    try
        Result = peer:call(Peer, ?MODULE, passthrough_life, [config(Config)]),
        ?assertMatch(#{available := false, before := not_supervised,
                       role := not_litefs, check := not_litefs, kind := plain,
                       manual := {error, unavailable}, claims := 1,
                       lines := [{notice, _}], stopped := unknown,
                       snapshot := #{role := not_litefs, mount := unseen}},
                     Result),
        #{reason := Reason} = Result,
        [?assertNotEqual(nomatch, binary:match(Reason, Word))
         || Word <- [<<"libcurl4">>, <<"libjansson4">>]]
    after
        peer:stop(Peer)
    end.

passthrough_life(#{repo := Repo} = Config) ->
    _ = process_flag(trap_exit, true),
    {ok, _} = pg:start(ecto_litefs_claim:scope()),
    ok = ecto_litefs_test_log:start(),
    Before = ecto_litefs_status:role(Repo),
    {ok, Pid} = ecto_litefs_detector:start_link(Config),
    Result = #{available => ecto_litefs_nif:available(),
               reason => ecto_litefs_nif:unavailable_reason(),
               before => Before,
               role => ecto_litefs_status:role(Repo),
               check => ecto_litefs_status:check(Repo, 1000),
               kind => ecto_litefs_status:kind(Repo),
               snapshot => ecto_litefs_status:snapshot(Repo),
               manual => ecto_litefs_detector:set_manual(Repo, replica),
               claims => length(ecto_litefs_claim:members(Repo, plain)),
               lines => ecto_litefs_test_log:lines()},
    ok = gen_server:stop(Pid),
    Result#{stopped => ecto_litefs_status:role(Repo)}.

without_nif_on_litefs(Config) ->
    in_namespace(
      Config,
      fun(Peer) ->
              Directory = proplists:get_value(directory, Config),
              ok = peer:call(Peer, ?MODULE, mount_litefs, [Directory]),
              refuses_to_start(Peer, config(Config), <<"is a LiteFS mount">>)
      end).

%% Also on a plain directory.
without_nif_required(Config) ->
    Required = (config(Config))#{mount := required},
    Peer = start_peer(copy_without_nif(Config), #{}),
    try refuses_to_start(Peer, Required, <<"mount is :required">>)
    after peer:stop(Peer)
    end.

refuses_to_start(Peer, DetectorConfig, What) ->
    start_pg(Peer),
    {error, {litefs_without_nif, Text}} = start_in(Peer, DetectorConfig),
    [?assertNotEqual(nomatch, binary:match(Text, Word))
     || Word <- [What, <<"libcurl4">>, <<"libjansson4">>]],
    ?assertEqual(unknown, role_in(Peer)).

%% The supervisor starts the detector again, which is refused.
without_nif_mounted_later(Config) ->
    in_namespace(
      Config,
      fun(Peer) ->
              start_pg(Peer),
              {ok, Detector} = start_in(Peer, config(Config)),
              ?assertEqual(not_litefs, role_in(Peer)),
              {litefs_without_nif, Text} =
                  peer:call(Peer, ?MODULE, ended_by_mount,
                            [Detector, proplists:get_value(directory, Config)]),
              ?assertNotEqual(nomatch, binary:match(Text, <<"libcurl4">>)),
              ?assertEqual(unknown, role_in(Peer)),
              ?assertMatch({error, {litefs_without_nif, _}},
                           start_in(Peer, config(Config))),
              ?assertEqual(unknown, role_in(Peer))
      end).

without_nif_killed(Config) ->
    Peer = start_peer(copy_without_nif(Config), #{}),
    try
        start_pg(Peer),
        {ok, Detector} = start_in(Peer, config(Config)),
        ?assertEqual(not_litefs, role_in(Peer)),
        true = peer:call(Peer, erlang, exit, [Detector, kill]),
        until([unknown, unknown],
              fun() -> [role_in(Peer), check_in(Peer)] end),
        ?assertMatch(#{role := unknown},
                     peer:call(Peer, ecto_litefs_status, snapshot, [?REPO])),
        {ok, _Next} = start_in(Peer, config(Config)),
        ?assertEqual(not_litefs, role_in(Peer))
    after
        peer:stop(Peer)
    end.

in_namespace(Config, Fun) ->
    case os:cmd("unshare -m echo unshared") of
        "unshared\n" ->
            Exec = {os:find_executable("unshare"), ["-m", "erl"]},
            Peer = start_peer(copy_without_nif(Config), #{exec => Exec}),
            try Fun(Peer) after peer:stop(Peer) end;
        Output ->
            {skip, "no mount namespace: " ++ Output}
    end.

%% A mount table that names a LiteFS mount needs no LiteFS: a tmpfs with the
%% source `litefs`, in a mount namespace of the other VM's own.
mount_litefs(Directory) ->
    "" = os:cmd("mount -t tmpfs litefs " ++ Directory),
    ok.

ended_by_mount(Detector, Directory) ->
    Monitor = monitor(process, Detector),
    ok = mount_litefs(Directory),
    receive
        {'DOWN', Monitor, process, Detector, Reason} -> Reason
    after 5000 -> alive
    end.

start_pg(Peer) ->
    {ok, _Scope} = peer:call(Peer, pg, start, [ecto_litefs_claim:scope()]).

%% Not linked to the process that makes the call.
start_in(Peer, DetectorConfig) ->
    peer:call(Peer, gen_server, start,
              [{local, ecto_litefs_detector:name(?REPO)}, ecto_litefs_detector,
               DetectorConfig, []]).

role_in(Peer) ->
    peer:call(Peer, ecto_litefs_status, role, [?REPO]).

check_in(Peer) ->
    peer:call(Peer, ecto_litefs_status, check, [?REPO, 1000]).

copy_without_nif(Config) ->
    Ebin = filename:dirname(code:which(ecto_litefs_nif)),
    Copy = filename:join([proplists:get_value(priv_dir, Config),
                          "without_nif", "ecto_litefs", "ebin"]),
    ok = filelib:ensure_path(Copy),
    ok = filelib:ensure_path(filename:join(filename:dirname(Copy), "priv")),
    [{ok, _} = file:copy(Beam, filename:join(Copy, filename:basename(Beam)))
     || Beam <- filelib:wildcard(filename:join(Ebin, "*.{beam,app}"))],
    Copy.

start_peer(Ebin, Options) ->
    Tests = [filename:dirname(code:which(Module))
             || Module <- [?MODULE, ecto_litefs_test_log]],
    {ok, Peer, _Node} =
        peer:start(Options#{connection => standard_io,
                            args => ["-pa" | [Ebin | Tests]]}),
    Peer.

%% -- helpers -----------------------------------------------------------------

new_directory(Config) ->
    Unique = integer_to_list(erlang:unique_integer([positive])),
    Dir = filename:join(os:getenv("TMPDIR", "/tmp"),
                        "ecto_litefs_" ++ os:getpid() ++ "_" ++ Unique),
    ok = filelib:ensure_path(Dir),
    [{directory, Dir} | Config].

config(Config) ->
    (ecto_litefs_config:defaults())#{repo => ?REPO,
                                     primary_file => primary_file(Config),
                                     event_stream_url => undefined}.

simulated(Sim, Name) ->
    #{primary_file := File, event_stream_url := Url} =
        litefs_simulator:node(Sim, Name),
    (ecto_litefs_config:defaults())#{repo => ?REPO, primary_file => File,
                                     event_stream_url => Url, mount => plain}.

primary_file(Config) ->
    list_to_binary(filename:join(proplists:get_value(directory, Config),
                                 ".primary")).

%% At once, as LiteFS has it: a reader never sees half of it.
write_primary(Config, Text) ->
    File = primary_file(Config),
    ok = file:write_file(<<File/binary, ".new">>, Text),
    ok = file:rename(<<File/binary, ".new">>, File).

delete_primary(Config) ->
    ok = file:delete(primary_file(Config)).

start(DetectorConfig) ->
    {ok, Pid} = ecto_litefs_detector:start_link(DetectorConfig),
    Pid.

stop(Pid) ->
    unlink(Pid),
    ok = gen_server:stop(Pid).

kill(Pid) ->
    unlink(Pid),
    Monitor = monitor(process, Pid),
    exit(Pid, kill),
    receive
        {'DOWN', Monitor, process, Pid, _Reason} -> ok
    end.

claims(Kind) ->
    ecto_litefs_claim:members(?REPO, Kind).

role_and_claims() ->
    {ecto_litefs_status:role(?REPO), claims(plain)}.
