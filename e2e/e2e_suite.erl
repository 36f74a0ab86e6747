%% What the suites share: a cluster in their configuration, for one case or for
%% a group of them, and its logs where a case fails.
-module(e2e_suite).

-export([start/3]).
-export([stop/1]).
-export([begin_case/3]).
-export([end_case/2]).
-export([print_logs_of_failure/1]).
-export([cluster/1]).
-export([empty/1]).

-type config() :: [{atom(), term()}].

%% The logs are in a folder of this name.
-spec start(atom(), map(), config()) -> config().
start(Name, Options, Config) ->
    LogDir = filename:join(proplists:get_value(priv_dir, Config), Name),
    Cluster = e2e_cluster:start(Options#{log_dir => LogDir}),
    [{cluster, Cluster}, {log_dir, LogDir} | Config].

-spec stop(config()) -> ok.
stop(Config) ->
    e2e_cluster:destroy(cluster(Config)).

%% For init_per_testcase/2 of a suite in which some cases have a cluster on their
%% own, which Start makes, and the others that of their group.
-spec begin_case(OnItsOwn :: boolean(), Start :: fun(() -> config()), config()) ->
          config().
begin_case(true, Start, _Config) ->
    Start();
begin_case(false, _Start, Config) ->
    ok = empty(cluster(Config)),
    Config.

-spec end_case(OnItsOwn :: boolean(), config()) -> ok.
end_case(OnItsOwn, Config) ->
    _ = OnItsOwn andalso stop(Config),
    print_logs_of_failure(Config).

%% For end_per_testcase/2.
-spec print_logs_of_failure(config()) -> ok.
print_logs_of_failure(Config) ->
    case proplists:get_value(tc_status, Config) of
        ok -> ok;
        _Failed -> print_logs(proplists:get_value(log_dir, Config))
    end.

print_logs(LogDir) ->
    lists:foreach(fun(Log) ->
        {ok, Text} = file:read_file(Log),
        ct:pal("~ts:~n~ts", [filename:basename(Log), Text])
    end, filelib:wildcard(filename:join(LogDir, "*.log"))).

-spec cluster(config()) -> e2e_cluster:cluster().
cluster(Config) ->
    proplists:get_value(cluster, Config).

%% Begins a case on a cluster that others have used: no row is left on any node.
-spec empty(e2e_cluster:cluster()) -> ok.
empty(Cluster) ->
    Primary = litefs_cluster:await_primary(e2e_cluster:litefs(Cluster)),
    ok = e2e_cluster:await_role(Cluster, Primary, primary),
    {returned, {ok, _Result}} =
        e2e_cluster:repo(Cluster, Primary, query, ["DELETE FROM items"]),
    ok = e2e_database:await_position(Cluster),
    e2e_database:await_table(Cluster, #{}).
