%% Where a Repo's database is.
-module(ecto_litefs_database).

-export([path/1]).

%% The option, or else what the Repo says. Its config/0 is the user's code: it
%% may raise, and take its time.
-spec path(ecto_litefs_config:t()) -> {ok, binary()} | {error, no_database}.
path(#{database := Path}) when is_binary(Path) ->
    {ok, Path};
path(#{repo := Repo}) ->
    try of_config(Repo:config())
    catch
        _Class:_Reason -> {error, no_database}
    end.

of_config(Config) ->
    case lists:keyfind(database, 1, Config) of
        {database, Path} when is_binary(Path) -> file(Path);
        {database, Path} when is_list(Path) ->
            file(unicode:characters_to_binary(Path));
        _None -> {error, no_database}
    end.

%% What SQLite would not take as the name of a file.
file(<<>>) -> {error, no_database};
file(<<":memory:">>) -> {error, no_database};
file(<<"file:", _/binary>>) -> {error, no_database};
file(Path) -> {ok, filename:absname(Path)}.
