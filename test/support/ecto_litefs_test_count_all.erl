%% A middleware that counts as ecto_litefs_test_count, and wants bulk calls.
-module(ecto_litefs_test_count_all).

-export(['__ecto_middleware_handles_bulk__'/0]).
-export([process/2]).

-spec '__ecto_middleware_handles_bulk__'() -> true.
'__ecto_middleware_handles_bulk__'() ->
    true.

-spec process(term(), map()) -> {cont, term(), map()}.
process(Resource, Resolution) ->
    ecto_litefs_test_count:process(Resource, Resolution).
