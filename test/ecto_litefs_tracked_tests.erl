%% Which texts become node names, and how many. What becomes of them is in
%% e2e/tracking_SUITE.
-module(ecto_litefs_tracked_tests).

-include_lib("eunit/include/eunit.hrl").

-define(TRACKED, ecto_litefs_tracked).

tracked_test_() ->
    {foreach, fun ?TRACKED:new/0,
     fun(ok) -> ets:delete(?TRACKED) end,
     [fun names/0, fun no_names/0, fun known_names_are_free/0,
      fun bounded/0, fun nothing_known/0]}.

names() ->
    [?assertEqual({ok, binary_to_atom(Name)}, ?TRACKED:node_name(Name))
     || Name <- [<<"app@10.0.0.1">>, <<"my_app-2@host.example.com">>,
                 <<"a@fdaa:0:1::3">>, <<"A9@h">>]].

no_names() ->
    Names = [<<>>, <<"@">>, <<"a@">>, <<"@b">>, <<"nowhere">>, <<"a@b@c">>,
             <<"a@b\n">>, <<"a\n@b">>, <<"a b@c">>, <<"../a@b">>,
             <<"'; drop table x; --@b">>, <<"a@b/c">>, <<"\303\244@b">>,
             <<0, "@b">>, <<"a@b", 0>>, <<255, "@b">>,
             <<(binary:copy(<<"a">>, 254))/binary, "@b">>,
             binary:copy(<<"a">>, 4096)],
    [?TRACKED:node_name(Name) || Name <- Names], % what is loaded is
    Atoms = erlang:system_info(atom_count),
    [?assertEqual({error, bad_name}, ?TRACKED:node_name(Name))
     || Name <- Names],
    ?assertEqual(Atoms, erlang:system_info(atom_count)).

known_names_are_free() ->
    [{ok, _} = ?TRACKED:node_name(<<"known@host">>)
     || _ <- lists:seq(1, 1000)],
    ?assertMatch({ok, _}, ?TRACKED:node_name(fresh())).

bounded() ->
    Made = [fresh() || _ <- lists:seq(1, 256)],
    [?assertMatch({ok, _}, ?TRACKED:node_name(Name)) || Name <- Made],
    ?assertEqual({error, too_many}, ?TRACKED:node_name(fresh())),
    [?assertMatch({ok, _}, ?TRACKED:node_name(Name)) || Name <- Made].

fresh() ->
    <<"n", (integer_to_binary(erlang:unique_integer([positive])))/binary,
      "@", (integer_to_binary(erlang:system_time()))/binary, ".host">>.

%% A Repo without a process.
nothing_known() ->
    ?assertEqual([], ?TRACKED:candidates(no_repo)),
    ?assertEqual(none, ?TRACKED:find(no_repo, true, 1_000)),
    ?assertEqual(none, ?TRACKED:find(no_repo, false, 1_000)).

%% The application ecto_litefs was stopped.
without_table_test() ->
    ?assertEqual([], ?TRACKED:candidates(no_repo)),
    ?assertEqual(none, ?TRACKED:find(no_repo, false, 1_000)),
    ?assertEqual({error, too_many}, ?TRACKED:node_name(fresh())).
