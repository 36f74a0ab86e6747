%% "I may run this Repo's writes": the claims of all connected nodes, kept in
%% pg. A claim is a hint that says where to ask; it is no proof.
%%
%% LiteFS nodes and plain directories have groups of their own, so that one
%% never finds the other. Members are the Repos' detectors.
-module(ecto_litefs_claim).

-compile({no_auto_import, [monitor/2, demonitor/1]}).

-export([scope/0]).
-export([join/2]).
-export([leave/2]).
-export([members/2]).
-export([monitor/2]).
-export([demonitor/1]).

-define(SCOPE, ecto_litefs).

%% The name of the pg scope, which ecto_litefs_sup starts.
-spec scope() -> atom().
scope() ->
    ?SCOPE.

%% The calling process becomes a member.
-spec join(module(), ecto_litefs_status:kind()) -> ok.
join(Repo, Kind) ->
    pg:join(?SCOPE, group(Repo, Kind), self()).

-spec leave(module(), ecto_litefs_status:kind()) -> ok | not_joined.
leave(Repo, Kind) ->
    pg:leave(?SCOPE, group(Repo, Kind), self()).

%% On all nodes that this one is connected to, itself included.
-spec members(module(), ecto_litefs_status:kind()) -> [pid()].
members(Repo, Kind) ->
    pg:get_members(?SCOPE, group(Repo, Kind)).

%% The members now, and {Ref, join | leave, Group, [pid()]} from now on.
-spec monitor(module(), ecto_litefs_status:kind()) -> {reference(), [pid()]}.
monitor(Repo, Kind) ->
    pg:monitor(?SCOPE, group(Repo, Kind)).

%% Messages that are in the mailbox already stay there.
-spec demonitor(reference()) -> ok | false.
demonitor(Ref) ->
    pg:demonitor(?SCOPE, Ref).

group(Repo, litefs) -> {primary, Repo};
group(Repo, plain) -> {local, Repo}.
