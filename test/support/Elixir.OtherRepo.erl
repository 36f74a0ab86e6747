%% A stand-in Repo; everything it does is in ecto_litefs_test_repo.
-module('Elixir.OtherRepo').

-include("ecto_litefs_test_repo.hrl").
