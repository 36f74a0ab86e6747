-module(ecto_litefs_refusal_tests).

-include_lib("eunit/include/eunit.hrl").

refused_test_() ->
    [?_assert(ecto_litefs_refusal:refused(Reason))
     || Reason <- [<<"attempt to write a readonly database">>,
                   <<"disk I/O error">>,
                   exqlite(<<"attempt to write a readonly database">>),
                   exqlite(<<"disk I/O error">>),
                   exqlite(<<"INSERT failed: disk I/O error (778)">>),
                   exqlite(<<"unable to open database file">>),
                   exqlite(<<"locking protocol">>),
                   {error, exqlite(<<"disk I/O error">>)}]].

not_refused_test_() ->
    [?_assertNot(ecto_litefs_refusal:refused(Reason))
     || Reason <- [<<>>, readonly, undef, [], 778,
                   exqlite(<<"database is locked">>),
                   exqlite(<<"UNIQUE constraint failed: items.name">>),
                   exqlite(nil),
                   #{message => "disk I/O error", reason => charlist},
                   #{text => <<"disk I/O error">>},
                   {badmatch, <<"disk I/O error">>}]].

exqlite(Message) ->
    #{'__struct__' => 'Elixir.Exqlite.Error', '__exception__' => true,
      message => Message, statement => <<"INSERT">>}.
