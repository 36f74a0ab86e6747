%% Sweeps the ledger and what is in flight, sends the acknowledgements that no call
%% has taken along, and takes those of other nodes. Nothing is lost with it: the ledger's table is not its own.
-module(ecto_litefs_ledger_keeper).

-behaviour(gen_server).

-export([start_link/0]).

-export([init/1]).
-export([handle_call/3]).
-export([handle_cast/2]).
-export([handle_info/2]).

-define(SWEEP_MS, 15_000). % seldom, because it wakes an idle machine

-spec start_link() -> {ok, pid()} | {error, term()} | ignore.
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

-spec init([]) -> {ok, no_state}.
init([]) ->
    next_sweep(),
    {ok, no_state}.

-spec handle_call(term(), {pid(), term()}, no_state) ->
          {reply, {error, unknown_call}, no_state}.
handle_call(_Unknown, _From, State) ->
    {reply, {error, unknown_call}, State}.

-spec handle_cast(term(), no_state) -> {noreply, no_state}.
handle_cast(_Unknown, State) ->
    {noreply, State}.

-spec handle_info(term(), no_state) -> {noreply, no_state}.
handle_info({ack, Ids}, State) when is_list(Ids) ->
    ok = lists:foreach(fun ecto_litefs_ledger:ack/1, Ids),
    {noreply, State};
handle_info(sweep, State) ->
    ok = ecto_litefs_ledger:sweep(erlang:monotonic_time(millisecond)),
    ok = ecto_litefs_in_flight:sweep(),
    ok = ecto_litefs_acks:flush(),
    next_sweep(),
    {noreply, State};
handle_info(_Unknown, State) ->
    {noreply, State}.

next_sweep() ->
    _ = erlang:send_after(?SWEEP_MS, self(), sweep),
    ok.
