%% The table of cases against the stand-ins, on two real nodes.
-module(contract_SUITE).

-include_lib("common_test/include/ct.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1]).
-export([the_table/1, every_function_on_both_sides/1]).

suite() -> [{timetrap, {minutes, 3}}].

all() -> [every_function_on_both_sides, the_table].

init_per_suite(Config) ->
    [] = os:cmd("epmd -daemon"),
    Caller = ecto_litefs_test_peer:start(caller),
    Primary = ecto_litefs_test_peer:start(primary),
    ok = ecto_litefs_test_peer:connect([Caller, Primary]),
    [{peers, {Caller, Primary}}, {cases, cases()} | Config].

end_per_suite(Config) ->
    {Caller, Primary} = ?config(peers, Config),
    ecto_litefs_test_peer:stop(Caller),
    ecto_litefs_test_peer:stop(Primary).

cases() ->
    Root = filename:dirname(filename:dirname(code:which(?MODULE))),
    ecto_litefs_contract:cases(
      filename:join([source_root(Root), "test", "contract", "cases.terms"])).

%% rebar3 compiles below _build/test.
source_root(Directory) ->
    case filelib:is_regular(filename:join(Directory, "rebar.config")) of
        true -> Directory;
        false when Directory =/= "/" -> source_root(filename:dirname(Directory))
    end.

%% All cases are run, and all that failed are named.
the_table(Config) ->
    Failed = [Name || {Name, _, _, _, _} = Case <- ?config(cases, Config),
                      failed(Case, Config)],
    {[], _} = {Failed, length(?config(cases, Config))},
    ok.

failed({Name, _, _, _, _} = Case, Config) ->
    try ecto_litefs_contract:run(Case, ?config(priv_dir, Config),
                                 ?config(peers, Config)) of
        ok -> false
    catch
        Class:Reason:Stack ->
            ct:pal("~p~n~p: ~tp~n~tp", [Name, Class, Reason, Stack]),
            true
    end.

%% A row that is missing in the table is not noticed by running it.
every_function_on_both_sides(Config) ->
    Functions = [insert, 'insert!', update, 'update!', delete, 'delete!',
                 insert_or_update, 'insert_or_update!',
                 insert_all, update_all, delete_all],
    Seen = [{Where, Action} || {_, Where, Action, _, #{result := Result}}
                                   <- ?config(cases, Config),
                               lists:member(element(1, Result),
                                            [ok, struct, count])],
    [] = [{Where, Function} || Where <- [primary, replica],
                               Function <- Functions]
        -- lists:usort(Seen),
    ok.
