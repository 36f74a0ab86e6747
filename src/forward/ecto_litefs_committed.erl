%% Up to where the database has come on the primary, after a COMMIT.
-module(ecto_litefs_committed).

-export([look/3]).
-export([term_first/2]).

-export_type([position/0]).

%% none: there is nothing to wait for, because there is no LiteFS, or it is
%% another database than the Repo's own. unavailable: it cannot be told, also
%% where nobody knows which database of LiteFS is the Repo's.
-type position() :: ecto_litefs_position:t() | unavailable | none.

%% The term's row is written within milliseconds of a promotion. A write that
%% comes before it waits for so long, because a position is of use elsewhere
%% only if that row comes before it.
-define(TERM_MS, 1_000).

-type term_before() :: {Db :: binary(), {ok, non_neg_integer()} | none} | none.

%% To be asked for before look/3.
-spec term_first(module(), non_neg_integer()) -> term_before().
term_first(Repo, Ms) ->
    case ecto_litefs_tracking:database(Repo) of
        {ok, Db} -> {Db, ecto_litefs_tracking:await_term(Repo, min(Ms div 2, ?TERM_MS))};
        none -> none
    end.

%% The role after a fresh look at the directory, and the position at that
%% moment: of the term only if that was not another one in between.
-spec look(module(), term_before(), non_neg_integer()) ->
          {ecto_litefs_nif:role(), position()}.
look(Repo, none, Ms) ->
    {ecto_litefs_status:check(Repo, Ms), unavailable};
look(Repo, {Db, Term}, Ms) ->
    {Role, Position} = ecto_litefs_status:check(Repo, Db, Ms),
    {Role, position(Term, Position, ecto_litefs_tracking:term(Repo))}.

position({ok, Term}, {TxId, Checksum}, {ok, Term}) -> {Term, TxId, Checksum};
position(_Term, _Position, _Later) -> unavailable.
