-module(ecto_litefs_app).

-behaviour(application).

-export([start/2]).
-export([stop/1]).

-spec start(application:start_type(), term()) ->
          {ok, pid()} | {error, term()}.
start(_Type, _Arguments) ->
    case ecto_litefs_sup:start_link() of
        {ok, Pid} -> {ok, Pid};
        {error, Reason} -> {error, Reason};
        ignore -> {error, ignore}
    end.

-spec stop(term()) -> ok.
stop(_State) ->
    ok.
