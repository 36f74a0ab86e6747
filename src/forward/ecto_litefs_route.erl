%% Where a write goes. A pure function: no status may ever send a write to a
%% node that is known not to be the primary.
-module(ecto_litefs_route).

-export([local/1]).
-export([serves/2]).
-export([decide/2]).

-export_type([context/0]).
-export_type([decision/0]).

-type role() :: ecto_litefs_nif:role() | not_supervised.

-type context() ::
        #{supervised := boolean(),      % the Repo's supervisor runs
          candidates := [node()],       % who may be primary
          remaining_ms := integer()}.   % of the time to wait for a primary

-type decision() ::
        local | {forward, [node()]} | {wait, pos_integer()}
      | {error, primary_unavailable}.

%% `not_supervised`: no supervisor was ever started for the Repo, which is how
%% an application without LiteFS looks. `unknown` is never local.
-spec local(role()) -> boolean().
local(primary) -> true;
local(not_litefs) -> true;
local(not_supervised) -> true;
local(replica) -> false;
local(no_primary) -> false;
local(unknown) -> false.

%% Whether a node with this role may run what was forwarded to it. Another kind
%% of node has other data.
-spec serves(role(), ecto_litefs_status:kind()) -> boolean().
serves(primary, _Kind) -> true;
serves(not_litefs, plain) -> true;
serves(_Role, _Kind) -> false.

-spec decide(role(), context()) -> decision().
decide(Role, Context) ->
    case local(Role) of
        true -> local;
        false -> away(Context)
    end.

%% A claim is followed whatever this node's own status says: LiteFS tells the
%% replicas of a promotion a second later than the new primary knows.
away(#{supervised := false}) ->
    {error, primary_unavailable};
away(#{candidates := [_ | _] = Nodes}) ->
    {forward, Nodes};
away(#{candidates := [], remaining_ms := Ms}) when Ms > 0 ->
    {wait, Ms};
away(#{candidates := []}) ->
    {error, primary_unavailable}.
