%% What the first word of a statement says of it. Pure. Which tables it means, and
%% whether it changes anything there, only SQLite knows.
-module(ecto_litefs_sql).

-export([kind/1]).

-export_type([kind/0]).

%% transaction    begins or ends one: BEGIN, COMMIT, SAVEPOINT, ...
%% journal_mode   sets another one than WAL
%% data           INSERT, REPLACE, UPDATE, DELETE, also behind a WITH
%% schema         CREATE, DROP, ALTER, ...
%% schema_if      the same with IF EXISTS or IF NOT EXISTS: it may do nothing
%% other          reads, PRAGMA, VACUUM, ATTACH, ..., and what is no SQL
-type kind() ::
        transaction | journal_mode | data | schema | schema_if | other.

%% Spaces, comments and empty statements, which may come before the first word.
-define(BLANK, "(?:\\s|--[^\\n]*(?:\\n|$)|/\\*.*?\\*/|;)*").

-define(OPTIONS, [caseless, dotall]).
-define(GLOBALLY, [global, {return, binary} | ?OPTIONS]).

-spec kind(iodata()) -> kind().
kind(Sql) ->
    case re:run(Sql, "^" ?BLANK "([a-z]+)", [{capture, [1], list} | ?OPTIONS]) of
        {match, [Word]} -> kind(string:lowercase(Word), Sql);
        nomatch -> other
    end.

kind("begin", _) -> transaction;
kind("commit", _) -> transaction;
kind("end", _) -> transaction;
kind("rollback", _) -> transaction;
kind("savepoint", _) -> transaction;
kind("release", _) -> transaction;
kind("insert", _) -> data;
kind("replace", _) -> data;
kind("update", _) -> data;
kind("delete", _) -> data;
kind("with", Sql) -> main_verb(outside(Sql));
kind("create", Sql) -> schema(Sql);
kind("drop", Sql) -> schema(Sql);
kind("alter", Sql) -> schema(Sql);
kind("reindex", Sql) -> schema(Sql);
kind("pragma", Sql) -> pragma(Sql);
kind(_Other, _) -> other.

%% The verb that the tables of a WITH are for stands outside of all brackets.
main_verb(Text) ->
    Verb = "\\b(?:(select|values)|insert|replace|update|delete)\\b",
    case re:run(Text, Verb, ?OPTIONS) of
        {match, [_Write]} -> data;
        {match, [_Read, _]} -> other;
        nomatch -> other
    end.

%% Without comments, texts, quoted names and whatever is in brackets.
outside(Sql) ->
    Quoted = "--[^\\n]*|/\\*.*?\\*/|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\""
        "|`[^`]*`|\\[[^\\]]*\\]",
    without_brackets(re:replace(Sql, Quoted, " ", ?GLOBALLY)).

without_brackets(Text) ->
    case re:replace(Text, "\\([^()]*\\)", " ", ?GLOBALLY) of
        Text -> Text;
        Shorter -> without_brackets(Shorter)
    end.

schema(Sql) ->
    case matches(outside(Sql), "\\bif\\s+(?:not\\s+)?exists\\b") of
        true -> schema_if;
        false -> schema
    end.

%% "= mode" or "(mode)". To ask for it is a read.
pragma(Sql) ->
    Sets = "^" ?BLANK "pragma\\s+(?:\\w+\\s*\\.\\s*)?journal_mode\\s*[=(]"
        "\\s*['\"]?(?!wal\\b)\\w",
    case matches(Sql, Sets) of
        true -> journal_mode;
        false -> other
    end.

matches(Text, Pattern) ->
    re:run(Text, Pattern, [{capture, none} | ?OPTIONS]) =:= match.
