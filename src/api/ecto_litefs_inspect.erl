%% Terms in messages, as Elixir writes them where there is an Elixir.
-module(ecto_litefs_inspect).

-export([inspect/1]).

-spec inspect(term()) -> unicode:chardata().
inspect(Term) ->
    case code:ensure_loaded('Elixir.Kernel') of
        {module, Kernel} -> Kernel:inspect(Term);
        {error, _} -> io_lib:format("~tp", [Term])
    end.
