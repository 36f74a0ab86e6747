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
-export([position/1]).
-export([with_position/2]).
-export([await/2]).
-export([await/3]).

-define(TRACKER, 'Elixir.EctoLiteFS.Tracker').
-define(POSITION, 'Elixir.EctoLiteFS.Position').
-define(POSITION_MS, 1_000).
-define(AWAIT_MS, 5_000).

%% The Repo's detector, or an ArgumentError.
-spec 'get_tracker!'(module()) -> pid().
'get_tracker!'(Repo) when is_atom(Repo) ->
    case whereis(?TRACKER:process_name(Repo)) of
        undefined ->
            ecto_litefs_struct:argument_error(
              ["no EctoLiteFS tracker registered for ",
               ecto_litefs_inspect:inspect(Repo)]);
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

%% How far this node's copy of the database has come. {:ok, nil} where there is no
%% LiteFS, and so nothing to wait for.
-spec position(module()) ->
          {ok, ?POSITION:t() | nil}
        | {error, timeout | unavailable | not_ready}.
position(Repo) when is_atom(Repo) ->
    case {ecto_litefs_status:role(Repo), ecto_litefs_status:kind(Repo)} of
        {not_supervised, _Kind} -> {ok, nil};
        {_Role, litefs} -> here(ecto_litefs_await:here(Repo, ?POSITION_MS));
        {unknown, plain} -> {error, not_ready};
        {_Role, plain} -> {ok, nil}
    end.

here({ok, Position}) -> {ok, ?POSITION:new(Position)};
here({error, _} = Error) -> Error.

%% What Fun returns, and a position that has all that it wrote: on the primary
%% where the database stands afterwards, elsewhere that of the last write that
%% it forwarded. nil: it wrote nothing, there is no LiteFS, or none can be told.
-spec with_position(module(), fun(() -> Result)) ->
          {Result, ?POSITION:t() | nil}.
with_position(Repo, Fun) when is_atom(Repo), is_function(Fun, 0) ->
    Before = ecto_litefs_primaryship:term(Repo),
    {Result, Forwarded} = ecto_litefs_own_writes:collect(Repo, Fun),
    Position = written(Before, Forwarded, Repo),
    case ecto_litefs_primaryship:term(Repo) of
        Before -> {Result, Position};
        _Another -> {Result, nil} % some of it was written elsewhere
    end.

written(none, none, _Repo) -> nil;
written(none, Forwarded, _Repo) -> ?POSITION:new(Forwarded);
written({ok, _Primaryship}, none, Repo) -> written_here(position(Repo));
written({ok, _Primaryship}, _Forwarded, _Repo) -> nil. % some here, some there

written_here({ok, Position}) -> Position;
written_here({error, _Reason}) -> nil.

%% await/3 with 5 seconds.
-spec await(module(), ?POSITION:t() | nil) -> ecto_litefs_await:outcome().
await(Repo, Position) ->
    await(Repo, Position, ?AWAIT_MS).

%% Until this node's copy has come as far as a position, which may be of another
%% node: from a cookie, a message. nil, as with_position/2 gives it where there is
%% nothing to wait for, is there. {:error, :timeout} after so many milliseconds;
%% {:error, :other_term}: this node's database has another history, or another
%% node has become primary since; {:error, :unavailable}: nobody here can tell.
%% A transaction that is open on this node keeps it from coming further.
-spec await(module(), ?POSITION:t() | nil, non_neg_integer()) ->
          ecto_litefs_await:outcome().
await(Repo, nil, Ms) when is_atom(Repo), is_integer(Ms), Ms >= 0 ->
    ok;
await(Repo, #{'__struct__' := ?POSITION} = Position, Ms)
  when is_atom(Repo), is_integer(Ms), Ms >= 0 ->
    ecto_litefs_await:await(Repo, ?POSITION:to_tuple(Position), Ms);
await(Repo, Position, Ms) when is_atom(Repo), is_integer(Ms), Ms >= 0 ->
    ecto_litefs_struct:argument_error(
      ["EctoLiteFS.await wants an %EctoLiteFS.Position{} or nil, got: ",
       ecto_litefs_inspect:inspect(Position),
       ". EctoLiteFS.Position.from_string/1 makes one of a string"]);
await(Repo, _Position, Ms) when is_atom(Repo) ->
    ecto_litefs_struct:argument_error(
      ["the timeout of EctoLiteFS.await must be milliseconds, got: ",
       ecto_litefs_inspect:inspect(Ms)]).
