%% The driver of test/contract/cases.terms for the stand-ins; the table's head
%% says what the words mean.
-module(ecto_litefs_contract).

-export([cases/1]).
-export([run/3]).

%% Called on a node.
-export([perform/3]).

-define(REPO, 'Elixir.TestRepo').
-define(PEER, ecto_litefs_test_peer).
-define(API, 'Elixir.EctoLiteFS').

-type spec() :: {Name :: atom(), Where :: term(), Action :: atom(),
                 Input :: {term(), list()}, Expected :: map()}.

-spec cases(file:filename()) -> [spec()].
cases(File) ->
    {ok, Cases} = file:consult(File),
    Cases.

%% Caller and Primary are two connected nodes without a Repo; everything that
%% a case starts has ended when this returns.
-spec run(spec(), file:filename(),
          {ecto_litefs_test_peer:t(), ecto_litefs_test_peer:t()}) -> ok.
run({Name, Where, Action, Input, Expected}, Directory, {Caller, Primary}) ->
    Context = #{caller => Caller, primary => Primary,
                directory => filename:join(Directory, atom_to_list(Name))},
    start(Where, Context),
    try
        prepare(Input, Context),
        Outcome = ?PEER:call(Caller, ?MODULE, perform,
                             [Action, Input, Where]),
        maps:foreach(fun(What, Value) ->
                             expect(What, Value, Outcome, Context)
                     end, Expected),
        [] = mailbox(Outcome),
        ok
    after
        stop(Where, Context)
    end.

%%% The nodes

start({in_transaction, Where}, Context) ->
    start(Where, Context);
start(Where, #{caller := Caller, primary := Primary} = Context) ->
    [begin
         ok = ?PEER:repo(Node, ?REPO, directory(Role, Context)),
         ok = ?PEER:call(Node, ecto_litefs_test_count, reset, []),
         supervise(Where, Role, Node, Context)
     end || {Role, Node} <- [{caller, Caller}, {primary, Primary}]],
    said(Where, Context).

supervise(no_supervisor, _Role, _Node, _Context) ->
    ok;
supervise(Where, Role, Node, Context) ->
    More = [{erpc_timeout, 300} || Where =:= slow]
        ++ [{max_forward_bytes, 16} || Where =:= narrow],
    ?PEER:supervise(Node, ?REPO, directory(Role, Context),
                    [{primary_wait, 0} | More]).

said(primary, Context) -> say(caller, set_primary, caller, Context);
said(no_litefs, _Context) -> ok;
said(no_supervisor, _Context) -> ok;
said(no_primary, #{caller := Caller, primary := Primary}) ->
    ok = ?PEER:call(Primary, ?API, set_replica, [?REPO]),
    ok = ?PEER:call(Caller, ?API, set_replica, [?REPO]);
said(unreachable, #{caller := Caller}) ->
    ok = ?PEER:call(Caller, ?API, set_primary, [?REPO, 'nobody@127.0.0.1']);
said(slow, Context) -> said(replica, Context);
said(narrow, Context) -> said(replica, Context);
said(replica, Context) ->
    ok = say(primary, set_primary, primary, Context),
    ok = say(caller, set_primary, primary, Context).

say(Who, Function, Named, Context) ->
    Node = ?PEER:node(maps:get(Named, Context)),
    ?PEER:call(maps:get(Who, Context), ?API, Function, [?REPO, Node]).

stop({in_transaction, Where}, Context) ->
    stop(Where, Context);
stop(Where, #{caller := Caller, primary := Primary}) ->
    [begin
         [ok = ?PEER:unsupervise(Node, ?REPO) || Where =/= no_supervisor],
         %% A later case may be one that never had a supervisor.
         _ = ?PEER:call(Node, persistent_term, erase, [{ecto_litefs, ?REPO}]),
         ok = ?PEER:call(Node, ecto_litefs_manual, restore, [?REPO, none]),
         ok = ?PEER:call(Node, ecto_litefs_test_repo, stop, [?REPO])
     end || Node <- [Caller, Primary]],
    ok.

directory(Role, #{directory := Directory}) ->
    filename:join(Directory, atom_to_list(Role)).

%%% The rows before the call

prepare({Resource, Modifiers}, Context) ->
    [seed(Name, [caller, primary], Context) || {seed, Name} <- Modifiers],
    [seed(Name, [primary], Context) || {seed_primary, Name} <- Modifiers],
    case stored(Resource) of
        {ok, Name} -> seed(Name, [caller, primary], Context);
        none -> ok
    end,
    [ok = ?PEER:call(maps:get(Role, Context), ecto_litefs_test_repo,
                     set_middleware, [?REPO, middleware(Modifiers)])
     || Role <- [caller, primary]].

stored(table) -> none;
stored({rows, _}) -> none;
stored({named, Name}) -> {ok, Name};
stored({named, Name, _}) -> {ok, Name};
stored({new, _}) -> none;
stored({struct, _}) -> none;
stored({stored, Name, _}) -> {ok, Name};
stored({gone, Name, _}) -> {ok, Name};
stored({stored_struct, Name}) -> {ok, Name};
stored({gone_struct, Name}) -> {ok, Name}.

seed(Name, Roles, Context) ->
    [{rowid, _} = sql(Role, "INSERT INTO items (name, value) VALUES (?, 0)",
                      [Name], Context) || Role <- Roles].

sql(Role, Sql, Params, Context) ->
    ?PEER:call(maps:get(Role, Context), ecto_litefs_test_repo, sql,
               [?REPO, Sql, Params]).

middleware(Modifiers) ->
    Names = proplists:get_value(middleware, Modifiers, [us]),
    [middleware_module(Name) || Name <- Names].

middleware_module(us) -> 'Elixir.EctoLiteFS.Middleware';
middleware_module(count) -> ecto_litefs_test_count;
middleware_module(count_all) -> ecto_litefs_test_count_all;
middleware_module(rename) -> ecto_litefs_test_rename.

%%% On the caller

perform(Action, {Resource, Modifiers}, Where) ->
    Args = args(Resource, Modifiers),
    case Where of
        {in_transaction, _} ->
            Fun = fun() -> apply(?REPO, Action, Args) end,
            in_transaction(ecto_litefs_test_capture:call(?REPO, transaction, [Fun]));
        _ ->
            ecto_litefs_test_capture:call(?REPO, Action, Args)
    end.

in_transaction({returned, {ok, Value}, Messages}) -> {returned, Value, Messages};
in_transaction(Outcome) -> Outcome.

args(table, _Modifiers) ->
    [items];
args({rows, Rows}, Modifiers) ->
    [items, Rows, proplists:get_value(options, Modifiers, [])];
args({named, Name}, Modifiers) ->
    [query(Name, Modifiers)];
args({named, Name, Set}, Modifiers) ->
    [query(Name, Modifiers), [{set, maps:to_list(Set)}]];
args({struct, Fields}, _Modifiers) ->
    [ecto_litefs_test_item:new(Fields)];
args({new, Params}, Modifiers) ->
    [changeset(ecto_litefs_test_item:new(), Params, Modifiers)];
args({stored, Name, Params}, Modifiers) ->
    [changeset(read(Name), Params, Modifiers)];
args({stored_struct, Name}, _Modifiers) ->
    [read(Name)];
args({gone, Name, Params}, Modifiers) ->
    [changeset(gone(Name), Params, Modifiers)];
args({gone_struct, Name}, _Modifiers) ->
    [gone(Name)].

query(Name, Modifiers) ->
    Query = ecto_litefs_test_bulk:named(Name),
    case lists:member(select, Modifiers) of
        true -> ecto_litefs_test_bulk:select(Query);
        false -> Query
    end.

read(Name) ->
    [Item] = [Item || #{name := N} = Item <- ecto_litefs_test_repo:all(?REPO),
                      N =:= Name],
    Item.

gone(Name) ->
    Item = read(Name),
    Delete = [?REPO, "DELETE FROM items WHERE name = ?", [Name]],
    [ok = erpc:call(Node, ecto_litefs_test_repo, sql, Delete)
     || Node <- [node() | nodes()]],
    Item.

changeset(Item, Params, Modifiers) ->
    lists:foldl(fun modify/2, ecto_litefs_test_item:changeset(Item, Params),
                Modifiers).

modify(unique, Changeset) ->
    ecto_litefs_test_item:unique_constraint(Changeset);
modify({hook, Hook}, Changeset) ->
    ecto_litefs_test_item:prepare_changes(
      Changeset, fun(Prepared) -> hook(Hook), Prepared end);
modify({middleware, _}, Changeset) -> Changeset;
modify({seed, _}, Changeset) -> Changeset;
modify({seed_primary, _}, Changeset) -> Changeset.

hook(raise) ->
    error(#{'__struct__' => 'Elixir.ArgumentError', '__exception__' => true,
            message => <<"from the hook">>});
hook(exit) -> exit({from, hook});
hook(throw) -> throw({from, hook});
hook(hang) -> receive never -> ok after 2000 -> ok end;
hook({insert, Name}) ->
    ?REPO:'insert!'(changeset(ecto_litefs_test_item:new(), #{name => Name}, [])).

%%% What came of it

mailbox({returned, _, Messages}) -> Messages;
mailbox({_, _, _, Messages}) -> Messages.

expect(result, Expected, Outcome, #{primary := Primary}) ->
    same(result, named(Expected, ?PEER:node(Primary)), result(Expected, Outcome));
expect(counts, Counts, _Outcome, Context) ->
    maps:foreach(
      fun(Role, Expected) ->
              Count = ?PEER:call(maps:get(Role, Context),
                                 ecto_litefs_test_count, count, []),
              same({count, Role}, Expected, Count)
      end, Counts);
expect(Role, Rows, _Outcome, Context) ->
    [_, {rows, Got}] = sql(Role, "SELECT name, value FROM items ORDER BY name",
                           [], Context),
    same({rows, Role}, Rows, [{Name, nil(Value)} || {Name, Value} <- Got]).

same(_What, Same, Same) -> ok;
same(What, Expected, Got) ->
    error({What, [{expected, Expected}, {got, Got}]}).

nil(null) -> nil;
nil(Value) -> Value.

named(primary_node, Node) -> Node;
named(repo, _Node) -> ?REPO;
named(Tuple, Node) when is_tuple(Tuple) ->
    list_to_tuple([named(Term, Node) || Term <- tuple_to_list(Tuple)]);
named(Map, Node) when is_map(Map) ->
    maps:map(fun(_, Value) -> named(Value, Node) end, Map);
named(Term, _Node) -> Term.

%% The outcome in the table's words, with as much of it as Expected names.
result({ok, Fields}, {returned, {ok, #{'__struct__' := _} = Item}, _}) ->
    {ok, fields(Fields, Item)};
result({struct, Fields}, {returned, #{'__struct__' := _} = Item, _}) ->
    {struct, fields(Fields, Item)};
result({invalid, _, _}, {returned, {error, #{errors := [Error | _]}}, _}) ->
    {Field, {Text, _}} = Error,
    {invalid, Field, Text};
result({error, _}, {returned, {error, Reason}, _}) ->
    {error, reason(Reason)};
result({count, _, nil}, {returned, {Count, nil}, _}) ->
    {count, Count, nil};
result({count, _, [_ | _] = Rows}, {returned, {Count, Items}, _}) ->
    {count, Count, [fields(Row, Item) || {Row, Item} <- lists:zip(Rows, Items)]};
result({raises, _, Fields}, {error, #{'__struct__' := Module} = Error, _, _}) ->
    {raises, Module, fields(Fields, Error)};
result({exits, _}, {exit, Reason, _, _}) ->
    {exits, Reason};
result({throws, _}, {throw, Value, _, _}) ->
    {throws, Value};
result({names, _}, {returned, Items, _}) when is_list(Items) ->
    {names, lists:sort([Name || #{name := Name} <- Items])};
result(_Expected, Outcome) ->
    Outcome.

fields(Fields, Struct) ->
    maps:map(fun(_, Value) -> reason(Value) end,
             maps:with(maps:keys(Fields), Struct)).

%% How large a struct is, is no part of the contract.
reason({payload_too_large, Size, Max}) when Size > Max ->
    {payload_too_large, size, Max};
reason(Value) -> Value.
