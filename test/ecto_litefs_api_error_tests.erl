%% EctoLiteFS.Error: an exception as Elixir makes them.
-module(ecto_litefs_api_error_tests).

-include_lib("eunit/include/eunit.hrl").

-define(ERROR, 'Elixir.EctoLiteFS.Error').

fields_test() ->
    Error = ?ERROR:exception([{reason, primary_unavailable},
                              {action, 'insert!'}, {repo, my_repo},
                              {outcome, not_executed}]),
    ?assertEqual(#{'__struct__' => ?ERROR, '__exception__' => true,
                   reason => primary_unavailable, action => 'insert!',
                   repo => my_repo, node => nil, outcome => not_executed},
                 Error).

unknown_field_test() ->
    ?assertError({badkey, cause}, ?ERROR:exception([{cause, x}])).

%% One sentence: it says what to do and whether anything was written.
message_test_() ->
    [{lists:flatten(io_lib:format("~p", [Reason])),
      fun() ->
              Text = message(Reason),
              [?assertNotEqual(nomatch, string:find(Text, Part))
               || Part <- ["my_repo.insert! " | Parts]],
              ?assertEqual(nomatch, string:find(Text, "\n"))
      end}
     || {Reason, Parts} <-
            [{in_transaction, ["transaction", "nothing was written"]},
             {dynamic_repo_pid, ["put_dynamic_repo", "nothing was written"]},
             {{payload_too_large, 9000, 8000},
              ["9000", "8000", "max_forward_bytes", "nothing was written"]},
             {primary_unavailable, ["primary", "nothing was written"]},
             {{erpc, noconnection, 'p@h'}, ["p@h", "nothing was written"]},
             {{erpc, timeout, 'p@h'}, ["p@h", "may have been written"]},
             {overloaded, ["max_queue", "nothing was written"]},
             {migration, ["is_primary?", "nothing was written"]},
             {transaction_statement, ["Repo.transaction", "on: :local"]},
             {journal_mode, ["journal_mode", "not sent"]},
             {{remote_exception, 'Elixir.Far', <<"it said">>},
              ["Far", "it said"]}]
         ++ [{{not_executed, Why}, ["nothing was written" | Parts]}
             || {Why, Parts} <-
                    [{{cannot_travel, port}, ["port"]},
                     {{cannot_travel, handle}, ["reference"]},
                     {{timeout, 'p@h'}, ["p@h", "erpc_timeout"]},
                     {{demoted, 'p@h'}, ["p@h", "again"]},
                     {{repo_not_started, 'p@h'}, ["p@h", "start"]},
                     {{repeated_id, 'p@h'}, ["p@h", "twice"]},
                     {{other_version, 'p@h'}, ["p@h", "version"]},
                     {{no_library, 'p@h'}, ["p@h", "ecto_litefs"]},
                     {{other_build, 'Elixir.Mine', 'p@h'},
                      ["Mine", "p@h", "{module, function, arguments}"]},
                     {{no_function, {'Elixir.Mine', f, 2}, 'p@h'},
                      ["Mine", ".f/2", "p@h"]}]]].

message(Reason) ->
    ?ERROR:message(?ERROR:exception(#{reason => Reason, action => 'insert!',
                                      repo => my_repo})).
