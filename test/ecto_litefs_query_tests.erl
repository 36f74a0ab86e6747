%% Which SQL begins or ends a transaction.
-module(ecto_litefs_query_tests).

-include_lib("eunit/include/eunit.hrl").

controls_transaction_test_() ->
    [{Sql, ?_assert(ecto_litefs_query:controls_transaction(Sql))}
     || Sql <- ["BEGIN", "begin immediate", "  Begin\n", "COMMIT;", "end",
                "END TRANSACTION", "rollback to a", "SAVEPOINT a",
                "release a", "-- why\nBEGIN", "/* a\n b */ /**/ COMMIT",
                "; ;BEGIN", "--\n--\n\tEND"]].

other_test_() ->
    [{Sql, ?_assertNot(ecto_litefs_query:controls_transaction(Sql))}
     || Sql <- ["", "SELECT 1", "INSERT INTO begin VALUES (1)", "beginning",
                "SELECT 1; COMMIT", "-- BEGIN", "/* BEGIN */ SELECT 1",
                "/* BEGIN", "WITH end AS (SELECT 1) SELECT * FROM end",
                "EXPLAIN COMMIT", "PRAGMA user_version", "VACUUM"]]
        ++ [?_assertNot(ecto_litefs_query:controls_transaction(
                          [<<"SELE">>, "CT ", [$1]]))].
