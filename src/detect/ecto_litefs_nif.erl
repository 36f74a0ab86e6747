%% The stubs of c_src/nif, with their types: decode, one call, encode is done
%% in C. Nothing here blocks a scheduler, and no function waits for LiteFS.
%%
%% Messages that C sends:
%%   {ecto_litefs_changed, Handle}     to the process that called open/1; at
%%                                     most one is outstanding, take/1 re-arms
%%   {ecto_litefs_check, Ref, Role, Position}
%%                                     to the process that called check/3,
%%                                     exactly once for each `ok` of check/3
%%   {ecto_litefs_position, Handle}    to the process that called subscribe/1;
%%                                     at most one is outstanding, positions/1
%%                                     re-arms
-module(ecto_litefs_nif).

-export([available/0]).
-export([unavailable_reason/0]).
-export([open/1]).
-export([close/1]).
-export([role/1]).
-export([snapshot/1]).
-export([take/1]).
-export([check/3]).
-export([position/2]).
-export([positions/1]).
-export([subscribe/1]).
-export([watch_position/3]).
-export([hint/1]).
-export([set_manual/2]).
-export([reconnected/2]).
-export([nothing/0]).

-export_type([handle/0]).
-export_type([open_error/0]).
-export_type([role/0]).
-export_type([options/0]).
-export_type([snapshot/0]).
-export_type([position/0]).

-nifs([open/1, close/1, role/1, snapshot/1, take/1, check/3, position/2,
       positions/1, subscribe/1, watch_position/3, hint/1, set_manual/2,
       reconnected/2, nothing/0]).
-on_load(load/0).

-opaque handle() :: reference().

-type open_error() ::
        bad_path | bad_url | no_memory | no_thread.

-type role() :: primary | replica | no_primary | unknown | not_litefs.

-type options() ::
        #{primary_file := binary(),            % absolute path
          events_url := binary() | undefined,
          poll_interval := pos_integer() | disabled,
          mount := auto | required | plain,
          litefs_seen := boolean()}.

-type snapshot() ::
        #{role := role(),
          source := none | stream | mount | manual,
          hostname := binary(),                % the primary's, <<>> unknown
          own_hostname := binary(),            % this node's, <<>> unless it is
                                               % or was primary on this stream
          since_ms := integer(),               % milliseconds in this role
          generation := non_neg_integer(),
          mount := unseen | litefs | plain | missing | dead | unreadable
                 | timeout,
          stream := unseen | off | up | down,
          lag_ms := integer() | undefined,
          settled := boolean(),
          litefs_seen := boolean(),
          reconnect := false | {pending, non_neg_integer()},
          positions := positions()}.

%% Of a database. Equal on two nodes: equal content. A TXID alone can name
%% another transaction after a failover.
-type position() :: {TxId :: non_neg_integer(), Checksum :: non_neg_integer()}.

%% By the name of the database's file: <<"app.db">>. Of the first 16 that are
%% written.
-type positions() :: #{binary() => position()}.

-define(LIBRARY, {?MODULE, library}).

%% A library that cannot be loaded must not stop the module from loading, or
%% an application without LiteFS would not start in a slim image. Whoever
%% wants to call the rest asks available/0 first. Only a new build of a
%% library that is in use is refused: then the old code stays.
load() ->
    case load_library() of
        {error, {upgrade, _Text}} = Error ->
            Error;
        Result ->
            persistent_term:put(?LIBRARY, Result)
    end.

load_library() ->
    case code:priv_dir(ecto_litefs) of
        {error, bad_name} ->
            {error, {load_failed, "ecto_litefs has no priv folder"}};
        Dir ->
            erlang:load_nif(filename:join(Dir, ?MODULE_STRING), 0)
    end.

-spec available() -> boolean().
available() ->
    persistent_term:get(?LIBRARY) =:= ok.

%% One sentence that says why available/0 is false and what to do.
-spec unavailable_reason() -> binary().
unavailable_reason() ->
    case {persistent_term:get(?LIBRARY), os:type()} of
        {ok, _Type} ->
            <<"the native part of ecto_litefs is loaded">>;
        {{error, {_Reason, Text}}, {unix, linux}} ->
            unicode:characters_to_binary(
              ["the native part of ecto_litefs cannot be loaded (", Text,
               "); on Debian it needs the packages libcurl4 and libjansson4"
               " at run time"]);
        {{error, _Reason}, _Type} ->
            <<"LiteFS exists on Linux only, so the native part of "
              "ecto_litefs is not built on this system">>
    end.

%% Starts watching. The calling process owns the handle: it gets the changed
%% messages, and its death closes the handle.
-spec open(options()) -> {ok, handle()} | {error, {open_error(), binary()}}.
open(_Options) ->
    not_loaded().

%% The role is unknown from here on. Returns at once, also when LiteFS hangs.
-spec close(handle()) -> ok.
close(_Handle) ->
    not_loaded().

-spec role(handle()) -> role().
role(_Handle) ->
    not_loaded().

-spec snapshot(handle()) -> snapshot().
snapshot(_Handle) ->
    not_loaded().

%% snapshot/1 for the owner: the next change gives a new changed message.
-spec take(handle()) -> snapshot().
take(_Handle) ->
    not_loaded().

%% Asks for a look at the directory that begins after this call, and after it
%% for the position that LiteFS has of Db then: of the look's time or later.
%% There is none where the role is unknown, without a LiteFS mount, and of a
%% database that LiteFS does not know. `busy`: too many wait already; nothing
%% will be sent.
-spec check(handle(), reference(), Db :: binary() | none) ->
          ok | {error, busy | closed}.
check(_Handle, _Ref, _Db) ->
    not_loaded().

%% What is known of Db without asking LiteFS: the last that its stream or a
%% check has said. It is behind for a millisecond or two, and `unknown` until
%% something was said since the stream came or went.
%% Era is of the same moment. As long as it is the same LiteFS has said nothing
%% of a primary: no init or primaryChange event (equal hostnames change no
%% role), no stream that came or went, no other mount. What the stream said
%% before a position is counted before that can be seen.
-spec position(handle(), Db :: binary()) ->
          {position() | unknown, Era :: non_neg_integer()}.
position(_Handle, _Db) ->
    not_loaded().

%% The same of all databases. For the subscriber: the next change gives a new
%% position message.
-spec positions(handle()) -> positions().
positions(_Handle) ->
    not_loaded().

%% The calling process gets the position messages from now on, in the place of
%% who had them before. What was known already gives none: read positions/1
%% afterwards. Nothing is watched yet. Nobody need unsubscribe who dies.
-spec subscribe(handle()) -> ok | {error, closed}.
subscribe(_Handle) ->
    not_loaded().

%% Somebody waits for the position of Db, or nobody does any more; the last
%% word counts. Then what the stream does not tell is read from LiteFS: once
%% now and after each reconnect, and every 1 to 10 ms while the stream is not
%% up. `busy`: 16 databases are watched already.
-spec watch_position(handle(), Db :: binary(), boolean()) ->
          ok | {error, busy | closed}.
watch_position(_Handle, _Db, _On) ->
    not_loaded().

%% Look at the directory soon.
-spec hint(handle()) -> ok.
hint(_Handle) ->
    not_loaded().

-spec set_manual(handle(), primary | replica | none) ->
          ok | {error, managed_by_litefs | closed}.
set_manual(_Handle, _Role) ->
    not_loaded().

%% The pool was told to reconnect: hands back the number of snapshot/1.
-spec reconnected(handle(), non_neg_integer()) -> ok.
reconnected(_Handle, _Epoch) ->
    not_loaded().

%% Does nothing: what a call into C costs, for the benchmark.
-spec nothing() -> ok.
nothing() ->
    not_loaded().

%% For Dialyzer it may return anything, as the C function in its place does.
-spec not_loaded() -> term().
not_loaded() ->
    erlang:nif_error(not_loaded).
