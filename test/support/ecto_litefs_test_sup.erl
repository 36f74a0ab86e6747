%% A supervisor with the children that it is given.
-module(ecto_litefs_test_sup).

-behaviour(supervisor).

-export([init/1]).

-spec init({supervisor:sup_flags(), [supervisor:child_spec()]}) ->
          {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init(Init) ->
    {ok, Init}.
