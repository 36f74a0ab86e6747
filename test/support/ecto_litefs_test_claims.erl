%% What a caller was told when it asked for the outcome of a call whose
%% connection broke, from the telemetry events of that call.
-module(ecto_litefs_test_claims).

-export([of_call/1]).
-export([windows/1]).

-export_type([claim/0]).
-export_type([window/0]).

-type events() :: [{[atom()], map(), map()}].
-type claim() :: refused | running | done | gone.

%% Where a cut was, by what was found out after it. before: the request had not
%% arrived. running: it was being executed. reply: it had been executed.
-type window() :: before | running | reply.

%% How often the call was sent, and the answers. A question that reached nobody
%% got none.
-spec of_call(events()) -> {Attempts :: non_neg_integer(), [claim()]}.
of_call(Events) ->
    {length([start || {[ecto_litefs, forward, start], _, _} <- Events]),
     [Claim || {[ecto_litefs, forward, claim], _, #{result := Claim}} <- Events,
               Claim =/= unreachable]}.

%% How many cuts there were in each, in the events of many calls.
-spec windows([events()]) -> #{window() := non_neg_integer()}.
windows(Calls) ->
    Windows = [Window || Events <- Calls,
                         Window <- classify(element(2, of_call(Events)))],
    maps:from_list([{Window, length([W || W <- Windows, W =:= Window])}
                    || Window <- [before, running, reply]]).

%% Of one call, which may be cut several times.
classify([]) -> [];
classify([refused | Claims]) -> [before | classify(Claims)];
classify([done | Claims]) -> [reply | classify(Claims)];
classify([running | Claims]) -> [running | classify(ended(Claims))];
classify([gone | Claims]) -> classify(Claims).

%% What was running may be found running again, and is done in the end.
ended([running | Claims]) -> ended(Claims);
ended([done | Claims]) -> Claims;
ended(Claims) -> Claims.
