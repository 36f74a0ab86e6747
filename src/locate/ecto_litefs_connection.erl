%% Connections between nodes: made within a limit, and what epmd knows of a node
%% that cannot be connected to.
-module(ecto_litefs_connection).

-export([connect/2]).
-export(['gone?'/2]).

%% net_kernel can block for seconds, so it does so in a process of its own.
-spec connect(node(), timeout()) -> ok | {error, noconnection}.
connect(Node, _Timeout) when Node =:= node() ->
    ok;
connect(Node, Timeout) ->
    case lists:member(Node, nodes(connected)) of
        true -> ok;
        false -> connect_within(Node, Timeout)
    end.

connect_within(Node, Timeout) ->
    within(Timeout, fun() -> connected(net_kernel:connect_node(Node)) end,
           {error, noconnection}).

connected(true) -> ok;
connected(_FalseOrIgnored) -> {error, noconnection}.

%% Whether the VM has certainly ended: its host's epmd answers, and knows no
%% such node. Wherever that cannot be asked the answer is false.
-spec 'gone?'(node(), Ms :: non_neg_integer()) -> boolean().
'gone?'(Node, Ms) ->
    case string:split(atom_to_list(Node), "@") of
        [Name, Host] ->
            within(Ms, fun() -> missing(Name, names(Host)) end, false);
        [_NoHost] ->
            false
    end.

names(Host) ->
    Epmd = net_kernel:epmd_module(),
    _ = code:ensure_loaded(Epmd),
    case erlang:function_exported(Epmd, names, 1) of
        true -> Epmd:names(Host);
        false -> {error, not_supported}
    end.

missing(Name, {ok, Registered}) -> not lists:keymember(Name, 1, Registered);
missing(_Name, {error, _Reason}) -> false.

%% What Fun gives, or Otherwise when it takes longer or fails.
within(Timeout, Fun, Otherwise) ->
    {Pid, Monitor} = spawn_monitor(fun() -> exit({?MODULE, Fun()}) end),
    receive
        {'DOWN', Monitor, process, Pid, {?MODULE, Value}} -> Value;
        {'DOWN', Monitor, process, Pid, _Reason} -> Otherwise
    after Timeout ->
            demonitor(Monitor, [flush]),
            Otherwise
    end.
