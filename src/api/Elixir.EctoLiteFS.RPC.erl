%% How a fun gets to another node: the seam for a user's tests. Only a forward
%% below other middleware goes through here; see EctoLiteFS.Middleware.
-module('Elixir.EctoLiteFS.RPC').

-export([call/3]).

%% As :erpc.call/3, with a stricter :noconnection: it means that nothing was
%% sent. A connection that broke later is a :timeout, as the fun may have run.
-spec call(node(), fun(() -> Result), timeout()) -> Result.
call(Node, Fun, Timeout) ->
    ecto_litefs_attempt:call(Node, Fun, Timeout).
