%% EctoLiteFS.Config: 1.0's defaults and texts, and the new options.
-module(ecto_litefs_api_config_tests).

-include_lib("eunit/include/eunit.hrl").

-define(CONFIG, 'Elixir.EctoLiteFS.Config').

defaults_test() ->
    ?assertEqual(#{'__struct__' => ?CONFIG,
                   repo => my_repo,
                   primary_file => <<"/litefs/.primary">>,
                   poll_interval => 30000,
                   event_stream_url => <<"http://localhost:20202/events">>,
                   table_name => <<"_ecto_litefs_primary">>,
                   tracking => true,
                   database => nil,
                   cache_ttl => 5000,
                   refresh_grace_period => 100,
                   erpc_timeout => 15000,
                   max_lag => 10000,
                   mount => auto,
                   primary_wait => 20000,
                   await => true,
                   await_timeout => 5000,
                   max_forward_bytes => 8388608,
                   max_queue => 1000,
                   on_error => return,
                   propagate => ['$callers', '$logger_metadata$',
                                 '$__current_otel_ctx']},
                 ?CONFIG:'new!'([{repo, my_repo}])).

good_test_() ->
    [?_assertMatch(#{Key := Value}, new([{Key, Value}]))
     || {Key, Value} <- [{primary_file, <<"/x/.primary">>},
                         {poll_interval, 1}, {poll_interval, disabled},
                         {event_stream_url, nil},
                         {event_stream_url, <<"http://h:1/events">>},
                         {table_name, <<"_my_table_1">>},
                         {tracking, true}, {tracking, false},
                         {database, nil}, {database, <<"/litefs/db">>},
                         {table_name, binary:copy(<<"t">>, 255)},
                         {database, <<"/", (binary:copy(<<"d">>, 4094))/binary>>},
                         {database, <<"é.db"/utf8>>},
                         {cache_ttl, 1}, {refresh_grace_period, 1},
                         {erpc_timeout, 1}, {max_lag, 1},
                         {await, true}, {await, false}, {await_timeout, 1},
                         {mount, auto}, {mount, required}, {mount, plain},
                         {primary_wait, 0}, {primary_wait, 1},
                         {max_forward_bytes, 1},
                         {max_forward_bytes, 1 bsl 40},
                         {max_queue, 0}, {max_queue, 1 bsl 40},
                         {on_error, return}, {on_error, raise},
                         {propagate, []}, {propagate, [tenant, {a, 1}]},
                         {poll_interval, 16#ffffffff},
                         {cache_ttl, 16#ffffffff},
                         {refresh_grace_period, 16#ffffffff},
                         {erpc_timeout, 16#ffffffff},
                         {max_lag, 16#ffffffff},
                         {await_timeout, 16#ffffffff},
                         {primary_wait, 16#ffffffff},
                         {primary_file, <<"/é/.primary"/utf8>>}]].

repo_test() ->
    ?assertEqual(<<"EctoLiteFS.Config requires :repo option">>,
                 refused([])),
    ?assertEqual(<<"EctoLiteFS.Config :repo must be an atom">>,
                 refused([{repo, <<"MyApp.Repo">>}])),
    ?assertEqual(<<"EctoLiteFS.Config :repo must be an atom other than nil">>,
                 refused([{repo, nil}])).

%% The last one is used, so it is the one that must be right.
given_twice_test() ->
    Infinite = [{repo, r}, {erpc_timeout, 1}, {erpc_timeout, infinity}],
    ?assertEqual(text(erpc_timeout, "a positive integer", infinity),
                 refused(Infinite)),
    ?assertMatch(#{erpc_timeout := 1},
                 ?CONFIG:'new!'([{erpc_timeout, infinity} | Infinite]
                                ++ [{erpc_timeout, 1}])).

no_keyword_list_test_() ->
    [?_assertEqual(
        unicode:characters_to_binary(
          ["EctoLiteFS.Config options must be a keyword list, got: ",
           ecto_litefs_inspect:inspect(Options)]),
        refused(Options))
     || Options <- [#{repo => my_repo}, my_repo, nil, [my_repo],
                    [{<<"repo">>, my_repo}], [{repo, my_repo} | tail]]].

%% A supervisor reads it before anything is checked.
child_spec_of_no_list_test() ->
    #{start := {Module, Function, Arguments}} =
        'Elixir.EctoLiteFS.Supervisor':child_spec(#{repo => my_repo}),
    ?assertError(#{'__struct__' := 'Elixir.ArgumentError'},
                 apply(Module, Function, Arguments)).

%% Of each option, values of every other type.
wrong_type_test_() ->
    [{lists:flatten(io_lib:format("~p: ~p", [Key, Value])),
      ?_assertEqual(text(Key, What, Value),
                    refused([{repo, my_repo}, {Key, Value}]))}
     || {Key, What, Values} <- wrong(), Value <- Values].

wrong() ->
    Bounded = "at most 4294967295 (milliseconds)",
    Printable = "valid UTF-8 without NUL",
    [{Key, Bounded, [1 bsl 32, 1 bsl 80]}
     || Key <- [poll_interval, cache_ttl, refresh_grace_period, erpc_timeout,
                max_lag, await_timeout, primary_wait]]
        ++ [{Key, Printable, [<<"/x/", 255>>, <<"/x", 0, "/.primary">>]}
            || Key <- [primary_file, event_stream_url, database]]
        ++ wrong_in_1_0().

wrong_in_1_0() ->
    Integer = "a positive integer",
    String = "a non-empty string",
    [{poll_interval, Integer, [0, -1, 1.5, <<"1">>, nil, enabled]},
     {cache_ttl, Integer, [0, -1, 1.5, <<"1">>, nil, disabled]},
     {refresh_grace_period, Integer, [0, -1, <<"500">>]},
     {erpc_timeout, Integer, [0, -1, infinity, <<"1">>]},
     {max_lag, Integer, [0, -1, 0.5, infinity, <<"1">>, nil]},
     {await_timeout, Integer, [0, -1, 0.5, infinity, nil]},
     {await, "true or false", [1, <<"true">>, nil]},
     {primary_wait, "a non-negative integer", [-1, infinity, 0.5, nil]},
     {max_forward_bytes, Integer, [0, -1, 0.5, infinity, <<"1">>, nil]},
     {max_queue, "a non-negative integer", [-1, infinity, 0.5, nil]},
     {on_error, ":return or :raise", [true, <<"raise">>, nil]},
     {propagate, "a list of keys of the process dictionary",
      [nil, tenant, {a, b}, [a | b]]},
     {primary_file, String, [<<>>, "/litefs/.primary", nil, 1]},
     {event_stream_url, String, [<<>>, "http://h", 1, disabled]},
     {table_name, "a string", [t, "table", nil]},
     {table_name,
      "a valid SQL identifier (alphanumeric and underscores, starting with "
      "letter or underscore)",
      [<<>>, <<"1a">>, <<"a-b">>, <<"foo; DROP TABLE users; --">>,
       <<"a\n">>]},
     {table_name, "at most 255 bytes", [binary:copy(<<"t">>, 256)]},
     {tracking, "true or false", [nil, 1, <<"true">>, yes]},
     {database, String, [<<>>, "/litefs/db", 1, undefined, ':memory:']},
     {database, "at most 4095 bytes, as an absolute path",
      [<<"/", (binary:copy(<<"d">>, 4095))/binary>>,
       binary:copy(<<"d">>, 4095)]},
     {mount, ":auto, :required or :plain", [automatic, <<"auto">>, nil, true]}].

text(Key, What, Value) ->
    unicode:characters_to_binary(
      io_lib:format("EctoLiteFS.Config :~s must be ~s, got: ~ts",
                    [Key, What, ecto_litefs_inspect:inspect(Value)])).

unknown_key_test() ->
    ?assertError(#{'__struct__' := 'Elixir.KeyError', key := pool,
                   term := #{'__struct__' := ?CONFIG}},
                 new([{pool, 1}])).

struct_test() ->
    ?assertError(#{'__struct__' := 'Elixir.ArgumentError'},
                 ?CONFIG:'__struct__'([])),
    ?assertMatch(#{repo := r, mount := plain},
                 ?CONFIG:'__struct__'(#{repo => r, mount => plain})),
    ?assertEqual([repo], [Field || #{field := Field, required := true}
                                       <- ?CONFIG:'__info__'(struct)]).

%% Below, what is missing is `undefined` and a path is absolute.
to_map_test() ->
    Map = ?CONFIG:to_map(new([{primary_file, <<"x/.primary">>},
                              {event_stream_url, nil}])),
    Absolute = unicode:characters_to_binary(filename:absname("x/.primary")),
    ?assertMatch(#{primary_file := Absolute, event_stream_url := undefined,
                   database := undefined},
                 Map),
    Database = unicode:characters_to_binary(filename:absname("x/db")),
    ?assertMatch(#{database := Database},
                 ?CONFIG:to_map(new([{database, <<"x/db">>}]))),
    ?assertNot(is_map_key('__struct__', Map)),
    ?assertEqual(lists:sort([repo | maps:keys(ecto_litefs_config:defaults())]),
                 lists:sort(maps:keys(Map))).

new(Options) ->
    ?CONFIG:'new!'([{repo, my_repo} | Options]).

refused(Options) ->
    try ?CONFIG:'new!'(Options) of
        Config -> {accepted, Config}
    catch
        error:#{'__struct__' := 'Elixir.ArgumentError', message := Text} -> Text
    end.
