%% Does this failure say that SQLite refused to write? LiteFS refuses a
%% replica's write with 1544 at the first statement, or in WAL mode with 778
%% at the COMMIT, which is also what a broken disk looks like: what it means
%% is only known together with the role. Under a LiteFS that died nothing can
%% be opened, and after ten seconds no lock is had either, before a statement
%% begins. Exqlite keeps the text, not the code.
-module(ecto_litefs_refusal).

-export([refused/1]).

-define(TEXTS, [<<"attempt to write a readonly database">>,
                <<"disk I/O error">>,
                <<"unable to open database file">>,
                <<"locking protocol">>]).

-spec refused(term()) -> boolean().
refused(Text) when is_binary(Text) ->
    binary:match(Text, ?TEXTS) =/= nomatch;
refused(#{message := Text}) when is_binary(Text) ->
    refused(Text);
refused({error, Reason}) ->
    refused(Reason);
refused(_Other) ->
    false.
