-module(ecto_litefs_refusal_tests).

-include_lib("eunit/include/eunit.hrl").

not_begun_test_() ->
    [?_assertEqual(not_begun, ecto_litefs_refusal:proof(Reason))
     || Reason <- [exqlite(<<"attempt to write a readonly database">>),
                   exqlite(<<"unable to open database file">>),
                   exqlite(<<"locking protocol">>),
                   exqlite(<<"database is locked">>),
                   {error, exqlite(<<"locking protocol">>)}]].

if_alive_test_() ->
    [?_assertEqual(if_alive, ecto_litefs_refusal:proof(Reason))
     || Reason <- [exqlite(<<"disk I/O error">>),
                   exqlite(<<"INSERT failed: disk I/O error (778)">>),
                   {error, exqlite(<<"disk I/O error">>)}]].

none_test_() ->
    [?_assertEqual(none, ecto_litefs_refusal:proof(Reason))
     || Reason <- [<<>>, <<"disk I/O error">>, readonly, undef, [], 778,
                   exqlite(<<"UNIQUE constraint failed: items.name">>),
                   exqlite(nil),
                   #{message => "disk I/O error", reason => charlist},
                   #{text => <<"disk I/O error">>},
                   (exqlite(<<"disk I/O error">>))
                       #{'__struct__' := 'Elixir.RuntimeError'},
                   {badmatch, <<"disk I/O error">>}]].

%% What a read may meet, too, is no refusal of a replica.
of_replica_test_() ->
    [?_assertEqual(Proof, ecto_litefs_refusal:of_replica(exqlite(Text)))
     || {Proof, Text} <- [{not_begun, <<"attempt to write a readonly database">>},
                          {if_alive, <<"disk I/O error">>},
                          {none, <<"database is locked">>},
                          {none, <<"locking protocol">>},
                          {none, <<"unable to open database file">>}]]
        ++ [?_assertEqual(none, ecto_litefs_refusal:of_replica(Other))
            || Other <- [undef, #{message => <<"disk I/O error">>},
                         (exqlite(<<"attempt to write a readonly database">>))
                             #{'__struct__' := 'Elixir.RuntimeError'}]].

exqlite(Message) ->
    #{'__struct__' => 'Elixir.Exqlite.Error', '__exception__' => true,
      message => Message, statement => <<"INSERT">>}.
