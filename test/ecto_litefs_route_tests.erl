-module(ecto_litefs_route_tests).

-include_lib("eunit/include/eunit.hrl").

-define(ROLES, [primary, replica, no_primary, unknown, not_litefs,
                not_supervised]).
-define(LOCAL, [primary, not_litefs, not_supervised]).

%% Every role with every context: what is not proven primary is never local.
decide_test_() ->
    [{lists:flatten(io_lib:format("~p ~p", [Role, Context])),
      ?_assertEqual(expected(Role, Context),
                    ecto_litefs_route:decide(Role, Context))}
     || Role <- ?ROLES, Context <- contexts()].

contexts() ->
    [#{supervised => Supervised, candidates => Nodes, remaining_ms => Ms}
     || Supervised <- [true, false], Nodes <- [[], [a], [a, b]], Ms <- [0, 7]].

expected(Role, Context) ->
    case lists:member(Role, ?LOCAL) of
        true -> local;
        false -> away(Context)
    end.

away(#{supervised := false}) -> {error, primary_unavailable};
away(#{candidates := [], remaining_ms := 0}) -> {error, primary_unavailable};
away(#{candidates := [], remaining_ms := Ms}) -> {wait, Ms};
away(#{candidates := Nodes}) -> {forward, Nodes}.

local_test() ->
    ?assertEqual(?LOCAL, [Role || Role <- ?ROLES, ecto_litefs_route:local(Role)]
                 -- []).

no_other_role_test() ->
    ?assertError(function_clause, ecto_litefs_route:local(nonsense)).
