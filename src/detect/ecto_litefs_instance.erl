%% Which Repos this VM knows, in persistent_term, so that a caller gets a
%% Repo's handle and configuration without a process and without a copy.
%%
%% An entry is never erased. A Repo whose supervisor has gone keeps a closed
%% handle, whose role is unknown, and is not taken for one that never had a
%% supervisor, whose writes are local.
-module(ecto_litefs_instance).

-export([put/3]).
-export([lookup/1]).
-export([mark_litefs_seen/1]).
-export([litefs_seen/1]).

-export_type([access/0]).

%% passthrough: the NIF cannot be loaded and there is no LiteFS here, says the
%% detector, which looks again and again; it counts while that process lives.
%% gone: such a Repo's supervisor has ended, or there is LiteFS now.
-type access() :: ecto_litefs_nif:handle() | {passthrough, pid()} | gone.

-define(KEY(Repo), {ecto_litefs, Repo}).
-define(SEEN(Repo), {ecto_litefs_seen, Repo}).

-spec put(module(), access(), ecto_litefs_config:t()) -> ok.
put(Repo, Access, Config) ->
    persistent_term:put(?KEY(Repo), {Access, Config}).

-spec lookup(module()) -> {access(), ecto_litefs_config:t()} | none.
lookup(Repo) ->
    persistent_term:get(?KEY(Repo), none).

%% A directory that once was a LiteFS mount never counts as a plain one again,
%% also not after a restart of the Repo's supervisor.
-spec mark_litefs_seen(module()) -> ok.
mark_litefs_seen(Repo) ->
    persistent_term:put(?SEEN(Repo), true).

-spec litefs_seen(module()) -> boolean().
litefs_seen(Repo) ->
    persistent_term:get(?SEEN(Repo), false).
