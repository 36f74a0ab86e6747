%% Names of a Repo's processes, as Elixir's Module.concat/2 makes them:
%% 'Elixir.EctoLiteFS.Tracker' and 'Elixir.MyApp.Repo' give
%% 'Elixir.EctoLiteFS.Tracker.MyApp.Repo'.
-module(ecto_litefs_name).

-export([of_repo/2]).
-export([short/1]).

-spec of_repo(module(), module()) -> atom().
of_repo(Prefix, Repo) ->
    list_to_atom(atom_to_list(Prefix) ++ "." ++ short(Repo)).

%% As Elixir writes a module's name.
-spec short(module()) -> string().
short(Module) ->
    case atom_to_list(Module) of
        "Elixir." ++ Name -> Name;
        Name -> Name
    end.
