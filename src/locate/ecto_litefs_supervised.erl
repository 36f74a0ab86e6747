%% The name of a Repo's supervisor, and whether it runs. A Repo that had a
%% supervisor and has none any more is refused instead of waited for.
-module(ecto_litefs_supervised).

-export([name/1]).
-export([alive/1]).

%% 'Elixir.EctoLiteFS.Supervisor.MyApp.Repo', as Module.concat/2 makes it.
-spec name(module()) -> atom().
name(Repo) ->
    ecto_litefs_name:of_repo('Elixir.EctoLiteFS.Supervisor', Repo).

-spec alive(module()) -> boolean().
alive(Repo) ->
    whereis(name(Repo)) =/= undefined.
