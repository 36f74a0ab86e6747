%% Makes a Repo's pool open new SQLite handles, and returns when nobody can
%% get an old one any more.
%%
%% disconnect_all/1 alone is not enough: db_connection closes a connection
%% when it is checked in, so that each idle one first serves another caller
%% (seen: pool_size acknowledged writes went into the hidden file). Checking
%% it out and in does that. The pool hands out the one that was idle longest,
%% so that pool_size checkouts reach all that were idle; one that is in use is
%% closed when its user is done with it.
-module(ecto_litefs_pool).

-export([renew/1]).
-export([release/1]).

%% Raises what the Repo raises: it is not started, or no connection is free.
-spec renew(module()) -> ok.
renew(Repo) ->
    _ = code:ensure_loaded(Repo),
    case erlang:function_exported(Repo, disconnect_all, 1) of
        true ->
            _ = Repo:disconnect_all(0),
            cycle(Repo, erlang:function_exported(Repo, checkout, 2));
        false ->
            ok
    end.

%% Only asks the pool to close what it has open: it cannot open anything new,
%% and idle connections are closed within the second in which it pings them.
-spec release(module()) -> ok.
release(Repo) ->
    _ = code:ensure_loaded(Repo),
    case erlang:function_exported(Repo, disconnect_all, 1) of
        true -> _ = Repo:disconnect_all(0), ok;
        false -> ok
    end.

cycle(Repo, true) ->
    lists:foreach(fun(_) -> Repo:checkout(fun() -> ok end, []) end,
                  lists:seq(1, pool_size(Repo)));
cycle(_Repo, false) ->
    ok.

%% What the Repo runs with: Repo:config() does not have what was said to
%% Repo:start_link/1.
pool_size(Repo) ->
    #{opts := Options} = 'Elixir.Ecto.Adapter':lookup_meta(Repo),
    proplists:get_value(pool_size, Options, 1).
