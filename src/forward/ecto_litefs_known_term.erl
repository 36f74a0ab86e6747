%% In which term a Repo's local copy is, as it was found out last, and the era for
%% which that holds. Written by ecto_litefs_await_server, read by every caller.
%% Without the table (the application was stopped) nothing is known.
-module(ecto_litefs_known_term).

-export([new/0]).
-export([put/3]).
-export([get/1]).

-export_type([era/0]).

%% A detector that was restarted counts anew.
-type era() :: {ecto_litefs_nif:handle(), Era :: non_neg_integer()}.

-define(TABLE, ?MODULE).

%% The table belongs to the calling process, which is ecto_litefs_sup.
-spec new() -> ok.
new() ->
    ?TABLE = ets:new(?TABLE, [named_table, public, {read_concurrency, true}]),
    ok.

-spec put(module(), era(), ecto_litefs_local_term:local_term()) -> ok.
put(Repo, Era, Term) ->
    try ets:insert(?TABLE, {Repo, {Era, Term}}) of
        true -> ok
    catch
        error:badarg -> ok
    end.

-spec get(module()) ->
          {era(), ecto_litefs_local_term:local_term()} | unknown.
get(Repo) ->
    try ets:lookup_element(?TABLE, Repo, 2)
    catch
        error:badarg -> unknown % also where there is no such Repo
    end.
