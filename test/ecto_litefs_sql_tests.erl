%% What the first words of a statement say of it.
-module(ecto_litefs_sql_tests).

-include_lib("eunit/include/eunit.hrl").

kind_test_() ->
    [{lists:flatten(io_lib:format("~ts: ~p", [Sql, Kind])),
      ?_assertEqual(Kind, ecto_litefs_sql:kind(Sql))}
     || {Kind, Sqls} <- kinds(), Sql <- Sqls].

kinds() ->
    [{transaction,
      ["BEGIN", "begin immediate", "  Begin\n", "COMMIT;", "end",
       "END TRANSACTION", "rollback to a", "SAVEPOINT a", "release a",
       "-- why\nBEGIN", "/* a\n b */ /**/ COMMIT", "; ;BEGIN", "--\n--\n\tEND"]},
     {journal_mode,
      ["PRAGMA journal_mode = delete", "pragma journal_mode(MEMORY)",
       "PRAGMA main.journal_mode='off'", "-- a\nPRAGMA journal_mode=walk"]},
     {data,
      ["INSERT INTO a VALUES (1)", "insert or ignore into a values (1)",
       "REPLACE INTO a VALUES (1)", "Update a SET b = 1", "DELETE FROM a",
       "INSERT INTO begin VALUES (1)", "insert into a select 1",
       "WITH b AS (SELECT 1) INSERT INTO a SELECT * FROM b",
       "WITH RECURSIVE b(n) AS (SELECT 1 UNION SELECT n FROM b) DELETE FROM a",
       "with \"select\" as (select ')'), [c] as (values (1)) update a set b=1",
       "/* SELECT */ WITH b AS (SELECT 1) /* SELECT */ DELETE FROM a"]},
     {schema,
      ["CREATE TABLE a (b)", "create unique index a on b (c)", "DROP TABLE a",
       "ALTER TABLE a ADD COLUMN b", "REINDEX",
       "CREATE TABLE a (b DEFAULT 'if not exists')"]},
     {schema_if,
      ["CREATE TABLE IF NOT EXISTS a (b)", "drop table if  exists a",
       "CREATE TEMP TABLE if not exists a (b)"]},
     {other,
      ["", " ", "SELECT 1", "VALUES (1)", "EXPLAIN DELETE FROM a", "beginning",
       "SELECT 1; COMMIT", "-- BEGIN", "/* BEGIN */ SELECT 1", "/* BEGIN",
       "WITH end AS (SELECT 1) SELECT * FROM end",
       "WITH b AS (SELECT 1), c AS (SELECT 'delete') SELECT * FROM b, c",
       "WITH b AS (SELECT 1) VALUES (1)", "WITH b AS (SELECT 1",
       "PRAGMA user_version", "PRAGMA user_version = 1", "PRAGMA journal_mode",
       "PRAGMA journal_mode = wal", "PRAGMA journal_mode(WAL)",
       "PRAGMA journal_mode='wal'", "VACUUM", "ATTACH 'a' AS b", "123", "'a'"]}].

iodata_test() ->
    ?assertEqual(data, ecto_litefs_sql:kind([<<"DELE">>, "TE FR", [$O], "M a"])).
