%% The row that the local database has, as it was read last, and who waits for
%% it to be read anew: all of them share one read. Messages and replies are those
%% of the process that calls it.
%%
%% As in 1.0: a row is good for cache_ttl. Whoever wants it anew gets the last
%% one too, if that was read within refresh_grace_period, and so does everybody
%% where it could not be read.
-module(ecto_litefs_tracking_cache).

-export([new/1]).
-export([ask/4]).
-export([forget/1]).
-export([event/2]).

-export_type([t/0]).
-export_type([result/0]).

-type result() :: {ok, ecto_litefs_port:row() | none}
                | {error, ecto_litefs_port:reason()}.

-record(cache,
        {config :: ecto_litefs_config:t(),
         last = none :: none | {result(), ReadAt :: integer()},
         job = none :: none | ecto_litefs_tracking_job:t(),
         readers = #{} :: #{reference() => gen_server:from()}}).

-opaque t() :: #cache{}.

-define(READ_MS, 2_000).

-spec new(ecto_litefs_config:t()) -> t().
new(Config) ->
    #cache{config = Config}.

%% From has its answer now, when the row is read, or at the deadline.
-spec ask(gen_server:from(), Force :: boolean(), Deadline :: integer(), t()) ->
          t().
ask(From, Force, Deadline, #cache{last = Last} = Cache) ->
    case is_good(Last, Force, Cache) of
        true ->
            {Result, _ReadAt} = Last,
            ok = gen_server:reply(From, Result),
            Cache;
        false ->
            Left = max(0, Deadline - now_ms()),
            Timer = erlang:start_timer(Left, self(), reader),
            Readers = (Cache#cache.readers)#{Timer => From},
            read(Cache#cache{readers = Readers})
    end.

is_good(none, _Force, _Cache) ->
    false;
is_good({Result, ReadAt}, Force, #cache{config = Config}) ->
    now_ms() - ReadAt < good_ms(Result, Force, Config).

good_ms({ok, _Row}, false, #{cache_ttl := Ms}) -> Ms;
good_ms(_Result, _Force, #{refresh_grace_period := Ms}) -> Ms.

read(#cache{job = none, config = #{repo := Repo}} = Cache) ->
    Read = fun() -> ecto_litefs_port:read_row(Repo, ?READ_MS) end,
    Cache#cache{job = ecto_litefs_tracking_job:start(Read)};
read(Cache) ->
    Cache.

%% Who waits for a read that began before gets the result of a new one.
-spec forget(t()) -> t().
forget(#cache{job = none} = Cache) ->
    Cache#cache{last = none};
forget(#cache{job = Job} = Cache) ->
    ok = ecto_litefs_tracking_job:stop(Job),
    read(Cache#cache{last = none, job = none}).

-spec event(term(), t()) -> {ok, t()} | other.
event({timeout, Timer, reader}, #cache{readers = Readers} = Cache) ->
    case maps:take(Timer, Readers) of
        {From, Rest} ->
            ok = gen_server:reply(From, {error, timeout}),
            {ok, Cache#cache{readers = Rest}};
        error ->
            {ok, Cache} % it was answered a moment before
    end;
event(Message, #cache{job = Job} = Cache) ->
    case ecto_litefs_tracking_job:outcome(Message, Job) of
        {ok, Result} -> {ok, answer(Result, Cache)};
        {failed, _Reason} -> {ok, answer({error, closed}, Cache)};
        other -> other
    end.

answer(Result, #cache{readers = Readers} = Cache) ->
    _ = [begin
             _ = erlang:cancel_timer(Timer),
             gen_server:reply(From, Result)
         end || {Timer, From} <- maps:to_list(Readers)],
    Cache#cache{last = {Result, now_ms()}, job = none, readers = #{}}.

now_ms() ->
    erlang:monotonic_time(millisecond).
