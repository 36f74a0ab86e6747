%% What becomes of a forwarded call when its connection is cut, at a byte that
%% the test chooses: B writes on A through a proxy, and asks A for the outcome
%% when the link is back. The rows on A say what really happened.
-module(cut_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_testcase/2, end_per_testcase/2]).
-export([cut_before_the_request_arrives/1, cut_while_it_runs/1,
         cut_of_the_reply/1, cut_before_and_not_healed/1,
         cut_while_it_runs_and_not_healed/1, primary_restarts_in_between/1,
         a_thousand_cuts/0, a_thousand_cuts/1]).

%% Called on a node.
-export([insert/1]).

-define(REPO, 'Elixir.TestRepo').
-define(API, 'Elixir.EctoLiteFS').
-define(PEER, ecto_litefs_test_peer).
-define(PAIR, ecto_litefs_test_pair).
-define(PROXY, ecto_litefs_test_proxy).
-define(CLAIMS, ecto_litefs_test_claims).
-define(WRITERS, ecto_litefs_test_writers).

-define(STREAM, {event_stream_url, <<"http://127.0.0.1:1/events">>}).
-define(CUTS, 1000).

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    [cut_before_the_request_arrives, cut_while_it_runs, cut_of_the_reply,
     cut_before_and_not_healed, cut_while_it_runs_and_not_healed,
     primary_restarts_in_between, a_thousand_cuts].

init_per_testcase(Name, Config) ->
    [] = os:cmd("epmd -daemon"),
    {A, B, _} = Pair = ?PAIR:start(),
    Config1 = [{pair, Pair}, {name, Name} | Config],
    [start(Peer, own(Own, Config1), options(Name))
     || {Own, Peer} <- [{a, A}, {b, B}]],
    ok = primary(A),
    ok = ?PEER:call(B, ?API, set_replica, [?REPO]),
    ok = ?PAIR:connect(Pair),
    Config1.

own(Peer, Config) ->
    filename:join([?config(priv_dir, Config), ?config(name, Config), Peer]).

start(Peer, Directory, Options) ->
    ok = ?PEER:repo(Peer, ?REPO, Directory),
    ok = ?PEER:supervise(Peer, ?REPO, Directory, Options).

primary(Peer) ->
    ?PEER:call(Peer, ?API, set_primary, [?REPO, ?PEER:node(Peer)]).

%% A stream that nobody serves: a write waits for a primary.
options(cut_before_and_not_healed) -> [{erpc_timeout, 1000} | options(any)];
options(cut_while_it_runs_and_not_healed) -> options(cut_before_and_not_healed);
options(_) -> [{mount, plain}, ?STREAM].

end_per_testcase(_Name, Config) ->
    ?PAIR:stop(?config(pair, Config)).

%% -- one cut ------------------------------------------------------------------

cut_before_the_request_arrives(Config) ->
    {A, B, Proxy} = Pair = ?config(pair, Config),
    {Request, _Reply} = measure_insert(Pair),
    Cut = ?PROXY:cut(Proxy, to_target, Request div 2),
    {Result, Events} = write(B, <<"ann">>),
    ok = ?PROXY:await(Cut),
    ?assertMatch({ok, #{name := <<"ann">>}}, Result),
    ?assertEqual({2, [refused]}, ?CLAIMS:of_call(Events)),
    ?assertEqual([<<"ann">>], names(A)).

%% It runs until the link is back, so that the answer may be either.
cut_while_it_runs(Config) ->
    {A, B, Proxy} = ?config(pair, Config),
    Call = held_insert(A, B, <<"ann">>),
    ok = ?PROXY:cut(Proxy),
    ecto_litefs_test_wait:until(true, fun() -> ?PROXY:linked(Proxy) end),
    release(A),
    {Result, Events} = answer(?PEER:await(Call)),
    ?assertMatch({ok, #{name := <<"ann">>}}, Result),
    {1, [_ | _] = Claims} = ?CLAIMS:of_call(Events),
    ?assertEqual([], lists:usort(Claims) -- [done, running]),
    ?assertEqual([<<"ann">>], names(A)).

cut_of_the_reply(Config) ->
    {A, B, Proxy} = Pair = ?config(pair, Config),
    {_Request, Reply} = measure_insert(Pair),
    Call = held_insert(A, B, <<"ann">>),
    Cut = ?PROXY:cut(Proxy, to_client, Reply div 2),
    release(A),
    {Result, Events} = answer(?PEER:await(Call)),
    ok = ?PROXY:await(Cut),
    ?assertMatch({ok, #{name := <<"ann">>}}, Result),
    ?assertEqual({1, [done]}, ?CLAIMS:of_call(Events)),
    ?assertEqual([<<"ann">>], names(A)).

%% -- a link that stays cut ----------------------------------------------------

cut_before_and_not_healed(Config) ->
    {A, B, Proxy} = Pair = ?config(pair, Config),
    {Request, _Reply} = measure_insert(Pair),
    ok = ?PROXY:block(Proxy),
    Cut = ?PROXY:cut(Proxy, to_target, Request div 2),
    unknown(A, write(B, <<"ann">>)),
    ok = ?PROXY:await(Cut),
    writes_again(Pair),
    ?assertEqual([<<"bob">>], names(A)).

cut_while_it_runs_and_not_healed(Config) ->
    {A, B, Proxy} = Pair = ?config(pair, Config),
    Call = held_insert(A, B, <<"ann">>),
    ok = ?PROXY:block(Proxy),
    ok = ?PROXY:cut(Proxy),
    unknown(A, answer(?PEER:await(Call))),
    release(A),
    writes_again(Pair),
    ?assertEqual([<<"ann">>, <<"bob">>], names(A)).

unknown(A, {Result, Events}) ->
    ?assertEqual({error, {erpc, timeout, ?PEER:node(A)}}, Result),
    ?assertEqual({1, []}, ?CLAIMS:of_call(Events)).

writes_again({_, B, Proxy} = Pair) ->
    ok = ?PROXY:heal(Proxy),
    ok = ?PAIR:connect(Pair),
    ?assertMatch({{ok, #{name := <<"bob">>}}, _}, write(B, <<"bob">>)).

%% The row is there, and the VM that knew of the call is not. The next one is
%% the primary: it would execute whatever was taken for not executed. B sleeps
%% meanwhile, and so does not see that there was none for a while.
primary_restarts_in_between(Config) ->
    {A, B, Proxy} = Pair = ?config(pair, Config),
    Call = held_insert(A, B, <<"ann">>),
    ok = ?PROXY:block(Proxy),
    Cut = ?PROXY:cut(Proxy, to_client, 0),
    release(A),
    ok = ?PROXY:await(Cut),
    ok = ?PEER:freeze(B),
    ?assertEqual([<<"ann">>], names(A)),
    ok = ?PEER:kill(A),
    {Again, _, _} = ?PAIR:restart(Pair),
    try
        start(Again, own(a, Config), options(any)),
        ok = primary(Again),
        ok = ?PROXY:heal(Proxy),
        ok = ?PEER:thaw(B),
        not_repeated(Again, answer(?PEER:await(Call)))
    after
        ?PEER:stop(Again)
    end.

not_repeated(A, {Result, Events}) ->
    ?assertEqual({error, {erpc, timeout, ?PEER:node(A)}}, Result),
    {1, Claims} = ?CLAIMS:of_call(Events),
    ?assertEqual([], Claims -- [gone]),
    ?assertEqual([<<"ann">>], names(A)).

%% -- many cuts ----------------------------------------------------------------

a_thousand_cuts() -> [{timetrap, {minutes, 5}}].

%% Without the unique index, so that what ran twice has two rows.
a_thousand_cuts(Config) ->
    {A, B, _} = Pair = ?config(pair, Config),
    {Request, Reply} = measure_insert(Pair),
    ok = sql(A, "DROP INDEX items_name_index"),
    Writers = ?WRITERS:start(4, fun(Name) -> insert_some(B, Name) end),
    ok = cuts(?CUTS, Pair, [{to_target, Request}, {to_client, Reply}]),
    Writes = ?WRITERS:stop(Writers),
    Windows = ?CLAIMS:windows([Events || {_, {_, Events}} <- Writes]),
    ct:pal("~b cuts, ~b writes, ~p", [?CUTS, length(Writes), Windows]),
    ?assertEqual([], [{Name, Result} || {Name, {Result, _}} <- Writes,
                                        element(1, Result) =/= ok]),
    ?assertEqual(lists:sort([Name || {Name, _} <- Writes]), names(A)),
    [?assert(Count >= ?CUTS div 20, Window)
     || {Window, Count} <- maps:to_list(Windows)].

%% Each one while writes are under way, and after one that was answered: by
%% then the link is back, and nobody is cut for ever.
cuts(0, _Pair, _Sizes) ->
    ok;
cuts(Left, {_, _, Proxy} = Pair, Sizes) ->
    Left rem 100 =:= 0 andalso ct:pal("~b cuts to come", [Left]),
    ok = ?WRITERS:await_answer(),
    {Direction, Size} = lists:nth(rand:uniform(length(Sizes)), Sizes),
    Cut = ?PROXY:cut(Proxy, Direction, rand:uniform(Size + 1) - 1),
    ok = ?PROXY:await(Cut),
    ok = ?PAIR:reach(Pair),
    cuts(Left - 1, Pair, Sizes).

%% One in three takes its time, and holds up the others.
insert_some(B, Name) ->
    Item = case erlang:phash2(Name, 3) of
               0 -> hooked(Name, fun() -> timer:sleep(rand:uniform(10)) end);
               _ -> item(Name)
           end,
    ?PEER:call(B, ?MODULE, insert, [Item]).

%% -- help ---------------------------------------------------------------------

%% On B.
insert(Item) -> telemetry:record(fun() -> ?REPO:insert(Item) end).

%% Nothing was left in the caller's mailbox.
answer({returned, {_Result, _Events} = Answer, []}) ->
    Answer.

%% Bytes of a request and of a reply.
measure_insert({A, B, _} = Pair) ->
    ?PAIR:measure(Pair, fun() ->
                                {{ok, _}, _} = write(B, <<"ann">>),
                                ok = sql(A, "DELETE FROM items")
                        end).

write(B, Name) ->
    answer(?PEER:write(B, ?MODULE, insert, [item(Name)])).

%% An insert that is under way on A until it is released.
held_insert(A, B, Name) ->
    Hold = fun() ->
                   true = register(cut_running, self()),
                   receive release -> ok end
           end,
    Call = ?PEER:async(B, ?MODULE, insert, [hooked(Name, Hold)]),
    ecto_litefs_test_wait:until(
      true, fun() -> is_pid(?PEER:call(A, erlang, whereis, [cut_running])) end),
    Call.

release(A) ->
    release = ?PEER:call(A, erlang, send, [cut_running, release]).

item(Name) ->
    ecto_litefs_test_item:changeset(ecto_litefs_test_item:new(),
                                    #{name => Name}).

hooked(Name, Hook) ->
    ecto_litefs_test_item:prepare_changes(
      item(Name), fun(Changeset) -> Hook(), Changeset end).

names(Peer) ->
    Rows = ?PEER:call(Peer, ecto_litefs_test_repo, rows, [?REPO]),
    [Name || {Name, _} <- Rows].

sql(Peer, Sql) ->
    ?PEER:call(Peer, ecto_litefs_test_repo, sql, [?REPO, Sql, []]).
