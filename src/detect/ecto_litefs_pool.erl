%% A Repo's pools: how large they are, and how to make them open new SQLite
%% handles, which returns when nobody can get an old one any more.
%%
%% disconnect_all/1 alone is not enough: db_connection closes a connection
%% when it is checked in, so that each idle one first serves another caller
%% (seen: pool_size acknowledged writes went into the hidden file). Checking
%% it out and in does that. The pool hands out the one that was idle longest,
%% so that pool_size checkouts reach all that were idle; one that is in use is
%% closed when its user is done with it.
%%
%% With the option pool_count there are several such pools, and the calling
%% process would be given connections of one of them only.
-module(ecto_litefs_pool).

-export([renew/1]).
-export([start_renewal/1]).
-export([release/1]).
-export([size/1]).

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

%% In a process of its own, because a busy pool takes its time. {'DOWN', Ref,
%% process, _, renewed} says that it is done; any other reason, why it is not.
-spec start_renewal(module()) -> reference().
start_renewal(Repo) ->
    {_Pid, Ref} = spawn_monitor(fun() -> exit(outcome(Repo)) end),
    Ref.

outcome(Repo) ->
    try renew(Repo) of
        ok -> renewed
    catch
        Class:Reason -> {Class, Reason}
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

%% How many connections the started Repo of that name has, in all its pools.
-spec size(atom()) -> {ok, pos_integer()} | {error, not_started}.
size(Name) ->
    try 'Elixir.Ecto.Adapter':lookup_meta(Name) of
        #{partition_supervisor := {_, Count}, opts := Options} ->
            {ok, Count * pool_size(Options)};
        #{opts := Options} ->
            {ok, pool_size(Options)}
    catch
        error:#{'__struct__' := 'Elixir.RuntimeError'} -> {error, not_started};
        error:badarg -> {error, not_started} % nor is the application ecto
    end.

pool_size(Options) ->
    proplists:get_value(pool_size, Options, 1).

%% The metadata has what the Repo runs with: Repo:config() does not have what
%% was said to Repo:start_link/1.
cycle(Repo, true) ->
    #{opts := Options} = Meta = 'Elixir.Ecto.Adapter':lookup_meta(Repo),
    lists:foreach(fun(Checkout) -> repeat(pool_size(Options), Checkout) end,
                  checkouts(Repo, Meta));
cycle(_Repo, false) ->
    ok.

repeat(Count, Fun) ->
    lists:foreach(fun(_) -> Fun() end, lists:seq(1, Count)).

%% One for each pool: takes a connection of it and gives it back.
checkouts(_Repo, #{partition_supervisor := {Name, Count}, opts := Options}) ->
    Supervisor = 'Elixir.PartitionSupervisor',
    [fun() ->
             'Elixir.DBConnection':run({via, Supervisor, {Name, Partition}},
                                       fun(_Connection) -> ok end, Options)
     end || Partition <- lists:seq(1, Count)];
checkouts(Repo, _Meta) ->
    [fun() -> Repo:checkout(fun() -> ok end, []) end].
