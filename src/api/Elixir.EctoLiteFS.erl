%% The public functions of 1.0: who is primary for a Repo, and saying so by
%% hand where there is no LiteFS.
-module('Elixir.EctoLiteFS').

-export(['get_tracker!'/1]).
-export(['tracker_ready?'/1]).
-export(['is_primary?'/1]).
-export([get_primary/1]).
-export([set_primary/2]).
-export([set_replica/1]).
-export([invalidate_cache/1]).
-export([get_erpc_timeout/1]).

-define(TRACKER, 'Elixir.EctoLiteFS.Tracker').

%% The Repo's detector, or an ArgumentError.
-spec 'get_tracker!'(module()) -> pid().
'get_tracker!'(Repo) when is_atom(Repo) ->
    case whereis(?TRACKER:process_name(Repo)) of
        undefined ->
            Message = ["no EctoLiteFS tracker registered for ",
                       ecto_litefs_inspect:inspect(Repo)],
            error(#{'__struct__' => 'Elixir.ArgumentError',
                    '__exception__' => true,
                    message => unicode:characters_to_binary(Message)});
        Pid ->
            Pid
    end.

-spec 'tracker_ready?'(module()) -> boolean().
'tracker_ready?'(Repo) -> ?TRACKER:'ready?'(Repo).

-spec 'is_primary?'(module()) -> boolean().
'is_primary?'(Repo) -> ?TRACKER:'is_primary?'(Repo).

%% {:ok, node}, {:ok, nil} where none is known, {:error, :not_ready} without
%% the Repo's supervisor.
-spec get_primary(module()) -> {ok, node() | nil} | {error, not_ready}.
get_primary(Repo) -> ?TRACKER:get_primary(Repo).

%% {:error, :managed_by_litefs} on a LiteFS mount.
-spec set_primary(module(), node()) ->
          ok | {error, managed_by_litefs | not_ready | unavailable}.
set_primary(Repo, Node) -> ?TRACKER:set_primary(Repo, Node).

-spec set_replica(module()) ->
          ok | {error, managed_by_litefs | not_ready | unavailable}.
set_replica(Repo) -> ?TRACKER:set_replica(Repo).

-spec invalidate_cache(module()) -> ok.
invalidate_cache(Repo) -> ?TRACKER:invalidate_cache(Repo).

%% Milliseconds that one forwarded call may take.
-spec get_erpc_timeout(module()) -> pos_integer().
get_erpc_timeout(Repo) -> ?TRACKER:get_erpc_timeout(Repo).
