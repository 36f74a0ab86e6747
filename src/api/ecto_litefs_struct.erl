%% What the compiler makes for each struct of Elixir: how one is built, and what
%% its module says of itself. And the exception for a wrong argument, as one.
-module(ecto_litefs_struct).

-export([build/2]).
-export([info/4]).
-export([argument_error/1]).

-type fields() :: [{Field :: atom(), Required :: boolean()}].

%% An unknown field raises, as in Elixir.
-spec build(Default, [{atom(), term()}] | #{atom() => term()}) -> Default
              when Default :: #{atom() => term()}.
build(Default, Fields) when is_list(Fields) ->
    build(Default, maps:from_list(Fields));
build(Default, Fields) ->
    maps:fold(fun(Key, Value, Struct) -> Struct#{Key := Value} end,
              Default, Fields).

%% Module:'__info__'(What).
-spec info(What :: atom(), module(), fields(), [{atom(), arity()}]) -> term().
info(struct, _Module, Fields, _Functions) ->
    [#{field => Field, required => Required} || {Field, Required} <- Fields];
info(macros, _Module, _Fields, _Functions) ->
    [];
info(functions, _Module, _Fields, Functions) ->
    [{'__struct__', 0}, {'__struct__', 1} | Functions];
info(module, Module, _Fields, _Functions) ->
    Module;
info(What, Module, _Fields, _Functions) ->
    Module:module_info(What).

-spec argument_error(iodata()) -> no_return().
argument_error(Message) ->
    error(#{'__struct__' => 'Elixir.ArgumentError', '__exception__' => true,
            message => unicode:characters_to_binary(Message)}).
