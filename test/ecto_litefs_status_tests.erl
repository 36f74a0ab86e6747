-module(ecto_litefs_status_tests).

-include_lib("eunit/include/eunit.hrl").

%% A node that has a LiteFS, or is going to have one, never finds the claims
%% of plain directories, and waits for a primary.
kind_test_() ->
    [?_assertEqual(Kind, ecto_litefs_status:kind(
                           maps:merge(#{litefs_seen => false, mount => plain,
                                        stream => down}, Snapshot),
                           #{mount => Mode}))
     || {Kind, Mode, Snapshot} <-
            [{plain, auto, #{}},
             {plain, auto, #{mount => missing, stream => off}},
             {litefs, auto, #{mount => litefs}},
             {litefs, auto, #{litefs_seen => true, mount => dead}},
             {litefs, auto, #{stream => up}},
             {litefs, required, #{mount => missing}},
             {litefs, required, #{}},
             {plain, plain, #{stream => up}},
             {plain, plain, #{}}]].

never_supervised_test() ->
    ?assertEqual(not_supervised, ecto_litefs_status:role(no_such_repo)),
    ?assertEqual(not_supervised, ecto_litefs_status:snapshot(no_such_repo)),
    ?assertEqual(unknown, ecto_litefs_status:check(no_such_repo, 0)),
    ?assertEqual(plain, ecto_litefs_status:kind(no_such_repo)).
