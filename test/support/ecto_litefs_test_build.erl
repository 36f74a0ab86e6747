%% Modules that a test makes of some lines, or of another module's own forms:
%% another build of it, as a deploy brings one.
%%
%%   One = ecto_litefs_test_build:of_lines(m, ["-export([f/0]).", "f() -> 1."]),
%%   Two = ecto_litefs_test_build:of_module(ecto_litefs_attempt),
%%   ok = ecto_litefs_test_peer:call(Peer, ecto_litefs_test_build, load, [m, One]).
-module(ecto_litefs_test_build).

-export([of_lines/2]).
-export([of_module/1]).

%% Called on the node that is to have it.
-export([load/2]).
-export([unload/1]).

%% Each line is a form; other lines make another build.
-spec of_lines(module(), [string()]) -> binary().
of_lines(Module, Lines) ->
    Name = lists:flatten(io_lib:format("-module(~p).", [Module])),
    compiled(Module, [form(Line) || Line <- [Name | Lines]]).

%% The same module, with a function more.
-spec of_module(module()) -> binary().
of_module(Module) ->
    {ok, {_, [{abstract_code, {_, Forms}}]}} =
        beam_lib:chunks(code:which(Module), [abstract_code]),
    {Before, [Eof]} = lists:split(length(Forms) - 1, Forms),
    compiled(Module, Before ++ [form("another_build() -> 1."), Eof]).

compiled(Module, Forms) ->
    {ok, Module, Binary} = compile:forms(Forms, [export_all]),
    Binary.

form(Text) ->
    {ok, Tokens, _} = erl_scan:string(Text),
    {ok, Form} = erl_parse:parse_form(Tokens),
    Form.

-spec load(module(), binary()) -> ok.
load(Module, Binary) ->
    {module, Module} = code:load_binary(Module, "built", Binary),
    _ = code:purge(Module),
    ok.

-spec unload(module()) -> ok.
unload(Module) ->
    _ = code:purge(Module),
    true = code:delete(Module),
    _ = code:purge(Module),
    ok.
