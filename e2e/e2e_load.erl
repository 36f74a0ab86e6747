%% Writers on all three nodes while LiteFS is promoted from one to the next, or
%% the primary's LiteFS ends, and afterwards the account: is everything in the
%% database that a call was told is done, and nothing that it was told has not
%% been executed? (Of transactions: e2e_pairs.)
%%
%% A LiteFS that ends under a database in WAL mode may take the VM with it: SQLite
%% has memory mapped from the mount, and the kernel answers a touch of it with
%% SIGBUS. Nothing in the VM can prevent that, so it is started again, as a service
%% manager would; what its calls were told before counts.
-module(e2e_load).

-include_lib("stdlib/include/assert.hrl").

-export([promotions/2]).
-export([run/3]).
-export([settle/2]).

-export_type([fault/0]).
-export_type([written/0]).
-export_type([ended/0]).

%% promote: the next in turn. stop, kill: the primary's LiteFS, by SIGTERM or
%% SIGKILL, so that another one is elected.
-type fault() :: promote | stop | kill.
-type written() :: {litefs_cluster:name(), binary(), e2e_node:timed() | vm_ended}.
%% What was started again, and its exit status.
-type ended() :: {litefs | vm, litefs_cluster:name(), non_neg_integer()}.

-define(WRITERS, 2). % a node
-define(BY_SIGBUS, 135). % 128 + 7
%% About one LiteFS in a hundred takes its VM along. Three in one case have another
%% reason.
-define(MOST_VMS, 2).

-spec promotions(e2e_cluster:cluster(), pos_integer()) -> ok.
promotions(Cluster, Count) ->
    Faults = lists:duplicate(Count, promote),
    {Written, _Deaths, Rows} = run(Cluster, insert, Faults),
    account(Written, Rows).

%% What each call of this function of e2e_node was told, when a LiteFS was made
%% to end, and the rows afterwards.
-spec run(e2e_cluster:cluster(), atom(), [fault()]) ->
          {[written()], Deaths :: [integer()], #{binary() => term()}}.
run(Cluster, Function, Faults) ->
    Stop = atomics:new(1, []),
    Writers = [start_writer(Cluster, Name, N, Function, Stop)
               || Name <- litefs_cluster:names(), N <- lists:seq(1, ?WRITERS)],
    {Deaths, Ended} = lists:unzip([fault(Cluster, Fault) || Fault <- Faults]),
    ok = atomics:put(Stop, 1, 1),
    Written = lists:append([e2e_cluster:await(Writer, 60000)
                            || Writer <- Writers]),
    tell(Faults, lists:append(Ended)),
    {Written, lists:append(Deaths), final_rows(Cluster)}.

%% A VM that ended is also said on the terminal, where rebar3 shows nothing of
%% ct:pal/2.
tell(Faults, Ended) ->
    ct:pal("~w, ended: ~w", [Faults, Ended]),
    Vms = [Vm || {vm, _Name, _Status} = Vm <- Ended],
    _ = [ok = io:format(user, "~n~b of ~b LiteFS that ended took the VM along "
                        "(SIGBUS)~n",
                        [length(Vms), length(Ended) - length(Vms)])
         || Vms =/= []],
    ?assert(length(Vms) =< ?MOST_VMS).

start_writer(Cluster, Name, N, Function, Stop) ->
    Prefix = lists:concat([Name, N]),
    Write = fun(Row) -> write(Cluster, Name, Function, Row) end,
    e2e_cluster:in_background(fun() ->
        [{Name, Row, Outcome}
         || {Row, Outcome} <- write_until(Stop, Write, Prefix, 1, [])]
    end).

write_until(Stop, Write, Prefix, N, Written) ->
    Row = iolist_to_binary(io_lib:format("~s ~b", [Prefix, N])),
    Now = [{Row, Write(Row)} | Written],
    case atomics:get(Stop, 1) of
        1 -> lists:reverse(Now);
        0 -> write_until(Stop, Write, Prefix, N + 1, Now)
    end.

%% The loop is here and not on the peer: its account must outlive the VM.
write(Cluster, Name, Function, Row) ->
    Timed = {timed, [e2e_node, Function, [Row]]},
    try
        e2e_cluster:call(Cluster, Name, e2e_node, Timed, infinity)
    catch
        exit:{_Reason, {gen_server, call, _}} ->
            e2e_wait:until("the VM is back with its Repo", 20000, fun() ->
                lists:member(role(Cluster, Name), [primary, replica])
            end),
            vm_ended
    end.

%% What ended on the way is started again.
fault(Cluster, Fault) ->
    Old = litefs_cluster:await_primary(e2e_cluster:litefs(Cluster)),
    Deaths = cause(Fault, Cluster, Old),
    Ended = settle(Cluster, Old),
    await_more_rows(Cluster),
    {Deaths, Ended}.

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
%% LiteFS exit a moment after they were told to hand over: what ends meanwhile
%% is started again, and is the result.
-spec settle(e2e_cluster:cluster(), litefs_cluster:name()) -> [ended()].
settle(Cluster, Old) ->
    LiteFS = e2e_cluster:litefs(Cluster),
    New = litefs_cluster:await_primary(
            LiteFS, lists:delete(Old, litefs_cluster:names())),
    Roles = [{Name, case Name of New -> primary; _ -> replica end}
             || Name <- litefs_cluster:names()],
    Ended = follow(Cluster, Roles, e2e_wait:us() + 20000000, []),
    ok = litefs_cluster:await_replicas(LiteFS, New),
    Ended.

follow(Cluster, Roles, Deadline, Ended) ->
    Now = Ended ++ lists:append([revive(Cluster, Name) || {Name, _} <- Roles]),
    case [{Name, role(Cluster, Name)} || {Name, _Role} <- Roles] of
        Roles ->
            Now;
        Seen ->
            e2e_wait:us() < Deadline orelse error({not_settled, Seen}),
            timer:sleep(5),
            follow(Cluster, Roles, Deadline, Now)
    end.

%% Its VM may end at any moment.
role(Cluster, Name) ->
    try
        e2e_cluster:role(Cluster, Name)
    catch
        exit:{_Reason, {gen_server, call, _}} -> no_vm
    end.

revive(Cluster, Name) ->
    revive_litefs(Cluster, Name) ++ revive_vm(Cluster, Name).

%% Not before the library has told the Repo's pool to let go of the dead mount:
%% a LiteFS that starts over it would make the touch of its memory likelier.
revive_litefs(Cluster, Name) ->
    Node = e2e_cluster:litefs(Cluster, Name),
    case litefs_node:running(Node) of
        true ->
            [];
        false ->
            true = e2e_wait:until("the pool was told to let go", fun() ->
                lists:member(role(Cluster, Name), [unknown, no_vm])
            end),
            ok = litefs_node:unmount(Node),
            ok = litefs_node:start(Node),
            [{litefs, Name, litefs_node:last_exit(Node)}]
    end.

revive_vm(Cluster, Name) ->
    case e2e_cluster:exit_status(Cluster, Name) of
        running ->
            [];
        ?BY_SIGBUS ->
            ok = e2e_cluster:restart_beam(Cluster, Name),
            [{vm, Name, ?BY_SIGBUS}];
        Status ->
            error({vm_ended, Name, Status})
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
kind(_Name, vm_ended) -> unknown;
kind(_Name, Other) -> {other, Other}.
