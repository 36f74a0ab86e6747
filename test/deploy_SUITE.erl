%% A rolling deploy: caller and primary have other builds of the application, or
%% other versions of this library, or not all of it. Two real nodes, each with a
%% database file of its own on a plain directory.
-module(deploy_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_testcase/2, end_per_testcase/2]).
-export([data_works_across_builds/1,
         mfa_works_across_builds/1,
         fun_of_another_build_is_not_executed/1,
         fun_in_a_multi_of_another_build/1,
         fun_in_prepare_changes_of_another_build/1,
         mfa_that_is_not_there_raises/1,
         function_that_is_not_there/1,
         data_works_across_builds_of_the_library/1,
         other_protocol/1,
         no_library/1,
         application_stopped_on_the_primary/1,
         application_restarted_on_the_primary/1,
         repo_not_started_on_the_primary/1,
         exception_of_an_unknown_module/1,
         exception_without_a_message/1,
         errors_raise_if_told_to/1]).

%% Called on a node.
-export([transaction_of_build/1, multi_of_build/1, prepared_of_build/1]).

-define(REPO, 'Elixir.FullRepo').
-define(PEER, ecto_litefs_test_peer).
-define(BUILD, ecto_litefs_test_build).
-define(API, 'Elixir.EctoLiteFS').
-define(APP, deploy_suite_app).
-define(STREAM, {event_stream_url, <<"http://127.0.0.1:1/events">>}).

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    [Name || {Name, 1} <- ?MODULE:module_info(exports),
             not lists:member(Name, [transaction_of_build, multi_of_build,
                                     prepared_of_build, module_info])].

init_per_testcase(Name, Config) ->
    [] = os:cmd("epmd -daemon"),
    [A, B] = Peers = [?PEER:start(Node) || Node <- [a, b]],
    ok = ?PEER:connect(Peers),
    Directory = filename:join(?config(priv_dir, Config), atom_to_list(Name)),
    [begin
         Own = filename:join(Directory, Index),
         ok = ?PEER:repo(Peer, ?REPO, Own),
         ok = ?PEER:supervise(Peer, ?REPO, Own, options(Name))
     end || {Index, Peer} <- [{"a", A}, {"b", B}]],
    Node = ?PEER:node(A),
    [ok = ?PEER:call(Peer, ?API, set_primary, [?REPO, Node]) || Peer <- [A, B]],
    load_builds(A, B),
    [{peers, {A, B}} | Config].

options(errors_raise_if_told_to) ->
    [{mount, plain}, ?STREAM, {primary_wait, 0}, {on_error, raise}];
options(_) ->
    [{mount, plain}, ?STREAM, {primary_wait, 300}].

end_per_testcase(_Name, Config) ->
    {A, B} = ?config(peers, Config),
    [?PEER:stop(Peer) || Peer <- [A, B]],
    ok.

%% Two builds of one module of the application: the new one says so.
load_builds(A, B) ->
    [load(Peer, ?APP, ?BUILD:of_lines(?APP, build(Build)))
     || {Peer, Build} <- [{A, "new"}, {B, "old"}]].

build(Name) ->
    ["work() -> fun() -> row() end.",
     "hook() -> fun(Changeset) -> Changeset end.",
     "row() -> <<\"" ++ Name ++ "\">>.",
     "write(Repo, Make) -> "
     "    {ok, _} = Repo:insert(Make:new(#{name => row()})), row()."].

load(Peer, Module, Binary) ->
    ok = ?PEER:call(Peer, ?BUILD, load, [Module, Binary]).

%% -- other builds of the application -----------------------------------------

data_works_across_builds(Config) ->
    {A, B} = ?config(peers, Config),
    {returned, {ok, _}, []} = ?PEER:write(B, ?REPO, insert, [item(<<"ann">>)]),
    ?assertEqual([<<"ann">>], names(A)).

%% The primary's own build of the function runs.
mfa_works_across_builds(Config) ->
    {A, B} = ?config(peers, Config),
    Work = {?APP, write, [?REPO, ecto_litefs_test_item]},
    ?assertEqual({returned, {ok, <<"new">>}, []},
                 ?PEER:write(B, ?REPO, transaction, [Work])),
    ?assertEqual([<<"new">>], names(A)).

fun_of_another_build_is_not_executed(Config) ->
    {_, B} = ?config(peers, Config),
    Error = refused(transaction_of_build, Config),
    ?assertMatch(#{action := transaction}, Error),
    Text = ?PEER:call(B, 'Elixir.EctoLiteFS.Error', message, [Error]),
    ?assertNotEqual(nomatch, string:find(Text, "another build")).

fun_in_a_multi_of_another_build(Config) ->
    refused(multi_of_build, Config).

fun_in_prepare_changes_of_another_build(Config) ->
    refused(prepared_of_build, Config).

refused(Call, Config) ->
    {A, B} = ?config(peers, Config),
    Node = ?PEER:node(A),
    {error, Error, _Stack, []} = ?PEER:write(B, ?MODULE, Call, [?REPO]),
    ?assertMatch(#{'__struct__' := 'Elixir.EctoLiteFS.Error',
                   reason := {not_executed, {other_build, ?APP, Node}},
                   outcome := not_executed}, Error),
    ?assertEqual([], names(A)),
    Error.

transaction_of_build(Repo) ->
    Repo:transaction(?APP:work()).

multi_of_build(Repo) ->
    Work = ?APP:work(),
    Multi = 'Elixir.Ecto.Multi':insert('Elixir.Ecto.Multi':new(), first,
                                       item(<<"first">>)),
    Repo:transaction('Elixir.Ecto.Multi':run(
                       Multi, second, fun(_, _) -> {ok, Work()} end)).

prepared_of_build(Repo) ->
    Repo:'insert!'(ecto_litefs_test_item:prepare_changes(item(<<"ann">>),
                                                         ?APP:hook())).

%% It is done, as it would be on the primary: undefined there.
mfa_that_is_not_there_raises(Config) ->
    {A, B} = ?config(peers, Config),
    ok = ?PEER:call(A, ?BUILD, unload, [?APP]),
    Work = {?APP, write, [?REPO, ecto_litefs_test_item]},
    ?assertMatch({error, undef, [{?APP, write, _, _} | _], []},
                 ?PEER:write(B, ?REPO, transaction, [Work])),
    ?assertEqual([], names(A)).

function_that_is_not_there(Config) ->
    {A, B} = ?config(peers, Config),
    Node = ?PEER:node(A),
    ok = ?PEER:call(A, ?BUILD, unload, [?APP]),
    {error, Error, _Stack, []} =
        ?PEER:write(B, ?REPO, transaction, [fun ?APP:row/0]),
    ?assertMatch(#{reason := {not_executed,
                              {no_function, {?APP, row, 0}, Node}}}, Error).

%% -- other versions of this library ------------------------------------------

%% Every module of it that the primary's side consists of is another build.
data_works_across_builds_of_the_library(Config) ->
    {A, B} = ?config(peers, Config),
    [load(A, Module, ?BUILD:of_module(Module))
     || Module <- [ecto_litefs_executor, ecto_litefs_ledger, ecto_litefs_verdict,
                   ecto_litefs_admission, ecto_litefs_transaction,
                   ecto_litefs_payload, ecto_litefs_context]],
    {returned, {ok, _}, []} = ?PEER:write(B, ?REPO, insert, [item(<<"ann">>)]),
    {returned, {ok, [1, 2]}, []} =
        ?PEER:write(B, ?REPO, transaction, [{lists, seq, [1, 2]}]),
    {returned, {1, nil}, []} =
        ?PEER:write(B, ?REPO, insert_all, [items, [#{name => <<"bob">>,
                                                     value => 1}]]),
    ?assertEqual([<<"ann">>, <<"bob">>], names(A)).

other_protocol(Config) ->
    {A, B} = ?config(peers, Config),
    Node = ?PEER:node(A),
    replaced(A, ecto_litefs_executor,
             "run(_Request) -> {unsupported, 3}."),
    ?assertEqual({returned, {error, {not_executed, {other_version, Node}}}, []},
                 ?PEER:write(B, ?REPO, insert, [item(<<"ann">>)])).

%% Neither what is called nor what is asked first.
no_library(Config) ->
    {A, B} = ?config(peers, Config),
    Node = ?PEER:node(A),
    NotExecuted = {returned, {error, {not_executed, {no_library, Node}}}, []},
    replaced(A, ecto_litefs_ledger, "other() -> 1."),
    ?assertEqual(NotExecuted,
                 ?PEER:write(B, ?REPO, insert, [item(<<"ann">>)])),
    ok = ?PEER:call(B, ecto_litefs_incarnation, remember, [Node, <<0:128>>]),
    replaced(A, ecto_litefs_executor, "other() -> 1."),
    ?assertEqual(NotExecuted,
                 ?PEER:write(B, ?REPO, insert, [item(<<"ann">>)])).

replaced(Peer, Module, Function) ->
    load(Peer, Module, ?BUILD:of_lines(Module, [Function])).

%% -- not all of it runs ------------------------------------------------------

application_stopped_on_the_primary(Config) ->
    {A, B} = ?config(peers, Config),
    ok = ?PEER:call(A, application, stop, [ecto_litefs]),
    ?assertEqual({returned, {error, primary_unavailable}, []},
                 ?PEER:write(B, ?REPO, insert, [item(<<"ann">>)])),
    ?assertEqual([], names(A)).

%% The ledger is another one then, and the first call is told.
application_restarted_on_the_primary(Config) ->
    {A, B} = ?config(peers, Config),
    Node = ?PEER:node(A),
    {returned, {ok, _}, []} = ?PEER:write(B, ?REPO, insert, [item(<<"ann">>)]),
    Before = ?PEER:call(B, ecto_litefs_incarnation, known, [Node]),
    ok = ?PEER:call(A, application, stop, [ecto_litefs]),
    ok = ?PEER:call(A, application, start, [ecto_litefs]),
    {returned, {ok, _}, []} = ?PEER:write(B, ?REPO, insert, [item(<<"bob">>)]),
    ?assertEqual([<<"ann">>, <<"bob">>], names(A)),
    ?assertNotEqual(Before, ?PEER:call(B, ecto_litefs_incarnation, known, [Node])).

repo_not_started_on_the_primary(Config) ->
    {A, B} = ?config(peers, Config),
    Node = ?PEER:node(A),
    ok = ?PEER:call(A, ecto_litefs_test_repo, stop, [?REPO]),
    ?assertEqual({returned,
                  {error, {not_executed, {repo_not_started, Node}}}, []},
                 ?PEER:write(B, ?REPO, insert, [item(<<"ann">>)])).

%% -- what comes back ---------------------------------------------------------

%% The primary has an exception module that the caller has not.
exception_of_an_unknown_module(Config) ->
    {A, B} = ?config(peers, Config),
    Module = deploy_suite_error,
    Message = "message(#{what := W}) -> <<\"it was \", W/binary>>.",
    load(A, Module, ?BUILD:of_lines(Module, [Message])),
    {error, Error, Stack, []} = raised(Module, <<"the dog">>, B),
    ?assertMatch(#{'__struct__' := 'Elixir.EctoLiteFS.Error', outcome := done,
                   action := transaction,
                   reason := {remote_exception, Module, <<"it was the dog">>}},
                 Error),
    ?assert(lists:keymember(ecto_litefs_executor, 1, Stack)).

%% Where the primary cannot read it either it arrives as it is.
exception_without_a_message(Config) ->
    {_, B} = ?config(peers, Config),
    {error, Error, _Stack, []} = raised(deploy_suite_nowhere, <<"a">>, B),
    ?assertMatch(#{'__struct__' := deploy_suite_nowhere, what := <<"a">>}, Error).

raised(Module, What, Peer) ->
    Exception = #{'__struct__' => Module, '__exception__' => true,
                  what => What},
    ?PEER:write(Peer, ?REPO, transaction, [{erlang, error, [Exception]}]).

errors_raise_if_told_to(Config) ->
    {A, B} = ?config(peers, Config),
    [ok = ?PEER:call(Peer, ?API, set_replica, [?REPO]) || Peer <- [A, B]],
    ok = ?PEER:call(B, ecto_litefs_manual, restore, [?REPO, none]),
    [?assertMatch({error, #{'__struct__' := 'Elixir.EctoLiteFS.Error',
                            reason := primary_unavailable,
                            action := Action}, _Stack, []},
                  ?PEER:write(B, ?REPO, Action, Args))
     || {Action, Args} <- [{insert, [item(<<"ann">>)]},
                           {update, [item(<<"ann">>)]},
                           {delete, [item(<<"ann">>)]},
                           {insert_or_update, [item(<<"ann">>)]},
                           {query, ["SELECT 1", [], [{on, primary}]]}]].

%% -- help --------------------------------------------------------------------

item(Name) ->
    ecto_litefs_test_item:changeset(ecto_litefs_test_item:new(),
                                    #{name => Name}).

names(Peer) ->
    [Name || {Name, _} <- ?PEER:call(Peer, ecto_litefs_test_repo, rows, [?REPO])].
