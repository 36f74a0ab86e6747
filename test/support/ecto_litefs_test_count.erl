%% A middleware that counts how often it ran on its node.
-module(ecto_litefs_test_count).

-export([process/2]).
-export([add/0]).
-export([count/0]).
-export([reset/0]).

-define(KEY, {?MODULE, counter}).

-spec process(term(), map()) -> {cont, term(), map()}.
process(Resource, Resolution) ->
    add(),
    {Result, Resolution1} =
        'Elixir.EctoMiddleware.Engine':yield(Resource, Resolution),
    {cont, Result, Resolution1}.

-spec reset() -> ok.
reset() ->
    persistent_term:put(?KEY, counters:new(1, [])).

-spec add() -> ok.
add() ->
    counters:add(persistent_term:get(?KEY), 1, 1).

-spec count() -> non_neg_integer().
count() ->
    counters:get(persistent_term:get(?KEY), 1).
