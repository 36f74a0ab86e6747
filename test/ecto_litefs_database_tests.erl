%% Where a Repo's database is: what the Repo says may be anything.
-module(ecto_litefs_database_tests).

-include_lib("eunit/include/eunit.hrl").

-define(REPO, ecto_litefs_database_tests_repo).

option_test() ->
    ?assertEqual({ok, <<"/x/db">>},
                 ecto_litefs_database:path(
                   (config())#{database := <<"/x/db">>})).

repo_test_() ->
    [{Config, ?_assertEqual(Path, path(Config))}
     || {Config, Path} <-
            [{"[{database, <<\"/x/db\">>}]", {ok, <<"/x/db">>}},
             {"[{a, 1}, {database, \"/x/db\"}]", {ok, <<"/x/db">>}},
             {"[{database, <<\"db\">>}]",
              {ok, unicode:characters_to_binary(filename:absname("db"))}},
             {"[]", none},
             {"[{database, nil}]", none},
             {"[{database, <<>>}]", none},
             {"[{database, <<\":memory:\">>}]", none},
             {"[{database, ':memory'}]", none},
             {"[{database, <<\"file:db?mode=ro\">>}]", none},
             {"nil", none},
             {"[database | 1]", none},
             {"[{database, [a, b]}]", none},
             {"error(badarg)", none},
             {"exit(normal)", none},
             {"throw(no)", none}]].

no_repo_test() ->
    ?assertEqual({error, no_database},
                 ecto_litefs_database:path((config())#{repo := no_such_repo})).

path(Config) ->
    ok = ecto_litefs_test_build:load(?REPO, repo(Config)),
    try ecto_litefs_database:path(config()) of
        {ok, Path} -> {ok, Path};
        {error, no_database} -> none
    after
        ok = ecto_litefs_test_build:unload(?REPO)
    end.

repo(Config) ->
    ecto_litefs_test_build:of_lines(
      ?REPO, ["-export([config/0]).", "config() -> " ++ Config ++ "."]).

config() ->
    (ecto_litefs_config:defaults())#{repo => ?REPO}.
