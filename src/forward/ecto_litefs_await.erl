%% Waits until this node's own copy of a database has come as far as a position.
%% What is there already is seen in the calling process, from the status cell;
%% who has to wait asks the Repo's one process for that
%% (ecto_litefs_await_server).
-module(ecto_litefs_await).

-export([new/0]).
-export([child_spec/1]).
-export([await/3]).
-export([unavailable/2]).
-export([here/2]).
-export([waiters/1]).

-export_type([outcome/0]).

%% other_term: this node's database has another history than the position, or
%% has come into a newer term. unavailable: nobody here can tell, because there
%% is no LiteFS, or the tracking row cannot be read.
-type outcome() :: ok | {error, timeout | other_term | unavailable}.

-define(RETRY_MS, 20).
-define(LONGEST_MS, 16#7fffffff). % the longest time of a call, and some left

%% The table belongs to the calling process, which is ecto_litefs_sup.
-spec new() -> ok.
new() ->
    ecto_litefs_known_term:new().

-spec child_spec(ecto_litefs_config:t()) -> supervisor:child_spec().
child_spec(Config) ->
    ecto_litefs_await_server:child_spec(Config).

%% Within Ms milliseconds.
-spec await(module(), ecto_litefs_position:t(), non_neg_integer()) -> outcome().
await(Repo, Wanted, Ms) ->
    case reached(ecto_litefs_place:of_repo(Repo), Repo, Wanted) of
        true -> ok;
        false -> wait(Repo, Wanted, Ms);
        unavailable -> unavailable(Repo, Wanted)
    end.

%% A wait that is over before it begins: there is nothing to wait for, or nothing
%% to wait with.
-spec unavailable(module(), ecto_litefs_position:t() | none) -> outcome().
unavailable(Repo, Wanted) ->
    ended(ecto_litefs_telemetry:await_start(Repo, Wanted),
          {error, unavailable}).

%% How far this node's copy has come, with its term.
-spec here(module(), non_neg_integer()) ->
          {ok, ecto_litefs_position:t()} | {error, timeout | unavailable}.
here(Repo, Ms) ->
    case ecto_litefs_place:of_repo(Repo) of
        {_Handle, _Db} -> ask(Repo, here, deadline(Ms));
        none -> {error, unavailable}
    end.

%% How many processes wait for a position now.
-spec waiters(module()) -> non_neg_integer().
waiters(Repo) ->
    ecto_litefs_await_server:waiters(Repo).

%% The same number and the same checksum are the same content, whatever the
%% term. Of a later number it has to be known in which term this copy is.
reached(none, _Repo, _Wanted) ->
    unavailable;
reached({Handle, Db}, Repo, {Term, TxId, Checksum}) ->
    case ecto_litefs_nif:position(Handle, Db) of
        {{TxId, Checksum}, _Era} -> true;
        {{Later, _}, Era} when Later > TxId ->
            ecto_litefs_known_term:get(Repo) =:= {{Handle, Era}, Term};
        _Otherwise -> false
    end.

wait(Repo, Wanted, Ms) ->
    Span = ecto_litefs_telemetry:await_start(Repo, Wanted),
    ended(Span, ask(Repo, {await, Wanted}, deadline(Ms))).

ended(Span, Outcome) ->
    ok = ecto_litefs_telemetry:await_stop(Span, result(Outcome)),
    Outcome.

result(ok) -> ok;
result({error, Reason}) -> Reason.

%% A process that died in the middle of it is started again, and asked again.
ask(Repo, Request, Deadline) ->
    try ecto_litefs_await_server:ask(Repo, Request, Deadline)
    catch
        exit:{_Reason, {gen_server, call, _}} ->
            again(ecto_litefs_supervised:alive(Repo), Repo, Request, Deadline)
    end.

again(false, _Repo, _Request, _Deadline) ->
    {error, unavailable};
again(true, Repo, Request, Deadline) ->
    case Deadline - now_ms() of
        Left when Left > 0 ->
            receive after min(Left, ?RETRY_MS) -> ok end,
            ask(Repo, Request, Deadline);
        _Over ->
            {error, timeout}
    end.

deadline(Ms) ->
    now_ms() + min(Ms, ?LONGEST_MS).

now_ms() ->
    erlang:monotonic_time(millisecond).
