%% Where a database is, seen from a position that is waited for.
-module(ecto_litefs_position_tests).

-include_lib("eunit/include/eunit.hrl").

compare_test_() ->
    [?_assertEqual(Order, ecto_litefs_position:compare(Current, {1, 5, 7}))
     || {Order, Current} <- [{reached, {1, 5, 7}}, {reached, {1, 6, 0}},
                             {before, {1, 4, 7}}, {forked, {1, 5, 8}},
                             {forked, {2, 5, 7}}, {forked, {2, 9, 7}},
                             {forked, {2, 4, 7}}]].
