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
    [?_assertNot(foreign(Term))
     || Term <- [[], [a | b], {1, 2.0}, #{<<"a">> => [{b, self()}]},
                 make_ref(), fun lists:reverse/1, fun() -> ok end,
                 [#{a => {fun() -> node() end}}]]].

%% A fun whose module was loaded anew since, or is gone.
foreign_test_() ->
    {setup,
     fun() ->
             Fun = load("one"),
             _ = load("two"),
             Fun
     end,
     fun(_Fun) -> unload() end,
     fun(Fun) ->
             [?_assert(foreign(Term))
              || Term <- [Fun, [Fun], [a | Fun], {a, Fun}, #{a => Fun},
                          #{Fun => a}, fun() -> Fun end]]
                 ++ [?_assertNot(foreign(load("two")))]
     end}.

foreign_of_no_module_test() ->
    Fun = load("one"),
    unload(),
    ?assert(foreign(Fun)).

foreign(Term) ->
    ecto_litefs_payload:foreign({args, [items, Term]}).

load(Name) ->
    Forms = [form(Line) || Line <- ["-module(ecto_litefs_payload_built).",
                                    "-export([new/0]).", Name ++ "() -> 1.",
                                    "new() -> fun() -> 1 end."]],
    {ok, ?BUILT, Binary} = compile:forms(Forms, [export_all]),
    {module, ?BUILT} = code:load_binary(?BUILT, "built", Binary),
    ?BUILT:new().

unload() ->
    _ = code:purge(?BUILT),
    true = code:delete(?BUILT),
    ok.

form(Text) ->
    {ok, Tokens, _} = erl_scan:string(Text),
    {ok, Form} = erl_parse:parse_form(Tokens),
    Form.
