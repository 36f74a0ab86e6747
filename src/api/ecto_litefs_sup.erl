%% What all Repos of this VM share: the pg scope of the claims, the ledger's
%% keeper, and the tables of all modules that have one, which live as long as this
%% supervisor.
-module(ecto_litefs_sup).

-behaviour(supervisor).

-export([start_link/0]).
-export([init/1]).

%% To give up would end forwarding, and the tables with it, for good.
-define(INTENSITY, 100).
-define(PERIOD_S, 10).

-spec start_link() -> supervisor:startlink_ret().
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    ok = ecto_litefs_breaker:new(),
    ok = ecto_litefs_manual:new(),
    ok = ecto_litefs_incarnation:new(),
    ok = ecto_litefs_ledger:new(),
    ok = ecto_litefs_acks:new(),
    ok = ecto_litefs_tracking:new(),
    ok = ecto_litefs_tracking_lock:new(),
    ok = ecto_litefs_in_flight:new(),
    ok = ecto_litefs_last_error:new(),
    ok = ecto_litefs_tracked:new(),
    ok = ecto_litefs_await:new(),
    Claims = #{id => claims,
               start => {pg, start_link, [ecto_litefs_claim:scope()]}},
    Keeper = #{id => ledger_keeper,
               start => {ecto_litefs_ledger_keeper, start_link, []}},
    {ok, {#{strategy => one_for_one,
            intensity => ?INTENSITY, period => ?PERIOD_S},
          [Claims, Keeper]}}.
