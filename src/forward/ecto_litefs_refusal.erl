%% Does this failure say that SQLite refused to write, and what does that prove?
%% LiteFS refuses a replica's write with 1544 at the first statement, or in WAL
%% mode with 778 at the COMMIT, which is also what a broken disk looks like:
%% what it means is only known together with the role. Under a LiteFS that died
%% nothing can be opened, and after ten seconds no lock is had either. One that
%% stops being the primary holds SQLite's locks beyond the busy_timeout of a
%% statement that it caught. Exqlite keeps the text, not the code.
-module(ecto_litefs_refusal).

-export([proof/1]).
-export([of_replica/1]).

-export_type([proof/0]).

%% What is certain once a fresh look has shown that this is not the primary:
%% not_begun  nothing has been written
%% if_alive   the same, but only if LiteFS answered that look: one that died in
%%            the middle of a COMMIT may have kept it
%% none       the failure is no refusal
-type proof() :: not_begun | if_alive | none.

%% What others say with the same words is their own.
-define(SQLITE, 'Elixir.Exqlite.Error').

-define(READONLY, <<"attempt to write a readonly database">>).
-define(NOT_BEGUN, [?READONLY,
                    <<"unable to open database file">>,
                    <<"locking protocol">>,
                    <<"database is locked">>]).
-define(IF_ALIVE, [<<"disk I/O error">>]).

-spec proof(term()) -> proof().
proof(#{'__struct__' := ?SQLITE, message := Text}) when is_binary(Text) ->
    told(Text, ?NOT_BEGUN);
proof({error, Reason}) ->
    proof(Reason);
proof(_Other) ->
    none.

%% Only what a living LiteFS answers to a write on a replica, and to no read:
%% a read may meet the other texts, too.
-spec of_replica(term()) -> proof().
of_replica(#{'__struct__' := ?SQLITE, message := Text}) when is_binary(Text) ->
    told(Text, [?READONLY]);
of_replica(_Other) ->
    none.

told(Text, NotBegun) ->
    case {has(Text, ?IF_ALIVE), has(Text, NotBegun)} of
        {true, _} -> if_alive;
        {false, true} -> not_begun;
        {false, false} -> none
    end.

has(Text, Texts) ->
    binary:match(Text, Texts) =/= nomatch.
