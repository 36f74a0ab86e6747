%% What of the caller's process goes along.
-module(ecto_litefs_context_tests).

-include_lib("eunit/include/eunit.hrl").

%% Called as a Repo.
-export([default_options/1]).

keys_that_are_set_test() ->
    put(tenant, <<"a">>),
    ?assertEqual([{tenant, <<"a">>}],
                 ecto_litefs_context:collect([tenant, nothing])),
    erase(tenant),
    ?assertEqual([], ecto_litefs_context:collect([tenant])).

%% As Elixir's Task has them: the caller itself is the first one.
callers_test() ->
    Self = self(),
    ?assertEqual([{'$callers', [Self]}],
                 ecto_litefs_context:collect(['$callers'])),
    put('$callers', [far]),
    ?assertEqual([{'$callers', [Self, far]}],
                 ecto_litefs_context:collect(['$callers'])),
    erase('$callers').

applied_test() ->
    ok = ecto_litefs_context:apply([{tenant, 1}, {'$callers', [a]}]),
    ?assertEqual([1, [a]], [get(tenant), get('$callers')]),
    [erase(Key) || Key <- [tenant, '$callers']].

default_options(insert) -> [{prefix, a}, {tenant, b}];
default_options(transaction) -> [{timeout, 1}];
default_options(delete_all) -> [].

%% As Keyword.merge/2: what was given wins. Ecto knows no `insert!` here.
default_options_test_() ->
    [?_assertEqual(Expected, ecto_litefs_context:with_default_options(
                               ?MODULE, Action, Args))
     || {Action, Args, Expected} <-
            [{insert, [row, []], [row, [{prefix, a}, {tenant, b}]]},
             {'insert!', [row, [{tenant, c}]], [row, [{prefix, a}, {tenant, c}]]},
             {transact, [[{mode, x}]], [[{timeout, 1}, {mode, x}]]},
             {delete_all, [query, [{a, 1}]], [query, [{a, 1}]]}]]
        ++ [?_assertEqual([sql, [], []], ecto_litefs_context:with_default_options(
                                           ?MODULE, Action, [sql, [], []]))
            || Action <- [query, 'query!', query_many, 'query_many!']].

no_default_options_test() ->
    ?assertEqual([row, []], ecto_litefs_context:with_default_options(
                              lists, insert, [row, []])).
