%% A stand-in for Ecto.Adapter: what a started Repo runs with.
-module('Elixir.Ecto.Adapter').

-export([lookup_meta/1]).

-spec lookup_meta(atom() | pid()) -> #{atom() => term()}.
lookup_meta(Repo) ->
    ecto_litefs_test_pool:meta(Repo).
