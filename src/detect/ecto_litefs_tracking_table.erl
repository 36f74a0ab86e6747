%% What callers ask about a Repo without a process: the term of this node's
%% primaryship, and the name that LiteFS has for its database. Without the table
%% (the application ecto_litefs was stopped) nothing is known.
%%
%% A primaryship has a number of its own (ecto_litefs_primaryship), which is its
%% term, too, unless another node was primary in the middle of it, unseen.
-module(ecto_litefs_tracking_table).

-export([new/0]).
-export([commit/3]).
-export([doubt/1]).
-export([committed/1]).
-export([term_of/2]).
-export([hold/2]).
-export([release/1]).
-export([is_held/1]).
-export([put_database/2]).
-export([database/1]).
-export([see/2]).
-export([seen/1]).
-export([unsee/1]).

-define(TABLE, ?MODULE).

%% The table belongs to the calling process, which is ecto_litefs_sup.
-spec new() -> ok.
new() ->
    ?TABLE = ets:new(?TABLE, [named_table, public, {read_concurrency, true}]),
    ok.

%% The row with this term is in the database.
-spec commit(module(), Id :: pos_integer(), Term :: non_neg_integer()) -> ok.
commit(Repo, Id, Term) ->
    store({{term, Repo}, Id, Term, true}).

%% It may not be there any more.
-spec doubt(module()) -> ok.
doubt(Repo) ->
    case find({term, Repo}) of
        [{Key, Id, Term, true}] -> store({Key, Id, Term, false});
        _NoneOrDoubted -> ok
    end.

-spec committed(module()) ->
          {Id :: pos_integer(), Term :: non_neg_integer()} | none.
committed(Repo) ->
    case find({term, Repo}) of
        [{_Key, Id, Term, true}] -> {Id, Term};
        _NoneOrDoubted -> none
    end.

%% What was committed last in this primaryship, doubted or not.
-spec term_of(module(), Id :: pos_integer()) -> {ok, non_neg_integer()} | none.
term_of(Repo, Id) ->
    case find({term, Repo}) of
        [{_Key, Id, Term, _Committed}] -> {ok, Term};
        _NoneOrAnother -> none
    end.

%% The row has this term, by this Repo's doing or with its consent, as long as
%% this node is primary.
-spec hold(module(), Term :: pos_integer()) -> ok.
hold(Repo, Term) ->
    store({{held, Repo}, Term}).

-spec release(module()) -> ok.
release(Repo) ->
    store({{held, Repo}, none}).

%% By any Repo of this VM.
-spec is_held(Term :: pos_integer()) -> boolean().
is_held(Term) ->
    try ets:match(?TABLE, {{held, '$1'}, Term}) of
        Repos -> Repos =/= []
    catch
        error:badarg -> false
    end.

-spec put_database(module(), binary() | none) -> ok.
put_database(Repo, Db) ->
    store({{database, Repo}, Db}).

-spec database(module()) -> {ok, binary()} | none.
database(Repo) ->
    case find({database, Repo}) of
        [{_Key, Db}] when is_binary(Db) -> {ok, Db};
        _None -> none
    end.

%% What the Repo's process has seen last, so that it is not told again.
-spec see(module(), term()) -> ok.
see(Repo, Seen) ->
    store({{seen, Repo}, Seen}).

-spec seen(module()) -> {ok, term()} | none.
seen(Repo) ->
    case find({seen, Repo}) of
        [{_Key, Seen}] -> {ok, Seen};
        [] -> none
    end.

%% The process is a new one, which has seen nothing.
-spec unsee(module()) -> ok.
unsee(Repo) ->
    _ = try ets:delete(?TABLE, {seen, Repo}) catch error:badarg -> false end,
    ok.

find(Key) ->
    try ets:lookup(?TABLE, Key)
    catch
        error:badarg -> []
    end.

store(Entry) ->
    _ = try ets:insert(?TABLE, Entry) catch error:badarg -> false end,
    ok.
