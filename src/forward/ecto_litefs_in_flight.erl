%% Which processes of this node wait for a forwarded call, for
%% EctoLiteFS.status/1. A process that is killed cannot take itself away, so the
%% dead are not counted, and swept away now and then.
-module(ecto_litefs_in_flight).

-export([new/0]).
-export([during/2]).
-export([count/1]).
-export([sweep/0]).

-define(TABLE, ?MODULE).

%% The table belongs to the calling process, which is ecto_litefs_sup.
-spec new() -> ok.
new() ->
    ?TABLE = ets:new(?TABLE, [named_table, public, {write_concurrency, true}]),
    ok.

%% The calling process counts while Fun runs. Without the table (the application
%% was stopped) nobody does.
-spec during(module(), fun(() -> Result)) -> Result.
during(Repo, Fun) ->
    Key = {Repo, self()},
    _ = with_table(false, fun() -> ets:insert(?TABLE, {Key}) end),
    try Fun()
    after
        _ = with_table(false, fun() -> ets:delete(?TABLE, Key) end)
    end.

-spec count(module()) -> non_neg_integer().
count(Repo) ->
    length([Pid || Pid <- with_table([], fun() -> pids(Repo) end),
                   is_process_alive(Pid)]).

pids(Repo) ->
    ets:select(?TABLE, [{{{Repo, '$1'}}, [], ['$1']}]).

%% ecto_litefs_ledger_keeper calls it.
-spec sweep() -> ok.
sweep() ->
    with_table(ok, fun() ->
                           lists:foreach(fun sweep/1, ets:tab2list(?TABLE))
                   end).

sweep({{_Repo, Pid} = Key}) ->
    is_process_alive(Pid) orelse ets:delete(?TABLE, Key).

with_table(Default, Fun) ->
    try Fun()
    catch
        error:badarg -> Default
    end.
