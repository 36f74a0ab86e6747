%% What ends a primaryship, and what only looks so. Its beginning is told by
%% the milliseconds that C counts in the first snapshot: each test begins long
%% ago, so that a new beginning is seen.
-module(ecto_litefs_primaryship_tests).

-include_lib("eunit/include/eunit.hrl").

-define(LONG_MS, 1_000_000).

begins_test() ->
    Repo = repo(),
    observe(Repo, litefs, snapshot(replica, litefs, ?LONG_MS)),
    observe(Repo, litefs, snapshot(primary, litefs, 5)),
    ?assert(age(Repo, 5) < ?LONG_MS),
    ?assertEqual(7, age(repo(), 7)).

goes_on_test_() ->
    [{lists:flatten(io_lib:format("~p", [{Kind, Mount}])),
      ?_assert(age_after(Kind, [snapshot(unknown, Mount, 0)]) >= ?LONG_MS)}
     || {Kind, Mount} <- [{litefs, timeout}, {litefs, litefs},
                          {litefs, unseen}, {litefs, unreadable},
                          {plain, plain}]].

ends_test_() ->
    [{lists:flatten(io_lib:format("~p", [{Kind, Role, Mount}])),
      ?_assert(age_after(Kind, [snapshot(Role, Mount, 0)]) < ?LONG_MS)}
     || {Kind, Role, Mount} <- [{litefs, replica, litefs},
                                {litefs, no_primary, litefs},
                                {litefs, unknown, dead},
                                {litefs, unknown, missing},
                                {litefs, unknown, plain},
                                {plain, replica, plain},
                                {plain, not_litefs, plain}]].

%% Primary for long, then Between, then primary by C's new count.
age_after(Kind, Between) ->
    Repo = repo(),
    [observe(Repo, Kind, Snapshot)
     || Snapshot <- [snapshot(primary, litefs, ?LONG_MS)] ++ Between
            ++ [snapshot(primary, litefs, 0)]],
    Age = age(Repo, 0),
    persistent_term:erase({ecto_litefs_primaryship, Repo}),
    Age.

observe(Repo, Kind, Snapshot) ->
    ok = ecto_litefs_primaryship:observe(Repo, Kind, Snapshot).

age(Repo, Ms) ->
    ecto_litefs_primaryship:age_ms(Repo, snapshot(primary, litefs, Ms)).

snapshot(Role, Mount, SinceMs) ->
    (ecto_litefs_status:snapshot(gone()))
        #{role := Role, mount := Mount, since_ms := SinceMs}.

%% A Repo whose snapshot is a whole one, without the NIF.
gone() ->
    ok = ecto_litefs_instance:put(primaryship_gone, gone,
                                  ecto_litefs_config:defaults()),
    primaryship_gone.

repo() ->
    list_to_atom("primaryship" ++
                     integer_to_list(erlang:unique_integer([positive]))).
