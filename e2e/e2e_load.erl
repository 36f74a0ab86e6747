%% Writers on all three nodes while LiteFS is promoted from one to the next,
%% and afterwards the account: is everything in the database that a call was
%% told is done, and nothing that it was told has not been executed?
-module(e2e_load).

-include_lib("stdlib/include/assert.hrl").

-export([promotions/3]).
-export([settle/2]).

-define(REPO, 'Elixir.TestRepo').
-define(WRITERS, 2). % a node

-spec promotions(e2e_cluster:cluster(), pos_integer(), file:filename()) -> ok.
promotions(Cluster, Count, StopFile) ->
    Writers = [start_writer(Cluster, Name, N, StopFile)
               || Name <- litefs_cluster:names(), N <- lists:seq(1, ?WRITERS)],
    Exits = lists:append([promotion(Cluster) || _ <- lists:seq(1, Count)]),
    ok = file:write_file(StopFile, <<>>),
    Written = lists:append([e2e_cluster:await(Writer, 60000)
                            || Writer <- Writers]),
    ct:pal("~b promotions, LiteFS exited with ~w", [Count, Exits]),
    account(Written, final_rows(Cluster)).

start_writer(Cluster, Name, N, StopFile) ->
    Prefix = lists:concat([Name, N]),
    e2e_cluster:in_background(fun() ->
        Rows = e2e_cluster:call(Cluster, Name, e2e_node,
                                {write_until, [StopFile, Prefix]}, infinity),
        [{Name, Row, Outcome} || {Row, Outcome} <- Rows]
    end).

%% Next in turn; what exited on the way is started again.
promotion(Cluster) ->
    LiteFS = e2e_cluster:litefs(Cluster),
    Old = litefs_cluster:await_primary(LiteFS),
    New = next(Old),
    ok = litefs_cluster:hand_over(LiteFS, New),
    Exits = settle(Cluster, Old),
    await_more_rows(Cluster, New),
    Exits.

%% So that each promotion comes while there is work.
await_more_rows(Cluster, Name) ->
    Before = count(Cluster, Name),
    e2e_wait:until("the writers go on", 20000, fun() ->
        count(Cluster, Name) >= Before + 50
    end).

count(Cluster, Name) ->
    e2e_cluster:call(Cluster, Name, e2e_node, {count, []}).

next(a) -> b;
next(b) -> c;
next(c) -> a.

%% Until one node is primary that was not, and the other two follow it. Some
%% LiteFS exit a moment after they were told to hand over: what exits meanwhile
%% is started again, and with which status it ended is the result.
-spec settle(e2e_cluster:cluster(), litefs_cluster:name()) ->
          [litefs_node:exit_status()].
settle(Cluster, Old) ->
    LiteFS = e2e_cluster:litefs(Cluster),
    New = litefs_cluster:await_primary(
            LiteFS, lists:delete(Old, litefs_cluster:names())),
    Roles = [{Name, case Name of New -> primary; _ -> replica end}
             || Name <- litefs_cluster:names()],
    Exits = follow(Cluster, Roles, e2e_wait:us() + 20000000, []),
    ok = litefs_cluster:await_replicas(LiteFS, New),
    Exits.

follow(Cluster, Roles, Deadline, Exits) ->
    New = lists:append([revive(Cluster, Name) || {Name, _Role} <- Roles]),
    case [{Name, role(Cluster, Name)} || {Name, _Role} <- Roles] of
        Roles ->
            Exits ++ New;
        Seen ->
            e2e_wait:us() < Deadline orelse error({not_settled, Seen}),
            timer:sleep(5),
            follow(Cluster, Roles, Deadline, Exits ++ New)
    end.

role(Cluster, Name) ->
    e2e_cluster:call(Cluster, Name, ecto_litefs_status, {role, [?REPO]}).

revive(Cluster, Name) ->
    Node = e2e_cluster:litefs(Cluster, Name),
    case litefs_node:running(Node) of
        true ->
            [];
        false ->
            ok = litefs_node:unmount(Node),
            ok = litefs_node:start(Node),
            [litefs_node:last_exit(Node)]
    end.

%% The same on all three.
final_rows(Cluster) ->
    Primary = litefs_cluster:await_primary(e2e_cluster:litefs(Cluster)),
    Rows = e2e_cluster:rows(Cluster, Primary),
    _ = [e2e_wait:until("the replicas have the primary's rows", fun() ->
             e2e_cluster:rows(Cluster, Name) =:= Rows
         end) || Name <- litefs_cluster:names()],
    Rows.

account(Written, Final) ->
    Kinds = [{kind(Name, Outcome), Row, Outcome}
             || {Name, Row, Outcome} <- Written],
    Of = fun(Kind) -> [Row || {K, Row, _} <- Kinds, K =:= Kind] end,
    Lost = fun(Kind) -> [Row || Row <- Of(Kind),
                                not is_map_key(Row, Final)] end,
    ct:pal("forwarded ~b (lost ~p), local ~b (lost ~p), unknown ~b (~b of "
           "them in the database), not executed ~b, raised ~b",
           [length(Of(forwarded)), Lost(forwarded), length(Of(local)),
            Lost(local), length(Of(unknown)),
            length(Of(unknown)) - length(Lost(unknown)),
            length(Of(not_executed)), length(Of(raised))]),
    ?assertEqual([], [Other || Other = {{other, _}, _, _} <- Kinds]),
    ?assertEqual([], Lost(forwarded)),
    ?assertEqual(Of(not_executed), Lost(not_executed)),
    ?assert(length(Of(forwarded)) > 200),
    ok.

%% Where it ran shows in the row. A local write is as LiteFS answers it, also
%% with SQLite's exceptions.
kind(Name, {returned, {ok, #{value := Number}}, _, _}) ->
    case lists:nth(Number, litefs_cluster:names()) of
        Name -> local;
        _Other -> forwarded
    end;
kind(_Name, {returned, {error, {erpc, timeout, _}}, _, _}) -> unknown;
kind(_Name, {returned, {error, primary_unavailable}, _, _}) -> not_executed;
kind(_Name, {returned, {error, {erpc, noconnection, _}}, _, _}) ->
    not_executed;
kind(_Name, {raised, #{'__struct__' := Struct}, _, _})
  when Struct =:= 'Elixir.Exqlite.Error';
       Struct =:= 'Elixir.DBConnection.ConnectionError' ->
    raised;
kind(_Name, Other) -> {other, Other}.
