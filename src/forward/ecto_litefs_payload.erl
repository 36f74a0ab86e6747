%% What a call takes along: how large it is, whether it means anything on
%% another node, and whether it means the same on this one. Pure but for the
%% modules that are loaded.
-module(ecto_litefs_payload).

-export([check/2]).
-export([portable/1]).
-export([callable/1]).
-export([option/2]).

-export_type([t/0]).
-export_type([too_large/0]).
-export_type([not_portable/0]).
-export_type([not_callable/0]).

%% args: the Repo function is called with them. super: what remains of the call
%% below the middleware that has run on the caller, and its arguments.
%% transaction: the Repo function begins one, and what is to be done in it. run:
%% no Repo function at all.
-type t() ::
        {args, [term()]}
      | {super, fun(), [term()]}
      | {transaction, ecto_litefs_transaction:work(), Options :: list()}
      | {run, fun(() -> term()) | mfa_call(), Options :: list()}.

-type mfa_call() :: {module(), atom(), [term()]}.

-type too_large() ::
        {payload_too_large, Size :: pos_integer(), Max :: pos_integer()}.

%% handle: a reference to something in this VM, as NIFs, ETS and atomics have
%% them. It would arrive as a reference to nothing.
-type not_portable() :: {cannot_travel, port | handle}.

-type not_callable() ::
        {other_build, module()} | {no_function, {module(), atom(), arity()}}.

%% Of what the user passed, whichever way it goes. One large message delays all
%% others between two nodes, heartbeats included.
-spec check(t(), pos_integer()) -> ok | {error, too_large()}.
check(Payload, Max) ->
    case erlang:external_size(passed(Payload)) of
        Size when Size =< Max -> ok;
        Size -> {error, {payload_too_large, Size, Max}}
    end.

%% On the caller.
-spec portable(t()) -> ok | {error, not_portable()}.
portable(Payload) ->
    outcome(find(fun local/1, passed(Payload))).

%% On the primary, before anything runs: a fun of another build of its module,
%% or of a module that is not here, could not be called when its turn comes.
-spec callable(t()) -> ok | {error, not_callable()}.
callable({super, Super, _Args} = Payload) ->
    outcome(find(fun strange/1, [Super | passed(Payload)]));
callable(Payload) ->
    outcome(find(fun strange/1, passed(Payload))).

outcome(none) -> ok;
outcome(Found) -> {error, Found}.

%% Below the middleware of the caller the resource is what that made of it, and
%% the other arguments are in the resolution.
passed({args, Args}) -> Args;
passed({super, _, [Resource, #{args := [_ | Rest]}]}) -> [Resource | Rest];
passed({super, _, Args}) -> Args;
passed({transaction, Work, Options}) -> [Work, Options];
passed({run, Work, _Options}) -> [Work].

%% Of the options that the user gave to the call.
-spec option(atom(), t()) -> term() | undefined.
option(Key, Payload) ->
    case options(Payload) of
        Options when is_list(Options) -> proplists:get_value(Key, Options);
        _NoOptions -> undefined
    end.

options({args, Args}) -> lists:last(Args);
options({super, _, _} = Super) -> lists:last(passed(Super));
options({transaction, _Work, Options}) -> Options;
options({run, _Work, Options}) -> Options.

%% The first thing in a term that Check has a word for, or none.
find(Check, [Head | Tail]) ->
    either(find(Check, Head), Check, Tail);
find(Check, Tuple) when is_tuple(Tuple) ->
    find(Check, tuple_to_list(Tuple));
find(Check, Map) when is_map(Map) ->
    find(Check, maps:to_list(Map));
find(Check, Fun) when is_function(Fun) ->
    either(Check(Fun), Check, info(env, Fun));
find(Check, Term) ->
    Check(Term).

either(none, Check, Rest) -> find(Check, Rest);
either(Found, _Check, _Rest) -> Found.

local(Port) when is_port(Port) -> {cannot_travel, port};
local(Ref) when is_reference(Ref), node(Ref) =:= node() -> handle(Ref);
local(_Term) -> none.

%% Of a reference's second number the VM sets bit 17 where it is one to an
%% object (erl_bif_unique.h, "magic"). Such a bit elsewhere refuses nothing:
%% numbers of plain references are 17 bits there.
handle(Ref) ->
    External = term_to_binary(Ref),
    Numbers = byte_size(External) - 12,
    case External of
        <<131, 90, 3:16, _:(Numbers - 4)/binary, _First:32, Second:32, _:32>>
          when Second band 16#20000 =/= 0 -> {cannot_travel, handle};
        _Plain -> none
    end.

strange(Fun) when is_function(Fun) -> strange(info(type, Fun), Fun);
strange(_Term) -> none.

strange(external, Fun) ->
    {M, F, A} = Function = {info(module, Fun), info(name, Fun), info(arity, Fun)},
    case loaded(M) =/= none andalso erlang:function_exported(M, F, A) of
        true -> none;
        false -> {no_function, Function}
    end;
strange(local, Fun) ->
    Module = info(module, Fun),
    case info(new_uniq, Fun) =:= loaded(Module) of
        true -> none;
        false -> {other_build, Module}
    end.

info(What, Fun) ->
    {What, Info} = erlang:fun_info(Fun, What),
    Info.

loaded(Module) ->
    case code:ensure_loaded(Module) of
        {module, Module} -> Module:module_info(md5);
        {error, _} -> none
    end.
