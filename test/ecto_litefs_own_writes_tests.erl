%% Whether, and how long, a write waits for this node; and which position a fun's
%% writes have.
-module(ecto_litefs_own_writes_tests).

-include_lib("eunit/include/eunit.hrl").

-define(OWN, ecto_litefs_own_writes).
-define(REPO, 'Elixir.NoRepo').

%% What the call says comes before what the Repo says.
wait_ms_test_() ->
    [?_assertEqual({Given, Config, Ms},
                   {Given, Config, ?OWN:wait_ms({args, [item, Given]},
                                                config(Config))})
     || {Given, Config, Ms} <-
            [{[], {true, 5000}, 5000},
             {[], {false, 5000}, none},
             {[{await, false}], {true, 5000}, none},
             {[{await, true}], {false, 5000}, 5000},
             {[{await_timeout, 0}], {true, 5000}, 0},
             {[{await_timeout, 70}, {timeout, 1}], {true, 5000}, 70},
             {[{await_timeout, 70}], {false, 5000}, none}]].

every_way_test_() ->
    Fun = fun() -> ok end,
    Options = [{await_timeout, 70}],
    [?_assertEqual(70, ?OWN:wait_ms(Payload, config({true, 5000})))
     || Payload <- [{args, [items, [], Options]},
                    {transaction, Fun, Options},
                    {run, Fun, Options},
                    {super, Fun, [item, #{args => [item, Options]}]}]].

wrong_option_test_() ->
    [?_assertError(#{'__struct__' := 'Elixir.ArgumentError'},
                   ?OWN:wait_ms({args, [item, [Option]]}, config({true, 5000})))
     || Option <- [{await, 1}, {await, nil}, {await_timeout, -1},
                   {await_timeout, infinity}, {await_timeout, 1.0},
                   {await_timeout, 1 bsl 32}]].

config({Await, Ms}) ->
    (ecto_litefs_config:defaults())#{await := Await, await_timeout := Ms}.

%% The last one counts, also that of an inner fun, which has its own.
collect_test() ->
    Write = fun(Position) -> ok = ?OWN:done(?REPO, Position, none) end,
    ?assertEqual({inner, none}, ?OWN:collect(?REPO, fun() -> inner end)),
    ?assertEqual(
       {{result, {x, {1, 5, 50}}}, {1, 6, 60}},
       ?OWN:collect(?REPO, fun() ->
           Write({1, 4, 40}),
           Inner = ?OWN:collect(?REPO, fun() -> Write({1, 5, 50}), x end),
           Write({1, 6, 60}),
           {result, Inner}
       end)),
    ?assertEqual(
       {{inner, {1, 5, 50}}, {1, 5, 50}},
       ?OWN:collect(?REPO, fun() ->
           ?OWN:collect(?REPO, fun() -> Write({1, 5, 50}), inner end)
       end)),
    ?assertEqual({ok, none},
                 ?OWN:collect(?REPO, fun() -> Write({1, 5, 50}),
                                              Write(unavailable) end)),
    ?assertNot(?OWN:wants_position(?REPO, none)),
    ?assert(?OWN:wants_position(?REPO, 0)),
    {true, none} =
        ?OWN:collect(?REPO, fun() -> ?OWN:wants_position(?REPO, none) end),
    ?assertError(oops, ?OWN:collect(?REPO, fun() -> error(oops) end)),
    ?assertEqual([], get_keys(none)).
