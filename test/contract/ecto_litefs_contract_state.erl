%% The states of the caller, `Where` in the table: what a Repo and its
%% supervisor are started with, and who is said to be the primary.
-module(ecto_litefs_contract_state).

-export([state/1]).
-export(['line?'/1]).
-export(['read_only?'/1]).
-export([options/1]).
-export([said/2]).

-type where() :: {in_transaction, where()} | {line, state()} | state().
-type state() :: atom().

-define(API, 'Elixir.EctoLiteFS').
-define(NOBODY, 'nobody@127.0.0.1').

-spec state(where()) -> state().
state({in_transaction, Where}) -> state(Where);
state({line, State}) -> State;
state(State) -> State.

%% Whether the Repo has the line `use EctoLiteFS.Repo`.
-spec 'line?'(where()) -> boolean().
'line?'({in_transaction, Where}) -> 'line?'(Where);
'line?'({line, _State}) -> true;
'line?'(_State) -> false.

%% Whether the caller's database refuses what is written to it, as LiteFS does
%% on a replica.
-spec 'read_only?'(state()) -> boolean().
'read_only?'(State) ->
    not lists:member(State, [primary, no_litefs, no_supervisor]).

%% Of the supervisor, on both nodes. With an event stream that nobody serves, a
%% call waits for a primary, and is made again.
-spec options(state()) -> [{atom(), term()}].
options(slow) ->
    [{erpc_timeout, 300} | options(replica)];
options(narrow) ->
    [{max_forward_bytes, 16} | options(replica)];
options(lost_for_good) ->
    [{erpc_timeout, 300} | options(lost)];
options(Lost) when Lost =:= lost; Lost =:= lost_before_sending;
                   Lost =:= lost_after_sending; Lost =:= lost_before_reply ->
    [{mount, plain}, {event_stream_url, <<"http://127.0.0.1:1/events">>},
     {primary_wait, 10_000}];
options(_State) ->
    [{event_stream_url, nil}, {primary_wait, 0}].

%% By hand, as on plain directories.
-spec said(state(), ecto_litefs_contract_world:t()) -> ok.
said(primary, World) ->
    say(caller, set_primary, [name(caller, World)], World);
said(no_litefs, _World) ->
    ok;
said(no_supervisor, _World) ->
    ok;
said(no_primary, World) ->
    ok = say(primary, set_replica, [], World),
    say(caller, set_replica, [], World);
said(unreachable, World) ->
    say(caller, set_primary, [?NOBODY], World);
said(_Replica, World) ->
    ok = say(primary, set_primary, [name(primary, World)], World),
    say(caller, set_primary, [name(primary, World)], World).

say(Role, Function, Args, #{repo := Repo} = World) ->
    ecto_litefs_contract_world:on(Role, ?API, Function, [Repo | Args], World).

name(Role, World) ->
    ecto_litefs_contract_world:name(Role, World).
