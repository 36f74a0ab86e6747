%% Read-your-writes: a forwarded write returns when its caller's own node has it.
%% However the wait ends, the write is done, and its result is the caller's.
-module(ecto_litefs_own_writes).

-export([wait_ms/2]).
-export([wants_position/2]).
-export([done/3]).
-export([collect/2]).

-export_type([wait_ms/0]).

%% none: the caller does not want to wait.
-type wait_ms() :: non_neg_integer() | none.

-define(KEY(Repo), {?MODULE, Repo}).

-define(MILLISECONDS_MAX, 4294967295).
-define(MILLISECONDS, "milliseconds, 0 to 4294967295").
-define(QUIET_MS, 60_000).

%% The options `await` and `await_timeout` of the call, else those of the Repo.
-spec wait_ms(ecto_litefs_payload:t(), ecto_litefs_config:t()) -> wait_ms().
wait_ms(Payload, #{await := Await, await_timeout := Ms}) ->
    case {option(await, Payload, Await), option(await_timeout, Payload, Ms)} of
        {true, Timeout} when is_integer(Timeout), Timeout >= 0,
                             Timeout =< ?MILLISECONDS_MAX -> Timeout;
        {true, Timeout} -> invalid(await_timeout, ?MILLISECONDS, Timeout);
        {false, _Timeout} -> none;
        {Other, _Timeout} -> invalid(await, "true or false", Other)
    end.

option(Key, Payload, Default) ->
    case ecto_litefs_payload:option(Key, Payload) of
        undefined -> Default;
        Given -> Given
    end.

%% Before anything was sent.
-spec invalid(atom(), string(), term()) -> no_return().
invalid(Option, Expected, Given) ->
    Text = io_lib:format("the option :~s of a write must be ~s, got: ~tp",
                         [Option, Expected, Given]),
    error(#{'__struct__' => 'Elixir.ArgumentError', '__exception__' => true,
            message => unicode:characters_to_binary(Text)}).

%% It costs the primary a system call.
-spec wants_position(module(), wait_ms()) -> boolean().
wants_position(Repo, none) -> get(?KEY(Repo)) =/= undefined;
wants_position(_Repo, _Ms) -> true.

%% The write has been done at this position.
-spec done(module(), ecto_litefs_committed:position(), wait_ms()) -> ok.
done(_Repo, none, _Ms) ->
    ok;
done(Repo, unavailable, Ms) when is_integer(Ms) ->
    ok = note(Repo, unavailable),
    ended(ecto_litefs_await:unavailable(Repo, none), Repo, Ms);
done(Repo, Position, none) ->
    note(Repo, Position);
done(Repo, Position, Ms) ->
    ok = note(Repo, Position),
    ended(ecto_litefs_await:await(Repo, Position, Ms), Repo, Ms).

ended(ok, _Repo, _Ms) ->
    ok;
ended({error, Why}, Repo, Ms) ->
    case is_news(Why, ecto_litefs_last_error:get(Repo)) of
        true ->
            ok = ecto_litefs_last_error:put(Repo, {await, Why}),
            ecto_litefs_report:missed(Repo, Why, Ms);
        false ->
            ok
    end.

%% What is unavailable stays so, and would be a line for each write.
is_news(unavailable, {AtMs, {await, unavailable}}) ->
    erlang:system_time(millisecond) - AtMs > ?QUIET_MS;
is_news(_Why, _Before) ->
    true.

%% The position of the last write that Fun's process has forwarded, none where it
%% has forwarded none, or that of the last one is not known.
-spec collect(module(), fun(() -> Result)) ->
          {Result, ecto_litefs_position:t() | none}.
collect(Repo, Fun) ->
    Before = put(?KEY(Repo), none),
    try
        Result = Fun(),
        {Result, position(get(?KEY(Repo)))}
    after
        restore(?KEY(Repo), Before, get(?KEY(Repo)))
    end.

position(unavailable) -> none;
position(Position) -> Position.

%% What an inner fun has written its outer one has, too.
restore(Key, undefined, _Last) -> erase(Key);
restore(Key, Before, none) -> put(Key, Before);
restore(Key, _Before, Last) -> put(Key, Last).

note(Repo, Position) ->
    case get(?KEY(Repo)) of
        undefined -> ok;
        _Earlier -> _ = put(?KEY(Repo), Position), ok
    end.
