%% Which transactions belong on the primary, and which may run again.
-module(ecto_litefs_transaction_tests).

-include_lib("eunit/include/eunit.hrl").

-define(MULTI, 'Elixir.Ecto.Multi').
-define(T, ecto_litefs_transaction).

%% Called as {Module, Function, Args}.
-export([add/2]).

place_test_() ->
    [{Name, ?_assertEqual(Place, ?T:place(Work, []))}
     || {Name, Place, Work} <-
            [{"fun", remote, fun() -> ok end},
             {"fun of the Repo", remote, fun(_Repo) -> ok end},
             {"mfa", remote, {lists, seq, [1, 2]}},
             {"empty", local, ?MULTI:new()},
             {"reads", local, reads()},
             {"put and error", local, multi([{b, {put, 1}}, {c, {error, 2}},
                                             {d, {inspect, []}}])},
             {"insert", remote, multi([{a, {changeset, #{}, []}}])},
             {"one write among reads", remote, with_write(reads())},
             {"run", remote, multi([{a, {run, fun(_, _) -> {ok, 1} end}}])},
             {"run mfa", remote, multi([{a, {run, {m, f, []}}}])},
             {"merge", remote, multi([{merge, {merge, fun(_) -> a end}}])},
             {"insert_all", remote, multi([{a, {insert_all, items, [], []}}])},
             {"update_all", remote, multi([{a, {update_all, items, [], []}}])},
             {"delete_all", remote, multi([{a, {delete_all, items, []}}])},
             {"insert with a fun", remote,
              ?MULTI:insert(?MULTI:new(), a, fun(_) -> #{} end)}]].

%% Whatever is in it.
read_only_test_() ->
    [?_assertEqual(local, ?T:place(Work, [{read_only, true}]))
     || Work <- [fun() -> ok end, with_write(reads()), {m, f, []}]]
        ++ [?_assertEqual(remote, ?T:place(fun() -> ok end,
                                           [{read_only, false}]))].

%% A migrator's own fun, as its module shows.
migration_test() ->
    Module = 'Elixir.Ecto.Migrator',
    Build = ecto_litefs_test_build:of_lines(
              Module, ["work() -> fun() -> migrate end."]),
    ok = ecto_litefs_test_build:load(Module, Build),
    ?assertEqual(migration, ?T:place(Module:work(), [])),
    ?assertEqual(local, ?T:place(Module:work(), [{read_only, true}])),
    ok = ecto_litefs_test_build:unload(Module).

on_refusal_test_() ->
    [?_assertEqual(Expected, ?T:on_refusal(Work))
     || {Expected, Work} <-
            [{tell, fun() -> ok end}, {tell, {m, f, []}}, {tell, reads()},
             {tell, multi([{merge, {merge, {m, f, []}}}])},
             {again, multi([{a, {changeset, #{}, []}},
                            {b, {delete_all, items, []}}, {c, {put, 1}}])}]].

options_test_() ->
    [?_assertEqual([{mode, immediate}, {timeout, 1}], ?T:options([{timeout, 1}])),
     ?_assertEqual([{mode, deferred}], ?T:options([{mode, deferred}]))].

work_test() ->
    Fun = ?T:work({?MODULE, add, [1, 2]}),
    ?assertEqual(3, Fun()),
    [?assertEqual(Work, ?T:work(Work)) || Work <- [Fun, reads()]].

add(A, B) -> A + B.

reads() ->
    Query = fun(_Changes) -> items end,
    lists:foldl(fun(Add, Multi) -> Add(Multi) end, ?MULTI:new(),
                [fun(M) -> ?MULTI:one(M, a, items) end,
                 fun(M) -> ?MULTI:all(M, b, Query) end,
                 fun(M) -> ?MULTI:'exists?'(M, c, items) end,
                 fun(M) -> ?MULTI:put(M, d, 1) end]).

with_write(#{operations := Operations} = Multi) ->
    Multi#{operations := Operations ++ [{w, {changeset, #{}, []}}]}.

multi(Operations) ->
    (?MULTI:new())#{operations := Operations}.
