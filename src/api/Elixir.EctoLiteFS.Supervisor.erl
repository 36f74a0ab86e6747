%% {EctoLiteFS.Supervisor, repo: MyApp.Repo, ...} in a list of children, after
%% the Repo. The options are those of EctoLiteFS.Config.
-module('Elixir.EctoLiteFS.Supervisor').

-export([child_spec/1]).
-export([start_link/1]).
-export([supervisor_name/1]).

%% The id has the Repo in it, so that one supervisor can hold several.
-spec child_spec([{atom(), term()}]) -> supervisor:child_spec().
child_spec(Options) ->
    #{id => {?MODULE, repo(Options)},
      start => {?MODULE, start_link, [Options]},
      type => supervisor}.

-spec start_link([{atom(), term()}]) -> supervisor:startlink_ret().
start_link(Options) ->
    Config = 'Elixir.EctoLiteFS.Config':'new!'(Options),
    ecto_litefs_repo_sup:start_link('Elixir.EctoLiteFS.Config':to_map(Config)).

repo(Options) when is_list(Options) -> proplists:get_value(repo, Options);
repo(_Options) -> undefined. % start_link/1 says what is wrong with them

-spec supervisor_name(module()) -> atom().
supervisor_name(Repo) when is_atom(Repo) ->
    ecto_litefs_supervised:name(Repo).
