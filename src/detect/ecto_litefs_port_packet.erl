%% Requests to the port program and its replies, as docs/PROTOCOL.md has them.
%% Pure. What comes back may be anything: a program is not trusted to be right.
-module(ecto_litefs_port_packet).

-export([request/3]).
-export([body/2]).
-export([row/1]).
-export([reply/1]).
-export([meaning/2]).

-export_type([row/0]).
-export_type([packed_row/0]).
-export_type([operation/0]).
-export_type([body/0]).
-export_type([failure/0]).
-export_type([reply/0]).

%% Which node became primary last. What is not known is undefined: all but
%% node and updated_at, where 1.0 wrote the row.
-type row() ::
        #{node := binary(),
          updated_at := non_neg_integer(),               % unix time, seconds
          hostname := binary() | undefined,              % as LiteFS has it
          term := 0..16#ffffffffffffffff | undefined,    % random
          started_at := pos_integer() | undefined,       % unix time, ms
          version := binary() | undefined}.              % of this library

-type packed_row() ::
        {binary(), non_neg_integer(), binary(), binary(), non_neg_integer(),
         binary()}.

%% What is asked of a database that is open.
-type operation() :: {write_row, packed_row()} | read_row | close.

-type asked() ::
        {write_row, Table :: binary(), packed_row()}
      | {read_row, Table :: binary()} | close.

-type body() :: {open, Path :: binary(), readwrite | query_only} | asked().

-type failure_code() ::
        bad_request | not_open | missing | not_a_file | cannot_open
      | not_a_database | corrupt | busy | timeout | read_only | io_error
      | full | no_memory | not_our_table | bad_row | sqlite.

%% With SQLite's extended result code (0: it was not asked), and a line for
%% people.
-type failure() :: {failure_code(), non_neg_integer(), Text :: binary()}.

-type reply() :: ok | {ok, row() | none} | {error, failure()}.

-define(TERM_DIGITS, 16).
-define(TIME_MAX, 16#ffffffff).
-define(SQLITE_PROTOCOL, 15).

-spec request(non_neg_integer(), integer(), body()) -> binary().
request(Id, TimeLeft, Body) ->
    term_to_binary({Id, min(max(0, TimeLeft), ?TIME_MAX), Body}).

-spec body(operation(), Table :: binary()) -> asked().
body({write_row, Row}, Table) -> {write_row, Table, Row};
body(read_row, Table) -> {read_row, Table};
body(close, _Table) -> close.

-spec row(row()) -> packed_row().
row(#{node := Node, updated_at := UpdatedAt, hostname := Hostname,
      term := Term, started_at := StartedAt, version := Version})
  when is_binary(Node), is_integer(UpdatedAt) ->
    {Node, UpdatedAt, text(Hostname), pack_term(Term), time(StartedAt),
     text(Version)}.

text(undefined) -> <<>>;
text(Text) when is_binary(Text) -> Text.

time(undefined) -> 0;
time(Time) when is_integer(Time) -> Time.

pack_term(undefined) ->
    <<>>;
pack_term(Term) when is_integer(Term) ->
    iolist_to_binary(io_lib:format("~*.16.0b", [?TERM_DIGITS, Term])).

%% `bad` is what no reply may be. A compressed term could be of any size.
-spec reply(binary()) -> {non_neg_integer(), reply()} | bad.
reply(<<131, Tag, _/binary>> = Packet) when Tag =/= $P ->
    try binary_to_term(Packet, [safe]) of
        {Id, Reply} when is_integer(Id) -> known(Id, unpack(Reply));
        _Term -> bad
    catch
        error:badarg -> bad
    end;
reply(_Packet) ->
    bad.

known(_Id, bad) -> bad;
known(Id, Reply) -> {Id, Reply}.

unpack(ok) -> ok;
unpack({ok, none}) -> {ok, none};
unpack({ok, Row}) -> unpack_row(Row);
unpack({error, {Code, Extended, Text}})
  when is_integer(Extended), is_binary(Text) ->
    case is_failure(Code) of
        true -> {error, {Code, Extended, Text}};
        false -> bad
    end;
unpack(_Reply) -> bad.

%% They are named here also so that [safe] knows them.
is_failure(Code) ->
    lists:member(Code,
                 [bad_request, not_open, missing, not_a_file, cannot_open,
                  not_a_database, corrupt, busy, timeout, read_only, io_error,
                  full, no_memory, not_our_table, bad_row, sqlite]).

unpack_row({Node, UpdatedAt, Hostname, Term, StartedAt, Version})
  when is_binary(Node), is_integer(UpdatedAt), is_binary(Hostname),
       is_binary(Term), is_integer(StartedAt), is_binary(Version) ->
    {ok, #{node => Node,
           updated_at => UpdatedAt,
           hostname => known_text(Hostname),
           term => unpack_term(Term),
           started_at => known_time(StartedAt),
           version => known_text(Version)}};
unpack_row(_Row) ->
    bad.

known_text(<<>>) -> undefined;
known_text(Text) -> Text.

known_time(0) -> undefined;
known_time(Time) -> Time.

%% The table is the user's: whoever wrote another text there meant no term.
unpack_term(Hex) when byte_size(Hex) =:= ?TERM_DIGITS ->
    try binary_to_integer(Hex, 16) of
        Term when Term >= 0 -> Term;
        _Negative -> undefined
    catch
        error:badarg -> undefined
    end;
unpack_term(_Hex) ->
    undefined.

%% What it says of the database: doubtful, after an error that an old one on a
%% mount of the past gives as well. `bad`: it answers something else.
-spec meaning(operation(), reply()) -> sound | doubtful | closed | bad.
meaning(close, ok) -> closed;
meaning({write_row, _Row}, ok) -> sound;
meaning(read_row, {ok, _RowOrNone}) -> sound;
meaning(close, _Reply) -> bad;
meaning(_Operation, {error, {Code, Extended, _Text}}) ->
    meaning_of(Code, Extended);
meaning(_Operation, _Reply) -> bad.

meaning_of(busy, Extended) when Extended band 16#ff =:= ?SQLITE_PROTOCOL ->
    doubtful;
meaning_of(Code, _Extended)
  when Code =:= io_error; Code =:= cannot_open; Code =:= corrupt;
       Code =:= not_a_database; Code =:= sqlite; Code =:= no_memory ->
    doubtful;
meaning_of(_Code, _Extended) ->
    sound.
