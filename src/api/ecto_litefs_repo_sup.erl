%% The processes of one Repo. The user's supervisor starts it, after the Repo.
-module(ecto_litefs_repo_sup).

-behaviour(supervisor).

-export([start_link/1]).
-export([init/1]).

-spec start_link(ecto_litefs_config:t()) -> supervisor:startlink_ret().
start_link(#{repo := Repo} = Config) ->
    Name = ecto_litefs_supervised:name(Repo),
    supervisor:start_link({local, Name}, ?MODULE, Config).

-spec init(ecto_litefs_config:t()) ->
          {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init(Config) ->
    {ok, {#{strategy => one_for_one, intensity => 3, period => 5},
          [ecto_litefs_admission:child_spec(Config),
           ecto_litefs_port:child_spec(Config),
           ecto_litefs_tracking:child_spec(Config),
           ecto_litefs_detector:child_spec(Config),
           ecto_litefs_await:child_spec(Config)]}}.
