%% What is in a database before and after a sequence of ecto_litefs_test_ops. A
%% Repo has two of them: its own and one for put_dynamic_repo/1.
-module(ecto_litefs_test_state).

-export([other/1]).
-export([start/3]).
-export([reset/1]).
-export([state/1]).

-define(STAND_IN, ecto_litefs_test_repo).
-define(WRITES, [insert, update, delete, insert_or_update, insert_all,
                 update_all, delete_all]).

-spec other(module()) -> atom().
other(Repo) ->
    list_to_atom(atom_to_list(Repo) ++ ".Other").

%% Options: of ecto_litefs_test_repo:start/2. Who may write makes the table.
-spec start(module(), file:filename(), map()) -> ok.
start(Repo, Directory, Options) ->
    [{ok, _} = ?STAND_IN:start(
                  Repo, Options#{name => Name,
                                 database => filename:join(Directory, Name)})
     || Name <- names(Repo)],
    [ok = ?STAND_IN:create_table(Name)
     || Name <- names(Repo), not is_map_key(read_only, Options)],
    ?STAND_IN:set_default_options(
       Repo, fun ecto_litefs_test_replica:default_options/1).

names(Repo) -> [Repo, other(Repo)].

%% Two rows in each.
-spec reset(module()) -> ok.
reset(Repo) ->
    lists:foreach(fun reset_one/1, names(Repo)).

reset_one(Name) ->
    true = ets:match_delete(Name, {{options, '_'}, '_', '_'}),
    [_ = ?STAND_IN:sql(Name, Sql, [])
     || Sql <- ["BEGIN",
                "DELETE FROM items",
                "DELETE FROM sqlite_sequence",
                "DROP TABLE IF EXISTS extra",
                "PRAGMA user_version = 0",
                "INSERT INTO items (name, value) VALUES ('ann', 1), ('bob', 2)",
                "COMMIT"]],
    ok.

%% All that can be told apart: a transaction that was left open, the rows, and
%% the options that each function that writes has run with last.
-spec state(module()) -> [{atom(), term()}].
state(Repo) ->
    lists:append([state_of_one(Name) || Name <- names(Repo)]).

state_of_one(Name) ->
    [{Name, transaction(Name)}]
        ++ [{Name, ?STAND_IN:sql(Name, Sql, [])}
            || Sql <- ["SELECT * FROM items ORDER BY id",
                       "SELECT * FROM sqlite_sequence",
                       "SELECT name FROM sqlite_master ORDER BY name",
                       "PRAGMA user_version"]]
        ++ [{Function, options(?STAND_IN:last_options(Name, Function))}
            || Function <- ?WRITES].

%% It is ended, so that the next sequence begins without.
transaction(Name) ->
    Before = try ?STAND_IN:sql(Name, "BEGIN", []) of ok -> none
             catch error:#{message := Message} -> Message
             end,
    ok = ?STAND_IN:sql(Name, "ROLLBACK", []),
    Before.

options({_Node, Options}) -> lists:sort(Options);
options(none) -> none.
