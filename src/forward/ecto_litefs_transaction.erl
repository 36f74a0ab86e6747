%% Transactions: which of them only read, and how one begins on the primary.
-module(ecto_litefs_transaction).

-export([place/2]).
-export([options/1]).
-export([run/4]).
-export([work/1]).
-export([on_refusal/1]).

-export_type([work/0]).
-export_type([multi/0]).

%% {Module, Function, Args} is data, and means the same in another build.
-type work() ::
        fun(() -> term()) | fun((module()) -> term()) | multi()
      | {module(), atom(), [term()]}.

-type multi() :: #{'__struct__' := 'Elixir.Ecto.Multi',
                   operations := [{Name :: term(), Operation :: tuple()}],
                   atom() => term()}.

-define(MULTI, 'Elixir.Ecto.Multi').

%% Where it belongs when this node is not the primary. migration: nowhere else,
%% because a migration's own process has to hold the transaction.
-spec place(work(), Options :: list()) -> local | remote | migration.
place(Work, Options) ->
    case proplists:get_value(read_only, Options, false) of
        true -> local;
        false -> place(Work)
    end.

place(#{'__struct__' := ?MULTI, operations := Operations}) ->
    case lists:all(fun({_Name, Operation}) -> reads(Operation) end, Operations) of
        true -> local;
        false -> remote
    end;
place(Fun) when is_function(Fun) ->
    case erlang:fun_info(Fun, module) of
        {module, 'Elixir.Ecto.Migrator'} -> migration;
        {module, _Module} -> remote
    end;
place({_Module, _Function, _Args}) ->
    remote.

reads({put, _Value}) -> true;
reads({inspect, _Options}) -> true;
reads({error, _Value}) -> true;
reads({run, Fun}) when is_function(Fun, 2) -> reads_by_name(Fun);
reads(_Write) -> false.

%% Ecto keeps Multi.all/4 and its like as a `run`, too, with a fun of its own.
%% Which of its funs that is, is seen by making one.
reads_by_name(Fun) ->
    erlang:fun_info(Fun, module) =:= {module, ?MULTI}
        andalso lists:member(identity(Fun), readers()).

readers() ->
    Nothing = ?MULTI:new(),
    [identity(Reader)
     || Function <- [one, all, 'exists?'],
        erlang:function_exported(?MULTI, Function, 4),
        #{operations := [{_, {run, Reader}}]}
            <- [?MULTI:Function(Nothing, reader, fun(_) -> nil end, [])]].

identity(Fun) ->
    [erlang:fun_info(Fun, Item) || Item <- [module, new_uniq, new_index]].

%% A transaction that reads first and then writes would otherwise find, in the
%% middle of it, that another one has written meanwhile: SQLITE_BUSY, at once.
-spec options(list()) -> list().
options(Options) ->
    case lists:keymember(mode, 1, Options) of
        true -> Options;
        false -> [{mode, immediate} | Options]
    end.

%% On the primary.
-spec run(module(), transaction | transact, work(), list()) -> term().
run(Repo, Function, Work, Options) ->
    apply(Repo, Function, [work(Work), Options]).

%% As Ecto takes it.
-spec work(work()) -> fun() | multi().
work({Module, Function, Args}) -> fun() -> apply(Module, Function, Args) end;
work(Work) -> Work.

%% SQLite refused it, so that nothing of it was written. A Multi of data is
%% only that; a fun may have done other things, and is not repeated for its
%% caller.
-spec on_refusal(work()) -> again | tell.
on_refusal(#{'__struct__' := ?MULTI, operations := Operations}) ->
    case lists:any(fun({_Name, Operation}) -> runs(Operation) end, Operations) of
        true -> tell;
        false -> again
    end;
on_refusal(_Work) ->
    tell.

runs({run, _Fun}) -> true;
runs({merge, _Fun}) -> true;
runs(_Operation) -> false.
