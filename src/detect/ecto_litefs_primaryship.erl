%% How long this node has been the primary, for the choice between several
%% that say they are: LiteFS gives no term, and the newest primaryship wins.
%%
%% C counts from the last moment at which the role was not known, but that ends
%% no primaryship: the supervisor was restarted, or LiteFS hung and went on,
%% which is just when its node may be the stale one. So the beginning is kept
%% for the life of the VM, until LiteFS itself says something else or dies.
-module(ecto_litefs_primaryship).

-export([observe/3]).
-export([age_ms/2]).

-define(KEY(Repo), {ecto_litefs_primaryship, Repo}).

%% The detector calls it with all that it takes, before it claims anything.
-spec observe(module(), ecto_litefs_status:kind(),
              ecto_litefs_nif:snapshot()) -> ok.
observe(Repo, Kind, #{role := Role} = Snapshot) ->
    case {begun(Repo), Role} of
        {none, primary} ->
            #{since_ms := Ms} = Snapshot,
            persistent_term:put(?KEY(Repo), now_ms() - Ms);
        {none, _Role} ->
            ok;
        {_Begun, _Role} ->
            forget(ended(Kind, Snapshot), Repo)
    end.

%% Of a node that is primary, as its snapshot says.
-spec age_ms(module(), ecto_litefs_nif:snapshot()) -> non_neg_integer().
age_ms(Repo, #{since_ms := Ms}) ->
    case begun(Repo) of
        none -> Ms;
        Begun -> max(Ms, now_ms() - Begun)
    end.

forget(true, Repo) -> persistent_term:put(?KEY(Repo), none);
forget(false, _Repo) -> ok.

%% A LiteFS that has gone holds no lease when it comes back.
ended(_Kind, #{role := primary}) -> false;
ended(plain, #{role := unknown}) -> false;
ended(litefs, #{role := unknown, mount := Mount}) ->
    lists:member(Mount, [dead, missing, plain]);
ended(_Kind, #{role := _Another}) -> true.

%% A number in persistent_term is replaced without a visit to each process.
begun(Repo) ->
    persistent_term:get(?KEY(Repo), none).

now_ms() ->
    erlang:monotonic_time(millisecond).
