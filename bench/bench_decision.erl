%% What a write on the primary costs before it runs. Called on the node that is
%% measured, in a process of its own.
-module(bench_decision).

-export([decide/1]).
-export([middleware/1]).

-define(BLOCKS, 600). % short ones: most of them are not interrupted
-define(CALLS, 10000).

%% Microseconds for each block of calls, of ours and of the reference: the
%% lookup of the same key, and a NIF that does nothing.
-spec decide(module()) -> bench_stats:series().
decide(Repo) ->
    local = ecto_litefs_write:decide(Repo),
    bench_stats:interleaved(
      ?BLOCKS, ?CALLS,
      fun() -> decide(?CALLS, Repo) end,
      fun() -> lookup_and_nif(?CALLS, Repo) end).

decide(0, _Repo) ->
    ok;
decide(N, Repo) ->
    local = ecto_litefs_write:decide(Repo),
    decide(N - 1, Repo).

lookup_and_nif(0, _Repo) ->
    ok;
lookup_and_nif(N, Repo) ->
    _ = persistent_term:get({ecto_litefs, Repo}),
    ok = ecto_litefs_nif:nothing(),
    lookup_and_nif(N - 1, Repo).

%% The whole middleware around a call that does nothing, and EctoMiddleware's
%% engine alone around the same call.
-spec middleware(module()) -> bench_stats:series().
middleware(Repo) ->
    Resource = e2e_node:changeset(<<"bench">>),
    Resolution = resolution(Repo, Resource),
    bench_stats:interleaved(
      ?BLOCKS, ?CALLS,
      fun() -> process(?CALLS, Resource, Resolution) end,
      fun() -> yield(?CALLS, Resource, Resolution) end).

process(0, _Resource, _Resolution) ->
    ok;
process(N, Resource, Resolution) ->
    {cont, {ok, _}, _} =
        'Elixir.EctoLiteFS.Middleware':process(Resource, Resolution),
    process(N - 1, Resource, Resolution).

yield(0, _Resource, _Resolution) ->
    ok;
yield(N, Resource, Resolution) ->
    {{ok, _}, _} = 'Elixir.EctoMiddleware.Engine':yield(Resource, Resolution),
    yield(N - 1, Resource, Resolution).

%% As it is when the engine calls us, with us as the last of the list.
resolution(Repo, Resource) ->
    Super = fun(Resource1, _Resolution) -> {ok, Resource1} end,
    #{'__struct__' => 'Elixir.EctoMiddleware.Resolution',
      repo => Repo, action => insert, args => [Resource, []],
      middleware => [], entity => Resource,
      before_input => Resource, before_output => nil,
      after_input => nil, after_output => nil,
      private => #{'__super__' => Super, '__pipeline_id__' => make_ref()}}.
