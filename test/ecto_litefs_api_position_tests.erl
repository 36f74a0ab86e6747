%% EctoLiteFS.Position: a struct, and a short text that is refused when it is
%% not what it was.
-module(ecto_litefs_api_position_tests).

-include_lib("eunit/include/eunit.hrl").

-define(POSITION, 'Elixir.EctoLiteFS.Position').

there_and_back_test_() ->
    [?_assertEqual({ok, Position},
                   ?POSITION:from_string(?POSITION:to_string(Position)))
     || Term <- [0, 1, 16#ffffffffffffffff], TxId <- [0, 39, 1 bsl 63],
        Checksum <- [0, 16#83b05248774ce767],
        Position <- [?POSITION:new({Term, TxId, Checksum})]].

%% For a cookie, a URL, a header.
text_test() ->
    [?assertMatch({match, _}, re:run(text(N), "^[A-Za-z0-9_-]{36}$"))
     || N <- lists:seq(1, 200)].

%% One character more, less, another one, at each place.
changed_test() ->
    Text = text(1),
    Others = [<<Text/binary, "A">>, binary:part(Text, 0, 35), <<>>,
              string:uppercase(Text), <<Text/binary, "=">>]
        ++ [<<Before/binary, Other, After/binary>>
            || At <- lists:seq(0, 35),
               <<Before:At/binary, Char, After/binary>> <- [Text],
               Other <- "Aa+/= -", Other =/= Char],
    [?assertEqual({error, invalid}, ?POSITION:from_string(Other))
     || Other <- Others].

other_terms_test() ->
    [?assertEqual({error, invalid}, ?POSITION:from_string(Term))
     || Term <- [nil, "charlist", 1, {1, 2, 3}, <<0:(36 * 8)>>,
                 <<255:(36 * 8)>>, << <<$A>> || _ <- lists:seq(1, 36) >>]].

struct_test() ->
    Position = ?POSITION:'__struct__'([{term, 1}, {txid, 2}, {checksum, 3}]),
    ?assertEqual(?POSITION:new({1, 2, 3}), Position),
    ?assertEqual({1, 2, 3}, ?POSITION:to_tuple(Position)),
    ?assertError({badkey, other}, ?POSITION:'__struct__'(#{other => 1})).

text(N) ->
    <<Term:64, TxId:64, Checksum:64>> =
        <<(erlang:phash2(N)):32, N:64, (erlang:phash2(-N)):32, (N * N):64>>,
    ?POSITION:to_string(?POSITION:new({Term, TxId, Checksum})).
