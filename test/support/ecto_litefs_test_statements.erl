%% SQL for ecto_litefs_test_ops: what reads, what writes, what SQLite refuses,
%% and what hides one of them. Nothing that asks for the state of a connection,
%% which is another one on a replica: last_insert_rowid() and its like, or a
%% read with INSERT in its text, of which Exqlite counts what was changed last.
-module(ecto_litefs_test_statements).

-export([any/2]).
-export([controls/0]).
-export(['write?'/1]).

-define(T, proper_types).

%% With its parameters.
-spec any(proper_types:raw_type(), proper_types:raw_type()) ->
          proper_types:raw_type().
any(Name, Value) ->
    ?T:frequency([{3, reading(Name)}, {5, writing(Name, Value)}, {1, schema()},
                  {2, failing(Name)}, {2, disguised(Name)}]).

%% What begins or ends a transaction. Within one SQLite itself refuses some.
-spec controls() -> [binary()].
controls() ->
    [<<"BEGIN">>, <<"begin immediate">>, <<"COMMIT">>, <<"ROLLBACK">>,
     <<"SAVEPOINT a">>, <<"RELEASE a">>, <<"ROLLBACK TO a">>,
     <<"/* it is over */ END">>, <<"; -- now\n commit">>].

%% Whether it begins as a write, whatever comes of it. All that there are here,
%% and no other SQL.
-spec 'write?'(iodata()) -> boolean().
'write?'(Sql) ->
    re:run(Sql, "^(/\\* SELECT \\*/ )?"
           "(insert|replace|update|delete|with|create|drop) ",
           [caseless, {capture, none}]) =:= match.

reading(Name) ->
    ?T:oneof(
       [{<<"SELECT id, name, value FROM items ORDER BY id">>, []},
        {<<"SELECT value FROM items WHERE name = ?">>, [Name]},
        {<<"SELECT count(*) AS n FROM items">>, []},
        {<<"EXPLAIN QUERY PLAN delete FROM items">>, []},
        {<<"PRAGMA user_version">>, []}]).

writing(Name, Value) ->
    ?T:oneof(
       [{<<"INSERT INTO items (name, value) VALUES (?, ?)">>, [Name, Value]},
        {<<"INSERT INTO items (name) VALUES (?) RETURNING id, name">>, [Name]},
        {<<"INSERT INTO items (name) VALUES (?) ON CONFLICT DO NOTHING">>,
         [Name]},
        {<<"insert into items (name) values (?) returning id">>, [Name]},
        {<<"REPLACE INTO items (name, value) VALUES (?, ?)">>, [Name, Value]},
        {<<"UPDATE items SET value = ?">>, [Value]},
        {<<"UPDATE items SET value = ? WHERE name = ? RETURNING *">>,
         [Value, Name]},
        {<<"UPDATE items SET name = ? WHERE value = ?">>, [Name, Value]},
        {<<"DELETE FROM items">>, []},
        {<<"DELETE FROM items WHERE name = ? RETURNING id">>, [Name]}]).

schema() ->
    ?T:elements(
       [{<<"CREATE TABLE extra (a)">>, []},
        {<<"CREATE TABLE IF NOT EXISTS items (a)">>, []},
        {<<"DROP TABLE extra">>, []},
        {<<"INSERT INTO extra VALUES (?)">>, [1.5]},
        {<<"SELECT * FROM extra">>, []},
        {<<"PRAGMA user_version = 7">>, []}]).

failing(Name) ->
    ?T:oneof(
       [{<<"SELEC 1">>, []},
        {<<"">>, []},
        {<<"-- nothing">>, []},
        {<<"UPDATE items SET nowhere = 1">>, []},
        {<<"DELETE FROM nowhere">>, []},
        {<<"INSERT INTO items (name) VALUES (NULL)">>, []},
        {<<"INSERT INTO items (id, name) VALUES (1, ?)">>, [Name]},
        {<<"UPDATE items SET name = 'all the same'">>, []},
        {<<"SELECT ?">>, [{no, parameter}]},
        {<<"DELETE FROM items WHERE name = ?">>, [{no, parameter}]}]).

%% Reads that look as if they wrote, and the other way round.
disguised(Name) ->
    ?T:oneof(
       [{<<"SELECT 'insert', 'BEGIN'">>, []},
        {<<"/* SELECT */ DELETE FROM items WHERE name = ?">>, [Name]},
        {<<"WITH new(name) AS (SELECT ?) "
           "INSERT INTO items (name) SELECT name FROM new">>, [Name]},
        {<<"SELECT 1; delete FROM items">>, []},
        {<<"DELETE FROM items WHERE name = 'ann'; DELETE FROM items">>, []},
        {[<<"DELETE">>, " FROM items", [" WHERE name = "], $?], [Name]}]).
