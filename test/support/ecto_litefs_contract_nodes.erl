%% Two nodes with the stand-ins, on which the cases of the contract are run. A
%% case has Repos, supervisors and databases of its own.
%%
%%   Nodes = ecto_litefs_contract_nodes:start(Directory),
%%   [] = ecto_litefs_contract_nodes:run(Case, Nodes),
%%   ok = ecto_litefs_contract_nodes:stop(Nodes).
-module(ecto_litefs_contract_nodes).

-export([start/1]).
-export([stop/1]).
-export([run/2]).

-export_type([t/0]).

-opaque t() :: {ecto_litefs_test_pair:t(), Directory :: file:filename()}.

-define(PAIR, ecto_litefs_test_pair).
-define(PEER, ecto_litefs_test_peer).
-define(STAND_IN, ecto_litefs_test_repo).
-define(SQLITE, ecto_litefs_test_sqlite).
-define(STATE, ecto_litefs_contract_state).
-define(ROLES, [caller, primary]).

-spec start(file:filename()) -> t().
start(Directory) ->
    ok = empty_database(template(Directory)),
    {?PAIR:start(), Directory}.

%% With the table, and nothing in it.
empty_database(File) ->
    {ok, _} = ?STAND_IN:start('Elixir.TestRepo', #{database => File}),
    ok = ?STAND_IN:create_table('Elixir.TestRepo'),
    ?STAND_IN:stop('Elixir.TestRepo').

template(Directory) ->
    filename:join(Directory, "template.db").

-spec stop(t()) -> ok.
stop({Pair, _Directory}) ->
    ?PAIR:stop(Pair).

%% Everything that a case has started has ended when this returns.
-spec run(ecto_litefs_contract:spec(), t()) ->
          [ecto_litefs_contract:difference()].
run({Name, Where, _, _, _} = Case, {Pair, Directory}) ->
    Home = filename:join(Directory, atom_to_list(Name)),
    State = ?STATE:state(Where),
    Repo = repo(?STATE:'line?'(Where)),
    Template = template(Directory),
    Databases = maps:from_list([{Role, database(Role, Home, Template)}
                                || Role <- ?ROLES]),
    [ok = start(Repo, Role, State, Home, Pair) || Role <- ?ROLES],
    try
        ecto_litefs_contract:run(Case, world(Repo, Databases, Pair))
    after
        [ok = stop(Repo, Role, State, Pair) || Role <- ?ROLES],
        [ok = ?SQLITE:close(Database) || Database <- maps:values(Databases)]
    end.

repo(true) -> 'Elixir.FullRepo';
repo(false) -> 'Elixir.TestRepo'.

world(Repo, Databases, {Primary, Caller, Proxy}) ->
    #{repo => Repo,
      words => ecto_litefs_contract_stand_in,
      caller => ?PAIR:side(Caller),
      primary => ?PAIR:side(Primary),
      link => Proxy,
      sql => fun(Role, Sql, Params) ->
                     Database = maps:get(Role, Databases),
                     rows(?SQLITE:execute(Database, Sql, Params))
             end}.

rows([_Columns, {rows, Rows}]) ->
    [[nil(Value) || Value <- tuple_to_list(Row)] || Row <- Rows];
rows(_Written) ->
    [].

nil(null) -> nil;
nil(Value) -> Value.

%% A connection past the Repo, and so past the middleware and a read-only one.
%% The test need not survive a loss of power.
database(Role, Home, Template) ->
    File = file(Role, Home),
    ok = filelib:ensure_dir(File),
    {ok, _} = file:copy(Template, File),
    {ok, Connection} = ?SQLITE:open(#{database => File}),
    ?SQLITE:execute(Connection, "PRAGMA synchronous = OFF", []),
    Connection.

file(Role, Home) ->
    filename:join([Home, Role, "db"]).

%%% One node for one case

peer(primary, {A, _B, _Proxy}) -> A;
peer(caller, {_A, B, _Proxy}) -> B.

start(Repo, Role, State, Home, Pair) ->
    ReadOnly = Role =:= caller andalso ?STATE:'read_only?'(State),
    Options = #{database => file(Role, Home), read_only => ReadOnly},
    {ok, _} = ?PEER:call(peer(Role, Pair), ?STAND_IN, start, [Repo, Options]),
    supervise(Repo, Role, State, Home, Pair).

supervise(_Repo, _Role, no_supervisor, _Home, _Pair) ->
    ok;
supervise(Repo, Role, State, Home, Pair) ->
    ?PEER:supervise(peer(Role, Pair), Repo, filename:join(Home, Role),
                    ?STATE:options(State)).

%% A later case may be one that never had a supervisor.
stop(Repo, Role, State, Pair) ->
    Peer = peer(Role, Pair),
    [ok = ?PEER:unsupervise(Peer, Repo) || State =/= no_supervisor],
    _ = ?PEER:call(Peer, persistent_term, erase, [{ecto_litefs, Repo}]),
    ok = ?PEER:call(Peer, ecto_litefs_manual, restore, [Repo, none]),
    ?PEER:call(Peer, ?STAND_IN, stop, [Repo]).
