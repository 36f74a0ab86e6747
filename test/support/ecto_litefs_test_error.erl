%% Raises what Elixir's code would raise: an exception is a struct.
-module(ecto_litefs_test_error).

-export([raise/2]).
-export([raise/3]).

-spec raise(module(), #{atom() => term()}) -> no_return().
raise(Struct, Fields) ->
    error(Fields#{'__struct__' => Struct, '__exception__' => true}).

%% For those that have nothing but a message.
-spec raise(module(), io:format(), [term()]) -> no_return().
raise(Struct, Format, Arguments) ->
    Message = unicode:characters_to_binary(io_lib:format(Format, Arguments)),
    raise(Struct, #{message => Message}).
