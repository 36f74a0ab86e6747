%% One connection to SQLite, as the stand-in Repo opens and uses it.
-module(ecto_litefs_test_sqlite).

-export([open/1]).
-export([close/1]).
-export([is/2]).
-export([execute/3]).
-export([changes/1]).

-export_type([connection/0]).

%% The process of p1_sqlite3, and how long a locked database is tried again.
-opaque connection() :: {pid(), PatienceMs :: non_neg_integer()}.

-define(TIMEOUT, 60000).
-define(BUSY, 5).
-define(RETRY_MS, 5).

-spec open(ecto_litefs_test_pool:options()) ->
          {ok, connection()} | {error, binary()}.
open(Options) ->
    case sqlite3:start_link(anonymous, [{file, file(Options)}]) of
        {ok, Db} ->
            {BusyTimeout, Patience} = waiting(Options),
            set(Db, "busy_timeout", BusyTimeout),
            [set(Db, "journal_mode", Mode)
             || #{journal_mode := Mode} <- [Options]],
            {ok, {Db, Patience}};
        {error, Reason} ->
            {error, iolist_to_binary(io_lib:format("~p", [Reason]))}
    end.

%% As on a replica with a rollback journal: a BEGIN IMMEDIATE is not refused,
%% the first statement that writes is.
file(#{database := Database, read_only := true}) ->
    "file:" ++ file(#{database => Database}) ++ "?mode=ro";
file(#{database := Database}) ->
    binary_to_list(iolist_to_binary(Database)).

%% SQLite waits for a lock in the one thread that all connections of this VM
%% share, so that with several of them the holder of the lock could not commit
%% meanwhile: then the caller waits. (Where SQLite knows at once that waiting
%% is in vain, the caller does not, and gets the same error later.)
waiting(Options) ->
    Milliseconds = maps:get(busy_timeout, Options, 5000),
    case maps:get(pool_size, Options, 1) of
        1 -> {Milliseconds, 0};
        _ -> {0, Milliseconds}
    end.

set(Db, Pragma, Value) ->
    Sql = io_lib:format("PRAGMA ~s = ~p", [Pragma, Value]),
    sqlite3:sql_exec_timeout(Db, iolist_to_binary(Sql), ?TIMEOUT).

-spec close(connection()) -> ok.
close({Db, _Patience}) ->
    _ = sqlite3:close_timeout(Db, ?TIMEOUT),
    ok.

-spec is(connection(), pid()) -> boolean().
is({Db, _Patience}, Pid) ->
    Db =:= Pid.

%% What p1_sqlite3 answers; raises Exqlite.Error. Of several statements in one
%% text only the first runs, as with Exqlite.
-spec execute(connection(), iodata(), [term()]) -> term().
execute({Db, Patience}, Sql, Params) ->
    attempt(Db, iolist_to_binary(Sql), Params, now_ms() + Patience).

attempt(Db, Statement, Params, Deadline) ->
    Result = sqlite3:sql_exec_timeout(Db, Statement, Params, ?TIMEOUT),
    case failure(Result) of
        none ->
            Result;
        {Code, Message} ->
            case Code =:= ?BUSY andalso now_ms() < Deadline of
                true ->
                    timer:sleep(?RETRY_MS),
                    attempt(Db, Statement, Params, Deadline);
                false ->
                    raise(Statement, Message)
            end
    end.

failure({error, Code, Message}) -> {Code, Message};
failure([_Columns, _Rows, {error, Code, Message}]) -> {Code, Message};
failure(_Result) -> none.

raise(Statement, Message) ->
    ecto_litefs_test_error:raise(
      'Elixir.Exqlite.Error',
      #{statement => Statement, message => text(Message)}).

%% Exqlite has a word of its own for a text without a statement.
text("empty statement") -> <<"invalid_statement">>;
text(Message) -> list_to_binary(Message).

%% How many rows the last statement that writes has changed.
-spec changes(connection()) -> non_neg_integer().
changes({Db, _Patience}) ->
    sqlite3:changes(Db, ?TIMEOUT).

now_ms() ->
    erlang:monotonic_time(millisecond).
