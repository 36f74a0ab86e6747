%% "I may run this Repo's writes": the claims of all connected nodes, kept in
%% pg. A claim is a hint that says where to ask; it is no proof.
%%
%% LiteFS nodes and plain directories have groups of their own, so that one
%% never finds the other. Members are the Repos' detectors.
%%
%% Without pg (it was killed, ecto_litefs_sup starts it again) nobody claims
%% anything, and nobody who calls a function here comes to harm.
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

%% The calling process becomes a member, once. Without pg it has to see for
%% itself when there is one again.
-spec join(module(), ecto_litefs_status:kind()) -> ok.
join(Repo, Kind) ->
    Group = group(Repo, Kind),
    case lists:member(self(), pg:get_local_members(?SCOPE, Group)) of
        true -> ok;
        false -> without_pg(ok, fun() -> pg:join(?SCOPE, Group, self()) end)
    end.

-spec leave(module(), ecto_litefs_status:kind()) -> ok | not_joined.
leave(Repo, Kind) ->
    Group = group(Repo, Kind),
    without_pg(not_joined, fun() -> pg:leave(?SCOPE, Group, self()) end).

%% On all nodes that this one is connected to, itself included.
-spec members(module(), ecto_litefs_status:kind()) -> [pid()].
members(Repo, Kind) ->
    pg:get_members(?SCOPE, group(Repo, Kind)).

%% The members now, and {Ref, join | leave, Group, [pid()]} from now on, as
%% long as this pg lives: whoever waits for news looks by himself, too.
-spec monitor(module(), ecto_litefs_status:kind()) -> {reference(), [pid()]}.
monitor(Repo, Kind) ->
    Group = group(Repo, Kind),
    without_pg({make_ref(), []}, fun() -> pg:monitor(?SCOPE, Group) end).

%% Messages that are in the mailbox already stay there.
-spec demonitor(reference()) -> ok | false.
demonitor(Ref) ->
    without_pg(false, fun() -> pg:demonitor(?SCOPE, Ref) end).

%% pg may die before the call or within it.
without_pg(Default, Call) ->
    try Call()
    catch
        exit:{_Reason, {gen_server, call, [?SCOPE | _]}} -> Default
    end.

group(Repo, litefs) -> {primary, Repo};
group(Repo, plain) -> {local, Repo}.
