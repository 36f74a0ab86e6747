%% Waiting for a condition, with a deadline and a reason.
-module(e2e_wait).

-export([until/2]).
-export([until/3]).
-export([stopped/1]).
-export([us/0]).

%% Ten seconds are far more than anything takes that works.
-spec until(string(), fun(() -> boolean() | {ok, Result})) -> Result | true.
until(What, Condition) ->
    until(What, 10000, Condition).

-spec until(string(), non_neg_integer(),
            fun(() -> boolean() | {ok, Result})) -> Result | true.
until(What, TimeoutMs, Condition) ->
    wait(What, us() + TimeoutMs * 1000, TimeoutMs, Condition).

wait(What, Deadline, TimeoutMs, Condition) ->
    case Condition() of
        true -> true;
        {ok, Result} -> Result;
        Seen ->
            us() < Deadline orelse
                error({not_within_ms, TimeoutMs, What, {seen, Seen}}),
            timer:sleep(5),
            wait(What, Deadline, TimeoutMs, Condition)
    end.

%% SIGSTOP takes its time: until the operating-system process has stopped.
-spec stopped(string()) -> ok.
stopped(OsPid) ->
    true = until("the process has stopped", fun() ->
        {ok, Stat} = file:read_file("/proc/" ++ OsPid ++ "/stat"),
        match =:= re:run(Stat, "^.*\\) T ", [{capture, none}])
    end),
    ok.

%% Microseconds on a clock that all processes of this machine share.
-spec us() -> integer().
us() ->
    os:perf_counter(microsecond).
