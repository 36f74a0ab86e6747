%% The options that a function of the stand-in Repo runs with: those given to
%% it, over those of Repo:default_options(Operation), as Ecto merges them.
-module(ecto_litefs_test_options).

-export([set_default/2]).
-export([default/2]).
-export([merged/3]).
-export([used/3]).
-export([last/2]).

-type options() :: [{atom(), term()}].

%% Fun is called with the operation.
-spec set_default(module(), fun((atom()) -> options())) -> ok.
set_default(Repo, Fun) ->
    persistent_term:put({?MODULE, Repo}, Fun).

-spec default(module(), atom()) -> options().
default(Repo, Operation) ->
    (persistent_term:get({?MODULE, Repo}, fun(_) -> [] end))(Operation).

%% Ecto does so where the function itself runs, below the middleware.
-spec merged(module(), atom(), options()) -> options().
merged(Repo, Operation, Given) ->
    Default = [Option || {Key, _} = Option <- Repo:default_options(Operation),
                         not lists:keymember(Key, 1, Given)],
    used(Repo, Operation, Default ++ Given).

%% Remembers them for last/2.
-spec used(module(), atom(), options()) -> options().
used(Repo, Operation, Options) ->
    Pool = ecto_litefs_test_pool:name(Repo:get_dynamic_repo()),
    true = ets:insert(Pool, {{options, Operation}, node(), Options}),
    Options.

%% What the operation ran with last on this node.
-spec last(atom(), atom()) -> {node(), options()} | none.
last(Pool, Operation) ->
    case ets:lookup(Pool, {options, Operation}) of
        [{_Key, Node, Options}] -> {Node, Options};
        [] -> none
    end.
