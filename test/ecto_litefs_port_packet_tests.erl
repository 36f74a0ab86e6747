%% Requests to the port program and its replies, without a program.
-module(ecto_litefs_port_packet_tests).

-include_lib("eunit/include/eunit.hrl").

-define(PACKET, ecto_litefs_port_packet).

row() ->
    #{node => <<"app@10.0.0.1">>, updated_at => 1700000000,
      hostname => <<"node-a">>, term => 16#deadbeef,
      started_at => 1700000000123, version => <<"2.0.0">>}.

packed() ->
    {<<"app@10.0.0.1">>, 1700000000, <<"node-a">>, <<"00000000deadbeef">>,
     1700000000123, <<"2.0.0">>}.

packed_row_test_() ->
    Nothing = #{node => <<"a@b">>, updated_at => 1, hostname => undefined,
                term => undefined, started_at => undefined,
                version => undefined},
    [?_assertEqual(packed(), ?PACKET:row(row())),
     ?_assertEqual({<<"a@b">>, 1, <<>>, <<>>, 0, <<>>}, ?PACKET:row(Nothing)),
     ?_assertMatch({_, _, _, <<"0000000000000000">>, _, _},
                   ?PACKET:row((row())#{term := 0})),
     ?_assertMatch({_, _, _, <<"ffffffffffffffff">>, _, _},
                   ?PACKET:row((row())#{term := 16#ffffffffffffffff}))].

%% What is packed comes back, whatever is not known.
round_trip_test_() ->
    [?_assertEqual({7, {ok, Row}}, reply({7, {ok, ?PACKET:row(Row)}}))
     || Row <- [row() | [(row())#{Key := undefined}
                         || Key <- [hostname, term, started_at, version]]]].

request_test_() ->
    [?_assertEqual(Request, binary_to_term(Packet))
     || {Request, Packet} <-
            [{{7, 100, close}, ?PACKET:request(7, 100, close)},
             {{7, 0, close}, ?PACKET:request(7, -5, close)},
             {{7, 16#ffffffff, close}, ?PACKET:request(7, 1 bsl 40, close)},
             {{7, 1, {write_row, <<"t">>, packed()}},
              ?PACKET:request(7, 1, ?PACKET:body({write_row, packed()},
                                                 <<"t">>))},
             {{7, 1, {read_row, <<"t">>}},
              ?PACKET:request(7, 1, ?PACKET:body(read_row, <<"t">>))}]].

reply_test_() ->
    [?_assertEqual({7, Reply}, reply({7, Reply}))
     || Reply <- [ok, {ok, none}, {error, {busy, 5, <<"locked">>}},
                  {error, {sqlite, 0, <<>>}}]].

%% The table is the user's.
term_of_somebody_else_test_() ->
    [?_assertMatch({7, {ok, #{term := undefined}}},
                   reply({7, {ok, setelement(4, packed(), Term)}}))
     || Term <- [<<"0">>, <<"xxxxxxxxxxxxxxxx">>, <<"-000000000000001">>,
                 <<"0000 00000000000">>]].

bad_reply_test_() ->
    Bad = [7, {7}, {7, ok, ok}, {a, ok}, {7, yes}, {7, {ok, row}},
           {7, {ok, {}}}, {7, {ok, setelement(1, packed(), 1)}},
           {7, {ok, setelement(2, packed(), <<"1">>)}},
           {7, {error, busy}}, {7, {error, {busy, 5}}},
           {7, {error, {busy, 5, "text"}}}, {7, {error, {lunch, 5, <<>>}}},
           {7, {error, {<<"busy">>, 5, <<>>}}}, [], #{}],
    [?_assertEqual(bad, reply(Term)) || Term <- Bad]
        ++ [?_assertEqual(bad, ?PACKET:reply(Bytes))
            || Bytes <- [<<>>, <<131>>, <<"rubbish">>, <<131, 255>>,
                         <<130, 97, 1>>,
                         %% an atom that nobody has
                         <<131, 104, 2, 97, 7, 119, 9, "zzqqzzqqz">>,
                         %% a gibibyte, if it is believed
                         <<131, $P, 16#40000000:32, 120, 156, 3, 0>>]].

%% Nothing compressed is even looked at.
compressed_test() ->
    Packet = term_to_binary({7, {error, {sqlite, 0, binary:copy(<<0>>, 9999)}}},
                            [{compressed, 9}]),
    ?assertEqual(bad, ?PACKET:reply(Packet)).

meaning_test_() ->
    Write = {write_row, packed()},
    Error = fun(Code, Extended) -> {error, {Code, Extended, <<>>}} end,
    [?_assertEqual(Meaning, ?PACKET:meaning(Operation, Reply))
     || {Meaning, Operation, Reply} <-
            [{sound, Write, ok},
             {sound, read_row, {ok, none}},
             {sound, read_row, {ok, row()}},
             {closed, close, ok},
             {bad, Write, {ok, none}},
             {bad, read_row, ok},
             {bad, close, {ok, none}},
             {bad, close, Error(io_error, 778)},
             {sound, Write, Error(busy, 5)},
             {sound, Write, Error(read_only, 1544)},
             {doubtful, Write, Error(io_error, 778)},
             {doubtful, read_row, Error(busy, 15)},
             {doubtful, read_row, Error(not_a_database, 26)},
             {doubtful, read_row, Error(corrupt, 11)}]].

reply(Term) ->
    ?PACKET:reply(term_to_binary(Term)).
