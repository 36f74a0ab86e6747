%% The link that cut_SUITE cuts, by itself and without the library: B writes a
%% number into A's memory.
-module(link_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_testcase/2, end_per_testcase/2]).
-export([request_is_cut_at_the_byte/1,
         reply_is_cut_at_the_byte/1,
         stalled_is_late/1,
         only_through_the_proxy/1,
         epmd_module_answers/1,
         restarts_under_its_name/1]).

-define(PEER, ecto_litefs_test_peer).
-define(PAIR, ecto_litefs_test_pair).
-define(PROXY, ecto_litefs_test_proxy).

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    [request_is_cut_at_the_byte, reply_is_cut_at_the_byte, stalled_is_late,
     only_through_the_proxy, epmd_module_answers, restarts_under_its_name].

init_per_testcase(_Name, Config) ->
    [] = os:cmd("epmd -daemon"),
    Pair = ?PAIR:start(),
    ok = ?PAIR:connect(Pair),
    [{pair, Pair} | Config].

end_per_testcase(_Name, Config) ->
    ?PAIR:stop(?config(pair, Config)).

%% It is executed if its last byte has passed, and not with one byte less.
request_is_cut_at_the_byte(Config) ->
    Pair = ?config(pair, Config),
    {Size, _} = measure(Pair),
    [begin
         ok = cut_note(Pair, to_target, Offset),
         until_noted(case Offset of Size -> 1; _ -> 0 end, Pair)
     end || Offset <- [0, 1, Size div 2, Size - 1, Size]].

%% It is executed whatever becomes of the reply.
reply_is_cut_at_the_byte(Config) ->
    Pair = ?config(pair, Config),
    {_, Size} = measure(Pair),
    [begin
         ok = cut_note(Pair, to_client, Offset),
         until_noted(1, Pair)
     end || Offset <- [0, 1, Size div 2, Size - 1]].

%% Each time on a link of the same state, which is silent: the sizes are those
%% of every other time.
cut_note({_, _, Proxy} = Pair, Direction, Offset) ->
    ok = ?PAIR:connect(Pair),
    Sizes = measure(Pair),
    ?assertEqual(Sizes, measure(Pair)),
    Cut = ?PROXY:cut(Proxy, Direction, Offset),
    ?assertError({erpc, noconnection}, note(Pair, 1)),
    ok = ?PROXY:await(Cut),
    until_disconnected(Pair).

measure(Pair) ->
    ?PAIR:measure(Pair, fun() -> ok = note(Pair, 0) end).

stalled_is_late(Config) ->
    {_, _, Proxy} = Pair = ?config(pair, Config),
    ok = note(Pair, 0),
    ok = ?PROXY:stall(Proxy, to_target),
    ?assertError({erpc, timeout}, note(Pair, 1, 100)),
    until_noted(0, Pair),
    ok = ?PROXY:heal(Proxy),
    until_noted(1, Pair),
    ok = note(Pair, 2).

%% And A does not come to B at all.
only_through_the_proxy(Config) ->
    {A, B, Proxy} = Pair = ?config(pair, Config),
    ok = ?PROXY:block(Proxy),
    ok = ?PROXY:cut(Proxy),
    until_disconnected(Pair),
    ?assertError({erpc, noconnection}, note(Pair, 1)),
    ok = ?PROXY:heal(Proxy),
    ?assertError({erpc, noconnection},
                 ?PEER:call(A, erpc, call, [?PEER:node(B), erlang, node, []])),
    ok = note(Pair, 1).

epmd_module_answers(Config) ->
    {A, B, Proxy} = ?config(pair, Config),
    Port = ?PROXY:port(Proxy),
    [Name, Host] = string:split(atom_to_list(?PEER:node(A)), "@"),
    [Own, _] = string:split(atom_to_list(?PEER:node(B)), "@"),
    Ask = fun(Function, Args) ->
                  Module = ?PEER:call(B, net_kernel, epmd_module, []),
                  ?PEER:call(B, Module, Function, Args)
          end,
    ?assertMatch({port, Port, _}, Ask(port_please, [Name, Host])),
    ?assertMatch({port, Port, _},
                 Ask(port_please, [list_to_atom(Name), Host, 500])),
    ?assertEqual(erl_epmd:port_please(Own, Host),
                 Ask(port_please, [Own, Host])),
    ?assertEqual(noport, Ask(port_please, ["nobody", Host])),
    {ok, Names} = Ask(names, [Host]),
    ?assertEqual({Name, Port}, lists:keyfind(Name, 1, Names)).

restarts_under_its_name(Config) ->
    {A, B, _} = Pair = ?config(pair, Config),
    ok = note(Pair, 1),
    ok = ?PEER:kill(A),
    {Again, B, _} = Pair1 = ?PAIR:restart(Pair),
    try
        ?assertEqual(?PEER:node(A), ?PEER:node(Again)),
        ok = ?PAIR:connect(Pair1),
        ok = note(Pair1, 2),
        until_noted(2, Pair1)
    after
        ?PEER:stop(Again)
    end.

note(Pair, Value) ->
    note(Pair, Value, infinity).

note({A, B, _}, Value, Timeout) ->
    Put = [?PEER:node(A), persistent_term, put, [?MODULE, Value], Timeout],
    ?PEER:call(B, erpc, call, Put).

%% A has seen all that had passed, when it knows that the connection is gone.
until_disconnected({A, B, _}) ->
    ecto_litefs_test_wait:until(
      [[], []], fun() -> [?PEER:call(P, erlang, nodes, []) || P <- [A, B]] end).

until_noted(Value, {A, _, _}) ->
    ecto_litefs_test_wait:until(
      Value, fun() -> ?PEER:call(A, persistent_term, get, [?MODULE]) end).
