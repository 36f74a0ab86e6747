%% One case of test/contract/cases.terms, whose head says what the words mean:
%% it is made in a world, and what came of it is compared with what is expected.
-module(ecto_litefs_contract).

-export([run/2]).

-export_type([spec/0]).
-export_type([input/0]).
-export_type([difference/0]).

-type spec() :: {Name :: atom(), Where :: term(), Action :: atom(), input(),
                 Expected :: #{atom() => term()}}.
-type input() :: {Resource :: term(), Modifiers :: list()}.
-type difference() :: {What :: atom(), Wanted :: term(), Got :: term()}.
-type world() :: ecto_litefs_contract_world:t().

%% Gives what is not as expected.
-spec run(spec(), world()) -> [difference()].
run({_Name, Where, Action, Input, Expected}, World) ->
    State = ecto_litefs_contract_state:state(Where),
    ok = reach(World),
    ok = ecto_litefs_contract_state:said(State, World),
    Args = prepared(Input, World),
    Wanted = wanted(Expected#{left => []}, World),
    Call = call(Where, Action, Args, World),
    Outcome = ecto_litefs_contract_course:run(State, Call, World),
    Got = maps:map(fun(What, Value) -> got(What, Value, Outcome, World) end,
                   Wanted),
    [{What, Value, maps:get(What, Got)}
     || {What, Value} <- maps:to_list(Wanted), Value =/= maps:get(What, Got)].

reach(#{caller := Caller, primary := Primary, link := Link}) ->
    ecto_litefs_test_link:reach(Primary, Caller, Link).

call(Where, Action, Args, #{repo := Repo} = World) ->
    Perform = [ecto_litefs_contract_call, perform, [Where, Repo, Action, Args]],
    fun() -> on(caller, ecto_litefs_test_capture, call, Perform, World) end.

%%% Before the call

%% Its arguments are read with the usual middleware, and before what is to be
%% gone goes.
prepared({Resource, Modifiers} = Input, World) ->
    ok = middleware([us], World),
    Resources = resources(Resource),
    Seeds = [Name || {seed, Name} <- Modifiers]
        ++ lists:flatmap(fun stored/1, Resources),
    More = [Name || {seed_primary, Name} <- Modifiers],
    ok = table(caller, lists:usort(Seeds), World),
    ok = table(primary, lists:usort(Seeds ++ More), World),
    Args = arguments(Input, World),
    [[] = sql(Role, <<"DELETE FROM items WHERE name = ?">>, [Name], World)
     || Role <- [caller, primary],
        Name <- lists:flatmap(fun gone/1, Resources)],
    ok = middleware(proplists:get_value(middleware, Modifiers, [us]), World),
    Args.

middleware(Names, #{repo := Repo, words := Words} = World) ->
    [begin
         ok = on(Role, Words, set_middleware, [Repo, Names], World),
         ok = on(Role, Words, reset_count, [], World)
     end || Role <- [caller, primary]],
    ok.

arguments(Input, #{repo := Repo, words := Words} = World) ->
    on(caller, ecto_litefs_contract_call, arguments, [Words, Repo, Input],
       World).

resources({Kind, Steps}) when Kind =:= 'fun'; Kind =:= multi; Kind =:= mfa ->
    lists:flatmap(fun step/1, Steps);
resources(Resource) ->
    [Resource].

step({run, Step}) -> step(Step);
step({_Action, {Resource, Modifiers}}) when is_list(Modifiers) ->
    resources(Resource);
step(_NoResource) -> [].

stored({stored, Name, _}) -> [Name];
stored({stored_struct, Name}) -> [Name];
stored({named, Name}) -> [Name];
stored({named, Name, _}) -> [Name];
stored(Resource) -> gone(Resource).

gone({gone, Name, _}) -> [Name];
gone({gone_struct, Name}) -> [Name];
gone(_Resource) -> [].

%% These rows, and no others. The id of a name is the same on both nodes.
table(Role, Names, World) ->
    [] = sql(Role, <<"DELETE FROM items">>, [], World),
    Insert = ["INSERT INTO items (id, name, value) VALUES ",
              lists:join(", ", ["(?, ?, 0)" || _ <- Names])],
    Params = [[erlang:phash2(Name), Name] || Name <- Names],
    [[] = sql(Role, Insert, lists:append(Params), World) || Names =/= []],
    ok.

%%% After the call

%% The nodes and the Repo have other names each time.
wanted(Expected, #{repo := Repo} = World) ->
    Primary = ecto_litefs_contract_world:name(primary, World),
    maps:map(fun(Role, unchanged) -> rows(Role, World);
                (_, Value) ->
                     ecto_litefs_contract_result:expected(Value, Repo, Primary)
             end, Expected).

got(result, Wanted, Outcome, _World) ->
    ecto_litefs_contract_result:got(Wanted, Outcome);
got(left, _Nothing, Outcome, _World) ->
    element(tuple_size(Outcome), Outcome);
got(counts, Wanted, _Outcome, #{words := Words} = World) ->
    maps:map(fun(Role, _) -> on(Role, Words, count, [], World) end, Wanted);
got(Role, _Rows, _Outcome, World) ->
    rows(Role, World).

rows(Role, World) ->
    Select = <<"SELECT name, value FROM items ORDER BY name">>,
    [list_to_tuple(Row) || Row <- sql(Role, Select, [], World)].

sql(Role, Sql, Params, #{sql := Run}) ->
    Run(Role, iolist_to_binary(Sql), Params).

on(Role, Module, Function, Args, World) ->
    ecto_litefs_contract_world:on(Role, Module, Function, Args, World).
