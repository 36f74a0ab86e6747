%% What `make demo` shows: three nodes, a forwarded write, a failover.
%%
%% This node only tells the story: it starts LiteFS (or the simulator) and
%% three BEAM nodes, and asks them to do what an application would do.
-module(demo).

-export([main/0]).

-define(NAMES, [a, b, c]).

-spec main() -> no_return().
main() ->
    Status = try
                 story(),
                 0
             catch
                 Class:Reason:Stack ->
                     say("~nThe demo failed: ~p~n~p~n~s",
                         [{Class, Reason}, Stack, logs()]),
                     1
             end,
    halt(Status).

story() ->
    Litefs = backend(),
    title("Three nodes start"),
    Sim = waiting("LiteFS on a, b and c",
                  fun() -> Litefs:start(directory(), ?NAMES) end),
    Nodes = waiting("an Erlang VM on each, with Repo and EctoLiteFS.Supervisor",
                    fun() -> start_nodes(Litefs, Sim) end),
    Primary = waiting("who is the primary?", fun() -> primary(Nodes) end),
    ok = ecto_litefs_test_node:create_table(maps:get(Primary, Nodes)),
    show_roles(Nodes),
    [Writer, Other] = ?NAMES -- [Primary],
    title("~s, a replica, writes: Repo.insert(~p)", [Writer, "ann"]),
    show_write(Nodes, write(Writer, Nodes, <<"ann">>)),
    show_rows(Nodes),
    {Nodes1, Write} = failover(Litefs, Sim, Primary, Other, Nodes),
    show_write(Nodes1, Write),
    show_roles(Nodes1),
    show_rows(Nodes1),
    rejoin(Litefs, Sim, Primary, Nodes1),
    waiting("~nCleaning up", fun() -> Litefs:destroy(Sim) end).

%% The write begins at the moment in which the primary goes away.
failover(Litefs, Sim, Primary, Other, Nodes) ->
    title("~s, the primary, is stopped; at that moment ~s writes: "
          "Repo.insert(~p)", [Primary, Other, "bob"]),
    {Node, Rest} = maps:take(Primary, Nodes),
    ecto_litefs_test_node:stop(Node),
    {_, Writer} = spawn_monitor(
                    fun() -> exit({written, write(Other, Nodes, <<"bob">>)}) end),
    Write = waiting("the write waits for a primary",
                    fun() ->
                            Litefs:stop(Sim, Primary),
                            await(Writer)
                    end),
    {Rest, Write}.

await(Writer) ->
    receive
        {'DOWN', Writer, process, _, {written, Write}} -> Write;
        {'DOWN', Writer, process, _, Reason} -> error({write_failed, Reason})
    end.

rejoin(Litefs, Sim, Name, Nodes) ->
    title("~s comes back, and writes as well: Repo.insert(~p)", [Name, "cid"]),
    Nodes1 = waiting("LiteFS and the VM start",
                     fun() ->
                             Litefs:start_node(Sim, Name),
                             start_node(Litefs, Sim, Name, Nodes)
                     end),
    show_write(Nodes1, write(Name, Nodes1, <<"cid">>)),
    show_roles(Nodes1),
    show_rows(Nodes1),
    [ecto_litefs_test_node:stop(Node) || Node <- maps:values(Nodes1)].

backend() ->
    case os:getenv("DEMO_WITHOUT_LITEFS", "") of
        "" ->
            say("~nOn real LiteFS: three mounts on this machine.~n"),
            demo_litefs;
        Reason ->
            say("~nOn the embedded simulator, not on real LiteFS: ~ts.~n",
                [Reason]),
            demo_simulated
    end.

start_nodes(Litefs, Sim) ->
    lists:foldl(fun(Name, Nodes) -> start_node(Litefs, Sim, Name, Nodes) end,
                #{}, ?NAMES).

start_node(Litefs, Sim, Name, Nodes) ->
    Node = ecto_litefs_test_node:start(Name, directory(),
                                       Litefs:options(Sim, Name)),
    Nodes1 = Nodes#{Name => Node},
    ok = ecto_litefs_test_node:connect(maps:values(Nodes1)),
    Nodes1.

primary(Nodes) ->
    e2e_wait:until("one node is primary and the others know", fun() ->
        Roles = [{ecto_litefs_test_node:role(Node), Name} || {Name, Node} <- maps:to_list(Nodes)],
        case lists:keytake(primary, 1, Roles) of
            {value, {primary, Name}, Others} ->
                lists:all(fun({Role, _}) -> Role =:= replica end, Others)
                    andalso {ok, Name};
            false ->
                false
        end
    end).

%% {where it ran, milliseconds, the writer}
write(Writer, Nodes, Text) ->
    Start = e2e_wait:us(),
    {RanOn, {ok, #{name := Text}}} =
        ecto_litefs_test_node:insert(maps:get(Writer, Nodes), Text),
    {RanOn, (e2e_wait:us() - Start) / 1000, Writer}.

%%% What a person reads

show_write(Nodes, {RanOn, Ms, Writer}) ->
    [Name] = [N || {N, Node} <- maps:to_list(Nodes),
                   ecto_litefs_test_node:name(Node) =:= RanOn],
    say("   called on ~s, ran on ~s, done after ~s~n",
        [Writer, Name, milliseconds(Ms)]).

show_roles(Nodes) ->
    primary(Nodes),
    [say("   ~s  ~s~n", [Name, ecto_litefs_test_node:role(Node)])
     || {Name, Node} <- lists:sort(maps:to_list(Nodes))].

%% Every node must show the same rows, soon.
show_rows(Nodes) ->
    Rows = e2e_wait:until("all nodes have the same rows", fun() ->
        case lists:usort([ecto_litefs_test_node:rows(N) || N <- maps:values(Nodes)]) of
            [Same] -> {ok, Same};
            Different -> {different, Different}
        end
    end),
    [say("   ~s  has ~ts~n", [Name, lists:join(", ", Rows)])
     || Name <- lists:sort(maps:keys(Nodes))].

title(Text) -> title(Text, []).
title(Format, Args) -> say("~n" ++ Format ++ "~n", Args).

%% A dot every quarter of a second while Fun runs.
waiting(What, Fun) ->
    say("   " ++ What ++ " "),
    Dots = spawn_link(fun dots/0),
    Start = e2e_wait:us(),
    Result = Fun(),
    unlink(Dots),
    exit(Dots, kill),
    say(" ~s~n", [milliseconds((e2e_wait:us() - Start) / 1000)]),
    Result.

dots() ->
    say("."),
    receive after 250 -> dots() end.

milliseconds(Ms) when Ms < 10 -> io_lib:format("~.1f ms", [Ms]);
milliseconds(Ms) -> io_lib:format("~b ms", [round(Ms)]).

say(Text) -> say(Text, []).
say(Format, Args) -> io:format(Format, Args).

directory() ->
    os:getenv("DEMO_DIRECTORY").

%% The end of every log.
logs() ->
    [[filename:basename(File), ":\n", last_lines(Text, 15), "\n"]
     || File <- filelib:wildcard(filename:join(directory(), "*.log")),
        {ok, Text} <- [file:read_file(File)]].

last_lines(Text, Count) ->
    Lines = string:split(Text, "\n", all),
    lists:join("\n", lists:nthtail(max(0, length(Lines) - Count), Lines)).
