%% What a call takes along, by the size of its arguments and by its funs.
-module(ecto_litefs_payload_tests).

-include_lib("eunit/include/eunit.hrl").

-define(BUILT, ecto_litefs_payload_built).

check_test_() ->
    Args = [items, [#{name => <<"ann">>}], []],
    Size = erlang:external_size(Args),
    TooLarge = {error, {payload_too_large, Size, Size - 1}},
    [?_assertEqual(ok, ecto_litefs_payload:check({args, Args}, Size)),
     ?_assertEqual(TooLarge, ecto_litefs_payload:check({args, Args}, Size - 1))].

%% Whichever way a call goes, the same is measured: not the super, nor the rest
%% of the resolution; and the resource as other middleware has made it.
check_super_test() ->
    Payload = {super, fun(R, _) -> R end,
               [small, #{args => [binary:copy(<<0>>, 9999), []],
                         private => #{rest => binary:copy(<<0>>, 9999)}}]},
    Size = erlang:external_size([small, []]),
    ?assertEqual(ok, ecto_litefs_payload:check(Payload, Size)),
    ?assertEqual({error, {payload_too_large, Size, Size - 1}},
                 ecto_litefs_payload:check(Payload, Size - 1)).

plain_data_test_() ->
    [?_assertEqual({ok, ok}, {portable(Term), callable(Term)})
     || Term <- [[], [a | b], {1, 2.0}, #{<<"a">> => [{b, self()}]},
                 make_ref(), monitor(process, self()), alias(),
                 fun lists:reverse/1, fun erlang:self/0, fun() -> ok end,
                 [#{a => {fun() -> node() end}}]]].

%% A fun whose module was loaded anew since, or is gone.
other_build_test_() ->
    {setup,
     fun() ->
             Fun = load("one"),
             _ = load("two"),
             Fun
     end,
     fun(_Fun) -> unload() end,
     fun(Fun) ->
             [?_assertEqual({error, {other_build, ?BUILT}}, callable(Term))
              || Term <- [Fun, [Fun], [a | Fun], {a, Fun}, #{a => Fun},
                          #{Fun => a}, fun() -> Fun end]]
                 ++ [?_assertEqual(ok, callable(load("two")))]
     end}.

no_module_test() ->
    Fun = load("one"),
    unload(),
    ?assertEqual({error, {other_build, ?BUILT}}, callable(Fun)).

no_function_test_() ->
    [?_assertEqual({error, {no_function, {Module, none, 1}}},
                   callable([fun Module:none/1]))
     || Module <- [lists, ecto_litefs_payload_nowhere]].

%% Also of a super, which is no argument.
super_of_another_build_test() ->
    Fun = load("one"),
    unload(),
    ?assertEqual({error, {other_build, ?BUILT}},
                 ecto_litefs_payload:callable({super, Fun, [items]})).

%% A Multi, as deep as they are kept in it; and what a transaction is given.
every_way_test_() ->
    {setup, fun() -> Fun = load("one"), unload(), Fun end,
     fun(Fun) ->
             Multi = #{operations => [{a, {run, Fun}}]},
             [?_assertEqual({error, {other_build, ?BUILT}},
                            ecto_litefs_payload:callable(Payload))
              || Payload <- [{transaction, Multi, []},
                             {transaction, Fun, []},
                             {transaction, {m, f, [Fun]}, []},
                             {run, Fun, []}]]
     end}.

not_portable_test_() ->
    {setup, fun() -> open_port({spawn, "cat"}, []) end, fun port_close/1,
     fun(Port) ->
             [?_assertEqual({error, {cannot_travel, port}}, portable({a, Port}))]
                 ++ [?_assertEqual({error, {cannot_travel, handle}}, portable(T))
                     || Handle <- [ets:new(handle, []), atomics:new(1, []),
                                   counters:new(1, []),
                                   ets:match_spec_compile([{'_', [], ['$_']}])],
                        T <- [Handle, #{a => [Handle]},
                              fun() -> Handle end]]
     end}.

option_test_() ->
    [?_assertEqual(7, ecto_litefs_payload:option(timeout, Payload))
     || Payload <- [{args, [items, [{timeout, 7}]]},
                    {super, fun() -> a end, [b, #{args => [c, [{timeout, 7}]]}]},
                    {transaction, fun() -> a end, [{timeout, 7}]},
                    {run, fun() -> a end, [{timeout, 7}]}]]
        ++ [?_assertEqual(undefined,
                          ecto_litefs_payload:option(timeout, {args, [a, #{}]}))].

portable(Term) ->
    ecto_litefs_payload:portable({args, [items, Term]}).

callable(Term) ->
    ecto_litefs_payload:callable({args, [items, Term]}).

load(Name) ->
    Lines = [Name ++ "() -> 1.", "new() -> fun() -> 1 end."],
    ok = ecto_litefs_test_build:load(
           ?BUILT, ecto_litefs_test_build:of_lines(?BUILT, Lines)),
    ?BUILT:new().

unload() ->
    ecto_litefs_test_build:unload(?BUILT).
