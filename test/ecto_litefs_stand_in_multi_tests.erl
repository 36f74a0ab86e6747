%% The stand-in for Ecto.Multi, and how the stand-in Repo runs one.
-module(ecto_litefs_stand_in_multi_tests).

-include_lib("eunit/include/eunit.hrl").

-import(ecto_litefs_test_fixture, [item/1, named/1]).

-export([answer/3]).

-define(REPO, 'Elixir.OtherRepo').
-define(MULTI, 'Elixir.Ecto.Multi').
-define(RAISES(Struct, Call),
        ?assertError(#{'__struct__' := Struct, '__exception__' := true}, Call)).

multi_test_() ->
    ecto_litefs_test_fixture:each(?REPO, tests()).

tests() ->
    [{"a Multi has the shape of Ecto's", fun shape/1},
     {"a Multi runs all", fun runs/1},
     {"a Multi that fails has written nothing", fun fails/1},
     {"what is known to fail does not begin", fun refused/1},
     {"a Multi's run must answer", fun wrong_answer/1},
     {"Multis are merged", fun merged/1},
     {"a Multi takes funs", fun funs/1}].

shape(_) ->
    Bob = item(<<"bob">>),
    Multi = ?MULTI:put(?MULTI:insert(?MULTI:new(), ann, Bob, [{a, 1}]), put, 2),
    ?assertMatch(#{'__struct__' := ?MULTI,
                   operations := [{put, {put, 2}},
                                  {ann, {changeset, #{action := insert},
                                         [{a, 1}]}}],
                   names := #{'__struct__' := 'Elixir.MapSet',
                              map := #{ann := [], put := []}}},
                 Multi),
    ?RAISES('Elixir.RuntimeError', ?MULTI:put(Multi, ann, 3)),
    ?RAISES('Elixir.ArgumentError',
            ?MULTI:update(Multi, update, Bob#{action := insert})),
    [Funs, Funs] = [[fun_of(?MULTI:Read(?MULTI:new(), read, Given))
                     || Read <- [one, all, 'exists?']]
                    || Given <- [items, fun(_) -> items end]],
    ?assertEqual(3, length(lists:usort(Funs))).

fun_of(#{operations := [{read, {run, Fun}}]}) ->
    {module, ?MULTI} = erlang:fun_info(Fun, module),
    erlang:fun_info(Fun, new_index).

runs(_) ->
    Multi = chain([{put, [put, 1]},
                   {insert, [ann, item(<<"ann">>)]},
                   {insert, [bob, new(<<"bob">>)]},
                   {insert_or_update, [cid, item(<<"cid">>)]},
                   {run, [run, fun(Repo, #{put := 1}) -> {ok, Repo} end]},
                   {run, [mfa, ?MODULE, answer, [2]]},
                   {insert_all, [rows, items, [row(<<"dan">>)]]},
                   {update_all, [set, named(<<"dan">>), [{set, [{value, 2}]}]]},
                   {delete_all, [gone, named(<<"cid">>)]},
                   {all, [all, items]},
                   {'exists?', [dan, named(<<"dan">>)]}]),
    {ok, Changes} = ?REPO:transaction(Multi),
    ?assertMatch(#{put := 1, ann := #{id := 1}, run := ?REPO, mfa := {?REPO, 2},
                   rows := {1, nil}, set := {1, nil}, gone := {1, nil},
                   all := [_, _, _], dan := true}, Changes),
    ?assertEqual([{<<"ann">>, null}, {<<"bob">>, null}, {<<"dan">>, 2}],
                 ecto_litefs_test_repo:rows(?REPO)),
    ?assertEqual({ok, #{}}, ?REPO:transact(?MULTI:new())).

answer(Repo, _Changes, Value) -> {ok, {Repo, Value}}.

fails(_) ->
    Multi = chain([{insert, [ann, item(<<"ann">>)]},
                   {run, [run, fun(_, #{ann := _}) -> {error, why} end]},
                   {run, [never, fun(_, _) -> error(called) end]}]),
    ?assertMatch({error, run, why, #{ann := #{name := <<"ann">>}}},
                 ?REPO:transaction(Multi)),
    Unique = ecto_litefs_test_item:unique_constraint(item(<<"ann">>)),
    Twice = chain([{insert, [ann, Unique]}, {insert, [again, Unique]}]),
    ?assertMatch({error, again, #{errors := [_]}, #{ann := _}},
                 ?REPO:transact(Twice)),
    ?assertEqual([], ecto_litefs_test_repo:rows(?REPO)).

%% A transaction that begins in this mode raises.
refused(_) ->
    Nowhere = [{mode, nowhere}],
    Multi = chain([{insert, [ann, item(<<"ann">>)]},
                   {insert, [nameless, item(<<>>)]}, {error, [late, why]}]),
    ?assertMatch({error, nameless, #{'valid?' := false}, #{}},
                 ?REPO:transaction(Multi, Nowhere)),
    ?assertEqual({error, late, why, #{}},
                 ?REPO:transact(chain([{error, [late, why]}]), Nowhere)),
    ?assertError({case_clause, nowhere},
                 ?REPO:transact(chain([{put, [put, 1]}]), Nowhere)).

wrong_answer(_) ->
    Multi = chain([{insert, [ann, item(<<"ann">>)]},
                   {run, [run, fun(_, _) -> wrong end]}]),
    ?RAISES('Elixir.RuntimeError', ?REPO:transaction(Multi)),
    ?assertEqual([], ecto_litefs_test_repo:rows(?REPO)),
    Rollback = chain([{run, [run, fun(Repo, _) -> Repo:rollback(why) end]}]),
    ?RAISES('Elixir.RuntimeError', ?REPO:transaction(Rollback)).

merged(_) ->
    Merge = fun(Operations) -> fun(_Changes) -> chain(Operations) end end,
    First = {insert, [ann, item(<<"ann">>)]},
    Second = {merge, [Merge([{put, [bob, 2]}])]},
    ?assertMatch({ok, #{ann := _, bob := 2}},
                 ?REPO:transact(chain([First, Second]))),
    Failing = Merge([{put, [cid, 3]},
                     {run, [bob, fun(_, _) -> {error, 2} end]}]),
    ?assertMatch({error, bob, 2, #{dan := 4, cid := 3}},
                 ?REPO:transact(chain([{put, [dan, 4]}, {merge, [Failing]}]))),
    ?RAISES('Elixir.RuntimeError',
            ?REPO:transact(chain([{put, [dan, 4]},
                                  {merge, [Merge([{put, [dan, 5]}])]}]))).

funs(_) ->
    Multi = chain([{insert, [ann, fun(_) -> item(<<"ann">>) end]},
                   {update, [set, fun(#{ann := Ann}) -> value(Ann, 7) end]},
                   {one, [one, fun(#{ann := #{name := N}}) -> named(N) end]},
                   {insert_all, [rows, items, fun(_) -> [row(<<"bob">>)] end]},
                   {delete_all, [gone, fun(_) -> named(<<"bob">>) end]},
                   {delete, [delete, fun(#{set := Set}) -> Set end]}]),
    ?assertMatch({ok, #{set := #{value := 7}, one := #{value := 7},
                        gone := {1, nil}}},
                 ?REPO:transaction(Multi)),
    ?assertEqual([], ecto_litefs_test_repo:rows(?REPO)).

chain(Operations) ->
    lists:foldl(fun({Function, Args}, Multi) ->
                        apply(?MULTI, Function, [Multi | Args])
                end, ?MULTI:new(), Operations).

new(Name) ->
    ecto_litefs_test_item:new(#{name => Name}).

row(Name) ->
    #{name => Name, value => 1}.

value(Item, Value) ->
    ecto_litefs_test_item:changeset(Item, #{value => Value}).
