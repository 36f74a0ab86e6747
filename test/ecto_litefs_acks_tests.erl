%% Acknowledgements: owed once, to the node that they are for.
-module(ecto_litefs_acks_tests).

-include_lib("eunit/include/eunit.hrl").

-define(ACKS, ecto_litefs_acks).

acks_test_() ->
    {foreach, fun ?ACKS:new/0, fun(ok) -> ets:delete(?ACKS) end,
     [fun taken_once/0, fun flushed/0]}.

taken_once() ->
    [ok = ?ACKS:add(Node, Id) || {Node, Id} <- [{a@h, <<1>>}, {a@h, <<2>>},
                                                {b@h, <<3>>}]],
    ?assertEqual([<<1>>, <<2>>], lists:sort(?ACKS:take(a@h))),
    ?assertEqual([], ?ACKS:take(a@h)),
    ?assertEqual([<<3>>], ?ACKS:take(b@h)).

%% A node that is not connected loses what it is owed.
flushed() ->
    true = register(ecto_litefs_ledger_keeper, self()),
    ok = ?ACKS:add(node(), <<1>>),
    ok = ?ACKS:add(gone@h, <<2>>),
    ok = ?ACKS:flush(),
    true = unregister(ecto_litefs_ledger_keeper),
    receive {ack, Ids} -> ?assertEqual([<<1>>], Ids)
    after 1000 -> error(nothing_came)
    end,
    ?assertEqual([], ?ACKS:take(gone@h)).

without_a_table_test() ->
    ?assertEqual(ok, ?ACKS:add(a@h, <<1>>)),
    ?assertEqual([], ?ACKS:take(a@h)).
