%% On a node that is not promoted: writes through the middleware without a
%% pause, and remembers when a write was done and on which node it ran.
-module(bench_writer).

-export([start/0]).
-export([stop/0]).
-export([first/2]).

-spec start() -> ok.
start() ->
    Caller = self(),
    Writer = spawn(fun() ->
        true = register(?MODULE, self()),
        ?MODULE = ets:new(?MODULE, [named_table, ordered_set, protected]),
        Caller ! {self(), started},
        write(1)
    end),
    receive {Writer, started} -> ok end.

-spec stop() -> ok.
stop() ->
    Monitor = monitor(process, ?MODULE),
    ?MODULE ! stop,
    receive {'DOWN', Monitor, process, _, _} -> ok end.

%% The end of the first write after Since that ran on node Number.
-spec first(1..3, integer()) -> {ok, integer()} | none.
first(Number, Since) ->
    Ends = ets:select(?MODULE, [{{'$1', Number}, [{'>', '$1', Since}],
                                 ['$1']}]),
    case Ends of
        [First | _] -> {ok, First};
        [] -> none
    end.

%% What failed, or may have failed, is not written again. It does not wait until
%% its own LiteFS has connected to the new primary and has the row.
write(N) ->
    Item = e2e_node:stamped(<<"promote ", (integer_to_binary(N))/binary>>),
    case 'Elixir.TestRepo':insert(Item, [{await, false}]) of
        {ok, #{value := Number}} ->
            true = ets:insert(?MODULE, {e2e_wait:us(), Number});
        {error, _Reason} ->
            true
    end,
    receive stop -> ok after 0 -> write(N + 1) end.
