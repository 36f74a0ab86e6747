%% Requests to the port program that wait, each with a timer of its own. Pure,
%% but for the timers, which are the calling process's.
-module(ecto_litefs_port_queue).

-export([new/0]).
-export([request/3]).
-export([in/2]).
-export([in_front/2]).
-export([out/1]).
-export([take/2]).
-export([is_closing/1]).
-export([answer/2]).

-export_type([t/0]).
-export_type([request/0]).

-opaque t() :: queue:queue(request()).

%% {timeout, Timer, deadline} is sent at the deadline, and until answer/2.
-type request() ::
        #{timer := reference(),
          from := gen_server:from() | nobody,
          operation := ecto_litefs_port_packet:operation(),
          deadline := integer()}.              % monotonic ms

-spec new() -> t().
new() ->
    queue:new().

-spec request(ecto_litefs_port_packet:operation(),
              gen_server:from() | nobody, integer()) -> request().
request(Operation, From, Deadline) ->
    Left = max(0, Deadline - erlang:monotonic_time(millisecond)),
    #{timer => erlang:start_timer(Left, self(), deadline), from => From,
      operation => Operation, deadline => Deadline}.

-spec in(request(), t()) -> t().
in(Request, Queue) ->
    queue:in(Request, Queue).

-spec in_front(request(), t()) -> t().
in_front(Request, Queue) ->
    queue:in_r(Request, Queue).

-spec out(t()) -> {request(), t()} | empty.
out(Queue) ->
    case queue:out(Queue) of
        {{value, Request}, Rest} -> {Request, Rest};
        {empty, _Queue} -> empty
    end.

%% The one with that timer.
-spec take(reference(), t()) -> {request(), t()} | none.
take(Timer, Queue) ->
    IsIt = fun(#{timer := Of}) -> Of =:= Timer end,
    case lists:partition(IsIt, queue:to_list(Queue)) of
        {[Request], Rest} -> {Request, queue:from_list(Rest)};
        {[], _All} -> none
    end.

-spec is_closing(t()) -> boolean().
is_closing(Queue) ->
    lists:any(fun(#{operation := Operation}) -> Operation =:= close end,
              queue:to_list(Queue)).

-spec answer(request(), term()) -> ok.
answer(#{timer := Timer, from := From}, Reply) ->
    _ = erlang:cancel_timer(Timer),
    case From of
        nobody -> ok;
        _ -> gen_server:reply(From, Reply)
    end.
