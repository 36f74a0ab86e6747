%% Each event, and that docs/TELEMETRY.md has it with just what is in it.
-module(ecto_litefs_telemetry_tests).

-include_lib("eunit/include/eunit.hrl").

-define(t, ecto_litefs_telemetry).
-define(REPO, 'Elixir.MyApp.Repo').

%% Every function that emits is called by emit_all/0, or this fails.
all_functions_test() ->
    Emit = [F || {F, _Arity} <- ?t:module_info(exports),
                 not lists:member(F, [events, module_info])],
    ?assertEqual([await_start, await_stop, claim, failed, lag, node, raised,
                  role, start, stop],
                 lists:usort(Emit)).

names_test() ->
    ?assertEqual(lists:sort(?t:events()),
                 lists:usort([Name || {Name, _, _} <- emit_all()])).

documented_test() ->
    ?assertEqual(lists:sort([name(Event) || Event <- ?t:events()]),
                 lists:sort(maps:keys(documented()))).

documented_fields_test_() ->
    Documented = documented(),
    [{name(Name),
      ?_assertEqual({keys(Measurements), keys(Metadata)},
                    maps:get(name(Name), Documented))}
     || {Name, Measurements, Metadata} <- emit_all()].

spans_test() ->
    Events = emit_all(),
    Contexts = fun(What) ->
                       [Context || {[_, W, _], _,
                                    #{telemetry_span_context := Context}}
                                       <- Events, W =:= What]
               end,
    [A, A, B, B, C, C] = Contexts(forward),
    [D, D] = Contexts(await),
    ?assertEqual(4, length(lists:usort([A, B, C, D]))).

await_test() ->
    {_, [{_, _, Start}, {_, #{duration := Duration}, Stop}]} =
        telemetry:record(
          fun() ->
                  Span = ?t:await_start(?REPO, {7, 8, 9}),
                  ?t:await_stop(Span, other_term)
          end),
    ?assert(Duration > 0),
    ?assertMatch(#{repo := ?REPO, term := 7, txid := 8}, Start),
    ?assertEqual(Start#{result => other_term}, Stop).

unknown_lag_is_no_event_test() ->
    ?assertMatch({ok, []},
                 telemetry:record(
                   fun() -> ?t:lag(?REPO, #{lag_ms => undefined}, true) end)).

%% As telemetry does whose own application is not started.
raising_telemetry_test() ->
    {module, telemetry} = code:ensure_loaded(telemetry),
    Self = self(),
    telemetry:attach(fun(Name, _, _) -> Self ! Name, error(badarg) end),
    try
        ok = ?t:node(skip, node()),
        ok = ?t:await_stop(?t:await_start(?REPO, {0, 1, 2}), ok)
    after
        telemetry:detach()
    end,
    [receive Name -> ok after 0 -> error({missing, Name}) end
     || Name <- [[ecto_litefs, node, skip], [ecto_litefs, await, start],
                 [ecto_litefs, await, stop]]].

%% An application without it.
no_telemetry_test() ->
    Path = code:which(telemetry),
    true = code:delete(telemetry),
    _ = code:purge(telemetry),
    try
        ?assertEqual(none, ?t:await_start(?REPO, {0, 1, 2})),
        ?assertEqual(ok, ?t:await_stop(none, ok)),
        ?assertEqual(ok, ?t:node(skip, node())),
        ?assertEqual(false, code:is_loaded(telemetry))
    after
        {module, telemetry} = code:load_abs(filename:rootname(Path))
    end.

emit_all() ->
    {_, Events} = telemetry:record(fun emit/0),
    Events.

emit() ->
    Now = erlang:monotonic_time(),
    ok = ?t:stop(?t:start(?REPO, insert, node())),
    ok = ?t:failed(?t:start(?REPO, insert, node()), unknown, timeout),
    ok = ?t:raised(?t:start(?REPO, insert, node()), exit, gone, []),
    ok = ?t:claim(Now, done, #{repo => ?REPO, action => insert,
                               primary_node => node()}),
    ok = ?t:await_stop(?t:await_start(?REPO, {1, 2, 3}), ok),
    ok = ?t:role(?REPO, #{role => primary, hostname => <<>>, source => mount,
                          generation => 1}, nil, 0),
    ok = ?t:lag(?REPO, #{lag_ms => 1, role => replica}, false),
    [ok = ?t:node(What, node()) || What <- [skip, probe, back]].

keys(Map) ->
    lists:sort([atom_to_binary(Key) || Key <- maps:keys(Map)]).

name([_ | Rest]) ->
    iolist_to_binary(["[:ecto_litefs", [[", :", atom_to_list(A)] || A <- Rest],
                      "]"]).

%% -- the document ------------------------------------------------------------

%% #{Event => {Measurements, Metadata}}: of each heading with an event's name,
%% the names in the first columns of its two tables. EUnit runs in the top
%% directory.
documented() ->
    {ok, Text} = file:read_file("docs/TELEMETRY.md"),
    [_Introduction | Sections] = re:split(Text, <<"^##+ ">>, [multiline]),
    maps:from_list([section(Name, Section)
                    || Section <- Sections,
                       {match, [Name]} <- [re:run(Section,
                                                  <<"^`(\\[.*\\])`\n">>,
                                                  captured())]]).

section(Name, Section) ->
    [Before, Metadata] = binary:split(Section, <<"| metadata |">>),
    [_Text, Measurements] = binary:split(Before, <<"| measurement |">>),
    {Name, {fields(Measurements), fields(Metadata)}}.

fields(Table) ->
    {match, Cells} = re:run(Table, <<"^\\| (`[^|]*) \\|">>,
                            [global, multiline | captured()]),
    lists:sort(lists:append([words(Cell) || [Cell] <- Cells])).

words(Cell) ->
    {match, Words} = re:run(Cell, <<"`(\\w+)`">>, [global | captured()]),
    lists:append(Words).

captured() ->
    [{capture, all_but_first, binary}].
