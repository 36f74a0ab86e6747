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

%% An age that is not known is no small one. On the primary it is 0, and where
%% there is no LiteFS nothing can be old.
degraded_test_() ->
    [?_assertEqual(Degraded, ecto_litefs_status:degraded(
                               #{role => Role, lag_ms => Lag, mount => Mount,
                                 stream => down, litefs_seen => Seen},
                               #{mount => Mode, max_lag => 2000}))
     || {Degraded, Role, Lag, Mount, Seen, Mode} <-
            [{false, replica, 0, litefs, true, auto},
             {false, replica, 2000, litefs, true, required},
             {true, replica, 2001, litefs, true, auto},
             {true, replica, 2147483647, litefs, true, auto},
             {false, replica, -50, litefs, true, auto},
             {true, no_primary, 2001, litefs, true, auto},
             {false, primary, 2001, litefs, true, auto},
             {true, unknown, undefined, dead, true, auto},
             {true, unknown, undefined, timeout, true, required},
             {true, unknown, undefined, plain, false, required},
             {false, not_litefs, undefined, plain, false, auto},
             {false, replica, undefined, plain, false, plain}]].

never_supervised_test() ->
    ?assertEqual(not_supervised, ecto_litefs_status:role(no_such_repo)),
    ?assertEqual(not_supervised, ecto_litefs_status:snapshot(no_such_repo)),
    ?assertEqual(unknown, ecto_litefs_status:check(no_such_repo, 0)),
    ?assertEqual(plain, ecto_litefs_status:kind(no_such_repo)).
