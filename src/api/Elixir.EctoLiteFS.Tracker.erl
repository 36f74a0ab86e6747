%% What this node knows of a Repo's primary. The functions of 1.0; what is cached
%% is the tracking row, which is asked only where no node claims to be primary.
-module('Elixir.EctoLiteFS.Tracker').

-export([process_name/1]).
-export(['ready?'/1]).
-export([get_primary/1]).
-export([get_primary/2]).
-export([set_primary/2]).
-export([set_replica/1]).
-export(['is_primary?'/1]).
-export([invalidate_cache/1]).
-export([get_erpc_timeout/1]).

%% unavailable: the native part is not loaded, and only it can hold a role.
-type set_error() :: managed_by_litefs | not_ready | unavailable.

%% How long claimants, or the node that the tracking row names, may take to say
%% which of them is the primary.
-define(FIND_MS, 900).

%% 'Elixir.EctoLiteFS.Tracker.MyApp.Repo', the name of the Repo's detector.
-spec process_name(module()) -> atom().
process_name(Repo) when is_atom(Repo) ->
    ecto_litefs_detector:name(Repo).

-spec 'ready?'(module()) -> boolean().
'ready?'(Repo) when is_atom(Repo) ->
    whereis(process_name(Repo)) =/= undefined
        andalso ecto_litefs_supervised:alive(Repo).

-spec get_primary(module()) -> {ok, node() | nil} | {error, not_ready}.
get_primary(Repo) ->
    get_primary(Repo, []).

%% force: the tracking row is read anew, where it is needed.
-spec get_primary(module(), [{force, boolean()}]) ->
          {ok, node() | nil} | {error, not_ready}.
get_primary(Repo, Options) when is_atom(Repo), is_list(Options) ->
    Force = proplists:get_value(force, Options, false),
    case ready(Repo) of
        {ok, _Access} -> {ok, primary(Repo, Force)};
        {error, not_ready} = Error -> Error
    end.

primary(Repo, Force) ->
    case ecto_litefs_route:local(ecto_litefs_status:role(Repo)) of
        true -> node();
        false -> elsewhere(Repo, ecto_litefs_status:kind(Repo), Force)
    end.

elsewhere(Repo, Kind, Force) ->
    case ecto_litefs_directory:find(Repo, Kind, Force, ?FIND_MS) of
        {ok, Node} -> Node;
        none -> nil
    end.

%% Where there is no LiteFS to say it. Another node need not be connected. It
%% is named before this node stops being primary, so that no write in between
%% finds nobody.
-spec set_primary(module(), node()) -> ok | {error, set_error()}.
set_primary(Repo, Node) when is_atom(Repo), Node =:= node() ->
    case set_manual(Repo, primary) of
        ok -> ecto_litefs_manual:name(Repo, Node);
        {error, _} = Error -> Error
    end;
set_primary(Repo, Node) when is_atom(Repo), is_atom(Node) ->
    Before = ecto_litefs_manual:named(Repo),
    case ecto_litefs_manual:name(Repo, Node) of
        ok -> step_down(Repo, Before);
        {error, not_ready} = Error -> Error
    end.

step_down(Repo, Before) ->
    case set_manual(Repo, replica) of
        ok ->
            ok;
        {error, _} = Error ->
            _ = ecto_litefs_manual:restore(Repo, Before),
            Error
    end.

%% The node that was named stays named, unless it is this one.
-spec set_replica(module()) -> ok | {error, set_error()}.
set_replica(Repo) when is_atom(Repo) ->
    case set_manual(Repo, replica) of
        ok -> ecto_litefs_manual:forget(Repo, node());
        {error, _} = Error -> Error
    end.

set_manual(Repo, Role) ->
    case ready(Repo) of
        {ok, {passthrough, _}} when Role =:= primary -> ok;
        {ok, {passthrough, _}} -> {error, unavailable};
        {ok, _Handle} -> detector(Repo, Role);
        {error, not_ready} = Error -> Error
    end.

detector(Repo, Role) ->
    case ecto_litefs_detector:set_manual(Repo, Role) of
        {error, closed} -> {error, not_ready};
        Answer -> Answer
    end.

-spec 'is_primary?'(module()) -> boolean().
'is_primary?'(Repo) when is_atom(Repo) ->
    'ready?'(Repo)
        andalso ecto_litefs_route:local(ecto_litefs_status:role(Repo)).

%% The tracking row and what was found by it are forgotten, and the detector looks at the directory soon.
-spec invalidate_cache(module()) -> ok.
invalidate_cache(Repo) when is_atom(Repo) ->
    case ready(Repo) of
        {ok, {passthrough, _}} -> ok;
        {ok, Handle} ->
            ok = ecto_litefs_tracking:invalidate(Repo),
            ok = ecto_litefs_tracked:forget(Repo),
            ecto_litefs_nif:hint(Handle);
        {error, not_ready} ->
            ok
    end.

-spec get_erpc_timeout(module()) -> pos_integer().
get_erpc_timeout(Repo) when is_atom(Repo) ->
    case ecto_litefs_instance:lookup(Repo) of
        {_Access, #{erpc_timeout := Timeout}} -> Timeout;
        none -> maps:get(erpc_timeout, ecto_litefs_config:defaults())
    end.

%% Answers that need the Repo's supervisor.
ready(Repo) ->
    case 'ready?'(Repo) andalso ecto_litefs_instance:lookup(Repo) of
        {gone, _Config} -> {error, not_ready};
        {Access, _Config} -> {ok, Access};
        none -> {error, not_ready};
        false -> {error, not_ready}
    end.
