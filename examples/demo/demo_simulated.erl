%% The demo's cluster on the simulator, with LiteFS's own default delays.
-module(demo_simulated).

-export([start/2]).
-export([options/2]).
-export([stop/2]).
-export([start_node/2]).
-export([destroy/1]).

-spec start(file:filename(), [atom(), ...]) -> pid().
start(Directory, Names) ->
    {ok, Sim} = litefs_simulator:start(
                  #{directory => Directory,
                    nodes => [atom_to_binary(Name) || Name <- Names],
                    election_delay => 1000, reconnect_delay => 1000}),
    Sim.

-spec options(pid(), atom()) -> #{atom() => term()}.
options(Sim, Name) ->
    (litefs_simulator:node(Sim, atom_to_binary(Name)))#{mount => plain}.

-spec stop(pid(), atom()) -> ok.
stop(Sim, Name) ->
    litefs_simulator:stop_node(Sim, atom_to_binary(Name)).

-spec start_node(pid(), atom()) -> ok.
start_node(Sim, Name) ->
    litefs_simulator:start_node(Sim, atom_to_binary(Name)).

-spec destroy(pid()) -> ok.
destroy(Sim) ->
    litefs_simulator:stop(Sim).
