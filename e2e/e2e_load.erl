%% Writers on all three nodes while LiteFS is promoted from one to the next, or
%% the primary's LiteFS ends, and afterwards the account: is everything in the
%% database that a call was told is done, and nothing that it was told has not
%% been executed? (Of transactions: e2e_pairs.)
-module(e2e_load).

-include_lib("stdlib/include/assert.hrl").

-export([promotions/3]).
-export([run/4]).
-export([settle/2]).

-export_type([fault/0]).
-export_type([written/0]).

%% promote: the next in turn. stop, kill: the primary's LiteFS, by SIGTERM or
%% SIGKILL, so that another one is elected.
-type fault() :: promote | stop | kill.
-type written() :: {litefs_cluster:name(), binary(), e2e_node:timed()}.

-define(WRITERS, 2). % a node

-spec promotions(e2e_cluster:cluster(), pos_integer(), file:filename()) -> ok.
promotions(Cluster, Count, StopFile) ->
    Faults = lists:duplicate(Count, promote),
    {Written, _Deaths, Rows} = run(Cluster, insert, Faults, StopFile),
    account(Written, Rows).

%% What each call of this function of e2e_node was told, when a LiteFS was made
%% to end, and the rows afterwards.
-spec run(e2e_cluster:cluster(), atom(), [fault()], file:filename()) ->
          {[written()], Deaths :: [integer()], #{binary() => term()}}.
run(Cluster, Function, Faults, StopFile) ->
    Writers = [start_writer(Cluster, Name, N, Function, StopFile)
               || Name <- litefs_cluster:names(), N <- lists:seq(1, ?WRITERS)],
    {Deaths, Exits} = lists:unzip([fault(Cluster, Fault) || Fault <- Faults]),
    ok = file:write_file(StopFile, <<>>),
    Written = lists:append([e2e_cluster:await(Writer, 60000)
                            || Writer <- Writers]),
    ct:pal("~w, LiteFS exited with ~w", [Faults, lists:append(Exits)]),
    {Written, lists:append(Deaths), final_rows(Cluster)}.

start_writer(Cluster, Name, N, Function, StopFile) ->
    Prefix = lists:concat([Name, N]),
    e2e_cluster:in_background(fun() ->
        Rows = e2e_cluster:call(Cluster, Name, e2e_node,
                                {write_until, [StopFile, Prefix, Function]},
                                infinity),
        [{Name, Row, Outcome} || {Row, Outcome} <- Rows]
    end).

%% What exited on the way is started again.
fault(Cluster, Fault) ->
    Old = litefs_cluster:await_primary(e2e_cluster:litefs(Cluster)),
    Deaths = cause(Fault, Cluster, Old),
    Exits = settle(Cluster, Old),
    await_more_rows(Cluster),
    {Deaths, Exits}.

cause(promote, Cluster, Old) ->
    ok = litefs_cluster:hand_over(e2e_cluster:litefs(Cluster), next(Old)),
    [];
cause(End, Cluster, Old) ->
    At = e2e_wait:us(),
    _Status = litefs_node:End(e2e_cluster:litefs(Cluster, Old)),
    [At].

%% So that each fault comes while there is work.
await_more_rows(Cluster) ->
    Name = litefs_cluster:await_primary(e2e_cluster:litefs(Cluster)),
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
    case [{Name, e2e_cluster:role(Cluster, Name)} || {Name, _Role} <- Roles] of
        Roles ->
            Exits ++ New;
        Seen ->
            e2e_wait:us() < Deadline orelse error({not_settled, Seen}),
            timer:sleep(5),
            follow(Cluster, Roles, Deadline, Exits ++ New)
    end.

%% Not before the library has told the Repo's pool to let go: SQLite has memory
%% mapped from this mount, and to touch it without a LiteFS ends the VM.
revive(Cluster, Name) ->
    Node = e2e_cluster:litefs(Cluster, Name),
    case litefs_node:running(Node) of
        true ->
            [];
        false ->
            ok = e2e_cluster:await_role(Cluster, Name, unknown),
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
