%% What each line in the log has of its Repo.
-module(ecto_litefs_log).

-export([name/1]).
-export([meta/1]).

%% As Elixir writes it.
-spec name(module()) -> string().
name(Repo) ->
    ecto_litefs_name:short(Repo).

-spec meta(module()) -> logger:metadata().
meta(Repo) ->
    #{domain => [ecto_litefs], repo => Repo}.
