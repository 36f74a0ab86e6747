%% Which BEAM node is the primary? Answered in the calling process, from pg's
%% table; without a claim there, from the tracking row. Every answer is a hint:
%% the executor on that node decides.
-module(ecto_litefs_directory).

-export([candidates/2]).
-export([choose/3]).
-export([find/4]).
-export([primaryship/2]).

%% What a node says of itself: for how many milliseconds it has been primary,
%% by a look at the directory made for this question.
-type primaryship() :: {primary, non_neg_integer()} | not_primary.

%% How long a claimant's own look at its directory may take. Shorter than the
%% time given to choose/3, so that a slow one still answers.
-define(CHECK_MS, 150).

%% The nodes to ask: on a plain directory the one that the user named, else
%% those that claim to be primary, without those that lately did not answer.
-spec candidates(module(), ecto_litefs_status:kind()) -> [node()].
candidates(Repo, plain) ->
    case ecto_litefs_manual:named(Repo) of
        {ok, Node} when Node =/= node() -> [Node];
        {ok, _Self} -> claims(Repo, plain);
        none -> claims(Repo, plain)
    end;
candidates(Repo, litefs) ->
    case claims(Repo, litefs) of
        [] -> ecto_litefs_tracked:candidates(Repo);
        Nodes -> Nodes
    end.

claims(Repo, Kind) ->
    Nodes = [node(Pid) || Pid <- ecto_litefs_claim:members(Repo, Kind)],
    [Node || Node <- lists:usort(Nodes),
             Node =/= node(), not ecto_litefs_breaker:skipped(Node)].

%% One of them is taken at its word. Several (a healed partition; a frozen
%% node stays a member for a minute) are asked all at once, and the newest
%% primaryship wins.
-spec choose(module(), ecto_litefs_status:kind(), timeout()) ->
          {ok, node()} | none.
choose(Repo, Kind, Timeout) ->
    case candidates(Repo, Kind) of
        [] -> none;
        [Node] -> {ok, Node};
        Nodes -> ask(Nodes, Repo, Kind, Timeout)
    end.

%% The same for who does not try again: without a claim it waits for what the
%% tracking row leads to. Force: the row is read anew.
-spec find(module(), ecto_litefs_status:kind(), Force :: boolean(),
           non_neg_integer()) -> {ok, node()} | none.
find(Repo, Kind, Force, Timeout) ->
    case {claims(Repo, Kind), Kind} of
        {[], litefs} -> ecto_litefs_tracked:find(Repo, Force, Timeout);
        _ClaimsOrPlain -> choose(Repo, Kind, Timeout)
    end.

ask(Nodes, Repo, Kind, Timeout) ->
    Answers = erpc:multicall(Nodes, ?MODULE, primaryship, [Repo, Kind],
                             Timeout),
    Answered = lists:zip(Nodes, Answers),
    lists:foreach(fun skip_silent/1, Answered),
    newest([{Ms, Node} || {Node, {ok, {primary, Ms}}} <- Answered]).

skip_silent({_Node, {ok, _Answer}}) -> ok;
skip_silent({Node, {_Class, _Reason}}) -> ecto_litefs_breaker:skip(Node).

newest([]) ->
    none;
newest(Primaries) ->
    {_Ms, Node} = lists:min(Primaries),
    {ok, Node}.

%% Runs on the node that is asked, in a process made for it.
-spec primaryship(module(), ecto_litefs_status:kind()) -> primaryship().
primaryship(Repo, Kind) ->
    Same = ecto_litefs_status:kind(Repo) =:= Kind,
    case Same andalso ecto_litefs_status:check(Repo, ?CHECK_MS) of
        primary -> since(Repo, ecto_litefs_status:snapshot(Repo));
        not_litefs when Kind =:= plain ->
            since(Repo, ecto_litefs_status:snapshot(Repo));
        _ -> not_primary
    end.

since(_Repo, not_supervised) ->
    not_primary;
since(Repo, Snapshot) ->
    {primary, ecto_litefs_primaryship:age_ms(Repo, Snapshot)}.
