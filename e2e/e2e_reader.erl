%% What a BEAM node of a test does to see its own writes. All functions are
%% called on the peer.
-module(e2e_reader).

-export([add_repo/2]).
-export([add_nameless_repo/2]).
-export([insert_and_read/3]).
-export([insert_read/3]).
-export([write_read/3]).
-export([insert_with_position/2]).
-export([await_at_once/4]).
-export([await_often/4]).
-export([hold_read/2]).
-export([hold_write/2]).
-export([release/1]).

-export_type([seen/0]).

%% reported: the wait had ended with this result, whether or not the row has
%% come since. read: nothing was reported, and the row was here. missed: nor was
%% the row.
-type seen() :: read | {reported, atom()} | missed.

-define(API, 'Elixir.EctoLiteFS').

%% One more Repo on the same database.
-spec add_repo(module(), file:filename()) -> ok.
add_repo(Repo, Database) ->
    ok = application:set_env(ecto_litefs, Repo, [{database, Database}]),
    add_nameless_repo(Repo, Database).

%% One whose config/0 does not say where its database is, as when that was given to
%% start_link/1 only.
-spec add_nameless_repo(module(), file:filename()) -> ok.
add_nameless_repo(Repo, Database) ->
    {ok, _Pid} = ecto_litefs_test_repo:start(Repo, #{database => Database,
                                                     busy_timeout => 2000}),
    e2e_node:add_supervisors([Repo]).

%% So many rows, one after the other, by this Repo's insert with these options:
%% how many were seen in which way, and the names of those that were missed.
-spec insert_and_read(module(), pos_integer(), [{atom(), term()}]) ->
          #{seen() => pos_integer(), missed_rows => [binary()]}.
insert_and_read(Repo, Count, Options) ->
    Self = erlang:unique_integer([positive]),
    lists:foldl(fun(N, Seen) ->
        Name = iolist_to_binary(io_lib:format("~s ~b ~b", [node(), Self, N])),
        count(insert_read(Repo, Name, Options), Name, Seen)
    end, #{}, lists:seq(1, Count)).

count(missed, Name, Seen) ->
    maps:update_with(missed_rows, fun(Rows) -> [Name | Rows] end, [Name], Seen);
count(What, _Name, Seen) ->
    maps:update_with(What, fun(N) -> N + 1 end, 1, Seen).

-spec insert_read(module(), binary(), [{atom(), term()}]) -> seen().
insert_read(Repo, Name, Options) ->
    {{ok, _Item}, Seen} =
        write_read(Repo, Name, {Repo, insert, [e2e_node:stamped(Name), Options]}),
    Seen.

%% What the call gives that writes this row, and whether the row was here then.
-spec write_read(module(), binary(), {module(), atom(), [term()]}) ->
          {term(), seen()}.
write_read(Repo, Name, {Module, Function, Args}) ->
    {Value, Events} =
        telemetry:record(fun() -> apply(Module, Function, Args) end),
    Results = [Result || {[ecto_litefs, await, stop], _, #{result := Result}}
                             <- Events],
    {Value, seen(Results -- [ok], Repo, Name)}.

seen([Result | _], _Repo, _Name) ->
    {reported, Result};
seen([], Repo, Name) ->
    case is_here(Repo, Name) of
        true -> read;
        false -> missed
    end.

is_here(Repo, Name) ->
    [_Columns, {rows, Rows}] =
        ecto_litefs_test_repo:sql(Repo, "SELECT 1 FROM items WHERE name = ?1",
                                  [Name]),
    Rows =/= [].

-spec insert_with_position(module(), binary()) ->
          {term(), 'Elixir.EctoLiteFS.Position':t() | nil}.
insert_with_position(Repo, Name) ->
    ?API:with_position(Repo, fun() -> Repo:insert(e2e_node:stamped(Name)) end).

%% By so many processes at once.
-spec await_at_once(module(), pos_integer(),
                    'Elixir.EctoLiteFS.Position':t(), non_neg_integer()) ->
          [ok | {error, atom()}].
await_at_once(Repo, Processes, Position, Ms) ->
    Waiters = [spawn_monitor(fun() ->
                   exit({outcome, ?API:await(Repo, Position, Ms)})
               end) || _ <- lists:seq(1, Processes)],
    [receive {'DOWN', Ref, process, Pid, {outcome, Outcome}} -> Outcome end
     || {Pid, Ref} <- Waiters].

%% One wait after the other; how many ended in which way.
-spec await_often(module(), pos_integer(),
                  'Elixir.EctoLiteFS.Position':t(), non_neg_integer()) ->
          #{atom() => pos_integer()}.
await_often(Repo, Count, Position, Ms) ->
    lists:foldl(fun(_N, Outcomes) ->
        Outcome = case ?API:await(Repo, Position, Ms) of
                      ok -> ok;
                      {error, Why} -> Why
                  end,
        maps:update_with(Outcome, fun(N) -> N + 1 end, 1, Outcomes)
    end, #{}, lists:seq(1, Count)).

%% A read transaction on a connection of its own, which keeps LiteFS from
%% applying anything here, until release/1.
-spec hold_read(file:filename(), atom()) -> ok.
hold_read(Database, Name) ->
    hold(Database, Name, ["BEGIN", "SELECT count(*) FROM items"]).

%% A write transaction, on a primary.
-spec hold_write(file:filename(), atom()) -> ok.
hold_write(Database, Name) ->
    hold(Database, Name, ["BEGIN IMMEDIATE"]).

hold(Database, Name, Statements) ->
    Self = self(),
    Holder = spawn(fun() ->
        {ok, Db} = ecto_litefs_test_sqlite:open(#{database => Database}),
        _ = [ecto_litefs_test_sqlite:execute(Db, Statement, [])
             || Statement <- Statements],
        true = register(Name, self()),
        Self ! {self(), holds},
        receive release -> ok = ecto_litefs_test_sqlite:close(Db) end
    end),
    receive {Holder, holds} -> ok after 10_000 -> error(cannot_hold) end.

-spec release(atom()) -> ok.
release(Name) ->
    Name ! release,
    ok.
