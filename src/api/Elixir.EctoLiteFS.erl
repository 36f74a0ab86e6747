%% The public functions: those of 1.0, who is primary for a Repo, and saying so
%% by hand where there is no LiteFS; what runs something on the primary; and
%% what is known of a Repo.
-module('Elixir.EctoLiteFS').

-export(['get_tracker!'/1]).
-export(['tracker_ready?'/1]).
-export(['is_primary?'/1]).
-export([get_primary/1]).
-export([set_primary/2]).
-export([set_replica/1]).
-export([invalidate_cache/1]).
-export([get_erpc_timeout/1]).
-export([status/1]).
-export([transaction/2]).
-export([transaction/3]).
-export([run_on_primary/2]).
-export([run_on_primary/3]).

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

%% {:ok, map}, after a fresh look at the directory; within 300 ms, whatever
%% hangs. degraded: on LiteFS, this node is not the primary, and its lag is more
%% than the option `max_lag` or not known. {:error, :not_ready} without the
%% Repo's supervisor.
-spec status(module()) ->
          {ok, ecto_litefs_summary:t()} | {error, not_ready}.
status(Repo) -> ecto_litefs_summary:status(Repo).

-spec transaction(module(), ecto_litefs_transaction:work()) -> term().
transaction(Repo, Work) ->
    transaction(Repo, Work, []).

%% Repo.transaction/2 on the primary, whole. Work may be {Module, Function,
%% Args}, too. With `use EctoLiteFS.Repo` the Repo's own function does the same.
%% Raises EctoLiteFS.Error where no primary can be had, or nobody can know
%% whether it was done.
-spec transaction(module(), ecto_litefs_transaction:work(),
                  [{atom(), term()}]) -> term().
transaction(Repo, Work, Options) ->
    'Elixir.EctoLiteFS.Repo':transaction(
      Repo, transaction, Work, Options,
      fun(Here, HereOptions) -> Repo:transaction(Here, HereOptions) end).

-spec run_on_primary(module(), fun(() -> Result)
                             | {module(), atom(), [term()]}) ->
          Result | term().
run_on_primary(Repo, Work) ->
    run_on_primary(Repo, Work, []).

%% Any code, in one process on the primary; the Repo's functions in it run
%% there. No transaction: what it has committed before it fails stays. Option
%% `timeout` in ms, where it is more than erpc_timeout. Raises as transaction/3.
-spec run_on_primary(module(), fun(() -> Result)
                             | {module(), atom(), [term()]},
                     [{timeout, timeout()}]) -> Result | term().
run_on_primary(Repo, Work, Options) ->
    case ecto_litefs_write:decide(Repo) of
        local -> run(Work);
        remote -> forward(Repo, Work, Options)
    end.

forward(Repo, Work, Options) ->
    case ecto_litefs_write:run(Repo, run_on_primary, {run, Work, Options},
                               #{on_refusal => raise}) of
        local -> run(Work);
        {done, Value} -> Value;
        {failed, Failure} ->
            ecto_litefs_answer:raise(Failure, Repo, run_on_primary)
    end.

run({Module, Function, Args}) -> apply(Module, Function, Args);
run(Fun) -> Fun().
