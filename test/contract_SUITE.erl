%% The table of cases against the stand-ins, on two real nodes.
-module(contract_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1]).
-export([the_table/1, every_function_in_every_column/1]).

-define(TABLE, ecto_litefs_contract_table).

suite() -> [{timetrap, {minutes, 3}}].

all() -> [every_function_in_every_column, the_table].

init_per_suite(Config) ->
    [] = os:cmd("epmd -daemon"),
    Nodes = ecto_litefs_contract_nodes:start(?config(priv_dir, Config)),
    [{nodes, Nodes}, {cases, ?TABLE:cases(table())} | Config].

end_per_suite(Config) ->
    ecto_litefs_contract_nodes:stop(?config(nodes, Config)).

table() ->
    Root = filename:dirname(filename:dirname(code:which(?MODULE))),
    filename:join([source_root(Root), "test", "contract", "cases.terms"]).

%% rebar3 compiles below _build/test.
source_root(Directory) ->
    case filelib:is_regular(filename:join(Directory, "rebar.config")) of
        true -> Directory;
        false when Directory =/= "/" -> source_root(filename:dirname(Directory))
    end.

%% All cases are run, and all that failed are named.
the_table(Config) ->
    Failed = [element(1, Case) || Case <- ?config(cases, Config),
                                  failed(Case, ?config(nodes, Config))],
    {[], _} = {Failed, length(?config(cases, Config))},
    ok.

failed(Case, Nodes) ->
    try ecto_litefs_contract_nodes:run(Case, Nodes) of
        [] -> false;
        Differences -> failed(Case, "~tp", [Differences])
    catch
        Class:Reason:Stack ->
            failed(Case, "~p: ~tp~n~tp", [Class, Reason, Stack])
    end.

failed(Case, Format, Args) ->
    ct:pal("~p~n" ++ Format, [element(1, Case) | Args]),
    true.

%% A case that is missing in the table is not noticed by running it.
every_function_in_every_column(Config) ->
    Names = [element(1, Case) || Case <- ?config(cases, Config)],
    Impossible = ?TABLE:impossible(table()),
    Cells = [?TABLE:name(Column, Function)
             || Column <- columns(), Function <- functions()],
    ?assertEqual([], Cells -- (Names ++ Impossible)),
    ?assertEqual([], Impossible -- Cells),
    ?assertEqual([], [Name || Name <- Impossible, lists:member(Name, Names)]),
    ?assertEqual([], Names -- lists:usort(Names)).

columns() ->
    [primary, primary_in_transaction, no_litefs, replica, no_primary,
     unreachable, timeout, too_large, in_transaction, lost_before_sending,
     lost_after_sending, lost_before_reply, lost_for_good, remote_raise,
     remote_exit, remote_throw, primary_raise, primary_exit, primary_throw,
     constraint, primary_constraint, invalid, primary_invalid, stale,
     primary_stale].

functions() ->
    [insert, 'insert!', update, 'update!', delete, 'delete!', insert_or_update,
     'insert_or_update!', insert_all, update_all, delete_all,
     transaction_fun, transaction_multi, transaction_mfa, transact_fun,
     query, 'query!', query_many, 'query_many!',
     'EctoLiteFS.transaction_fun', 'EctoLiteFS.run_on_primary_fun'].
