%% Where a Repo's positions are to be had: the NIF's handle, and the name by which
%% LiteFS knows its database.
-module(ecto_litefs_place).

-export([of_repo/1]).

-export_type([t/0]).

-type t() :: {ecto_litefs_nif:handle(), Db :: binary()}.

%% none: there is no NIF, no supervisor, or no database on the mount.
-spec of_repo(module()) -> t() | none.
of_repo(Repo) ->
    case ecto_litefs_instance:lookup(Repo) of
        none -> none;
        {gone, _Config} -> none;
        {{passthrough, _Detector}, _Config} -> none;
        {Handle, _Config} -> with_database(Handle, Repo)
    end.

with_database(Handle, Repo) ->
    case ecto_litefs_tracking:database(Repo) of
        {ok, Db} -> {Handle, Db};
        none -> none
    end.
