%% Tests of the stand-in Repo in one VM: each has a Repo of its own, with the
%% table, on a database of its own.
-module(ecto_litefs_test_fixture).

-export([each/2]).
-export([restart/2]).
-export([item/1]).
-export([named/1]).
-export([stored/1]).

-define(STAND_IN, ecto_litefs_test_repo).

%% A Repo that was started, and where its database is.
-type started() :: {module(), file:filename()}.

%% For EUnit. A test is called with what restart/2 takes.
-spec each(module(), [{string(), fun((started()) -> term())}]) -> term().
each(Repo, Tests) ->
    {foreach, fun() -> setup(Repo) end, fun cleanup/1,
     [fun(Started) -> {Name, {timeout, 30, fun() -> Test(Started) end}} end
      || {Name, Test} <- Tests]}.

setup(Repo) ->
    Unique = integer_to_list(erlang:unique_integer([positive])),
    Directory = filename:join("/tmp", "ecto_litefs_repo_" ++ os:getpid()
                              ++ "_" ++ Unique),
    ok = file:make_dir(Directory),
    ok = start({Repo, Directory}, #{}),
    ok = ?STAND_IN:create_table(Repo),
    ok = ?STAND_IN:set_middleware(Repo, [ecto_litefs_test_count]),
    ok = ecto_litefs_test_count:reset(),
    {Repo, Directory}.

start({Repo, Directory}, Options) ->
    Database = filename:join(Directory, "db"),
    {ok, _} = ?STAND_IN:start(Repo, Options#{database => Database}),
    ok.

cleanup({Repo, Directory}) ->
    ok = ?STAND_IN:stop(Repo),
    ok = ?STAND_IN:set_middleware(Repo, ['Elixir.EctoLiteFS.Middleware']),
    ok = ?STAND_IN:set_default_options(Repo, fun(_) -> [] end),
    ok = file:del_dir_r(Directory).

%% On the same database, with other options.
-spec restart(started(), map()) -> ok.
restart({Repo, _Directory} = Started, Options) ->
    ok = ?STAND_IN:stop(Repo),
    start(Started, Options).

-spec item(binary()) -> ecto_litefs_test_item:changeset().
item(Name) ->
    ecto_litefs_test_item:changeset(ecto_litefs_test_item:new(),
                                    #{name => Name}).

-spec named(binary()) -> ecto_litefs_test_bulk:query().
named(Name) ->
    ecto_litefs_test_bulk:named(Name).

%% The item "ann".
-spec stored(module()) -> {ok, ecto_litefs_test_item:item()}.
stored(Repo) ->
    Repo:insert(item(<<"ann">>)).
