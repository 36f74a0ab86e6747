%% How long this node has been the primary, for the choice between several
%% that say they are: LiteFS gives no term, and the newest primaryship wins. And
%% a number of its own for each primaryship, which is the term of its positions.
%%
%% C counts from the last moment at which the role was not known, but that ends
%% no primaryship: the supervisor was restarted, or LiteFS hung and went on,
%% which is just when its node may be the stale one. So both are kept
%% for the life of the VM, until LiteFS itself says something else or dies.
-module(ecto_litefs_primaryship).

-export([observe/3]).
-export([age_ms/2]).
-export([term/1]).
-export([new_term/0]).

-define(KEY(Repo), {ecto_litefs_primaryship, Repo}).
%% Two words for each Repo that was ever primary here: when that began, and the
%% term, 0 when it is over. So nothing in persistent_term is ever replaced, which
%% would be a visit to each process of the VM, in the middle of a failover.
-define(BEGUN, 1).
-define(TERM, 2).
-define(TERM_MAX, 16#ffffffffffffffff).

%% The detector calls it with all that it takes, before it claims anything.
-spec observe(module(), ecto_litefs_status:kind(),
              ecto_litefs_nif:snapshot()) -> ok.
observe(Repo, Kind, #{role := Role} = Snapshot) ->
    case {lookup(Repo), Role} of
        {none, primary} ->
            #{since_ms := Ms} = Snapshot,
            start(words(Repo), now_ms() - Ms);
        {none, _Role} ->
            ok;
        {_Begun, _Role} ->
            forget(ended(Kind, Snapshot), Repo)
    end.

%% Of a node that is primary, as its snapshot says.
-spec age_ms(module(), ecto_litefs_nif:snapshot()) -> non_neg_integer().
age_ms(Repo, #{since_ms := Ms}) ->
    case lookup(Repo) of
        none -> Ms;
        {Begun, _Term} -> max(Ms, now_ms() - Begun)
    end.

%% No other primaryship of any node has the same.
-spec term(module()) -> {ok, pos_integer()} | none.
term(Repo) ->
    case lookup(Repo) of
        none -> none;
        {_Begun, Term} -> {ok, Term}
    end.

start(Words, Begun) ->
    ok = atomics:put(Words, ?BEGUN, Begun - now_0()),
    atomics:put(Words, ?TERM, new_term()).

%% Never 0, which is that of positions without a tracking row.
-spec new_term() -> pos_integer().
new_term() ->
    rand:uniform(?TERM_MAX).

forget(true, Repo) -> atomics:put(words(Repo), ?TERM, 0);
forget(false, _Repo) -> ok.

%% A LiteFS that has gone holds no lease when it comes back.
ended(_Kind, #{role := primary}) -> false;
ended(plain, #{role := unknown}) -> false;
ended(litefs, #{role := unknown, mount := Mount}) ->
    lists:member(Mount, [dead, missing, plain]);
ended(_Kind, #{role := _Another}) -> true.

lookup(Repo) ->
    case persistent_term:get(?KEY(Repo), none) of
        none -> none;
        Words -> lookup(Words, atomics:get(Words, ?TERM))
    end.

lookup(_Words, 0) -> none;
lookup(Words, Term) -> {atomics:get(Words, ?BEGUN) + now_0(), Term}.

words(Repo) ->
    case persistent_term:get(?KEY(Repo), none) of
        none ->
            Words = atomics:new(2, [{signed, false}]),
            ok = persistent_term:put(?KEY(Repo), Words),
            Words;
        Words ->
            Words
    end.

%% The clock begins far below 0, and the words have no sign.
now_0() ->
    -(1 bsl 63).

now_ms() ->
    erlang:monotonic_time(millisecond).
