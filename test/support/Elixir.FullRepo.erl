%% A stand-in Repo with the line `use EctoLiteFS.Repo`.
-module('Elixir.FullRepo').

-define(ECTO_LITEFS_REPO, true).
-include("ecto_litefs_test_repo.hrl").
