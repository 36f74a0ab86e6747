%% Waiting for a condition, with a deadline and a reason. Tests never wait for
%% a time.
-module(ecto_litefs_test_wait).

-export([until/2]).
-export([until/3]).
-export([threads/0]).
-export([descriptors/0]).

-define(DEADLINE_MS, 5_000).
-define(STEP_MS, 5).

%% Calls Fun until it gives Wanted; fails with what it gave last.
-spec until(term(), fun(() -> term())) -> ok.
until(Wanted, Fun) ->
    until(Wanted, Fun, ?DEADLINE_MS).

-spec until(term(), fun(() -> term()), non_neg_integer()) -> ok.
until(Wanted, Fun, Timeout) ->
    poll(Wanted, Fun, now_ms() + Timeout).

poll(Wanted, Fun, Deadline) ->
    case {Fun(), now_ms() >= Deadline} of
        {Wanted, _Late} ->
            ok;
        {Got, true} ->
            error({never, [{wanted, Wanted}, {got, Got}]});
        {_Got, false} ->
            timer:sleep(?STEP_MS),
            poll(Wanted, Fun, Deadline)
    end.

now_ms() ->
    erlang:monotonic_time(millisecond).

%% Of this VM.
-spec threads() -> non_neg_integer().
threads() ->
    count("/proc/self/task").

-spec descriptors() -> non_neg_integer().
descriptors() ->
    count("/proc/self/fd").

count(Directory) ->
    {ok, Names} = file:list_dir(Directory),
    length(Names).
