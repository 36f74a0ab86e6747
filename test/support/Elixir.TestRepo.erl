%% A stand-in Repo; everything it does is in ecto_litefs_test_repo.
-module('Elixir.TestRepo').

-include("ecto_litefs_test_repo.hrl").
