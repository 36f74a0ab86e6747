%% What the functions with Elixir names answer where a call was not done: an
%% error tuple in 1.0's shapes, or EctoLiteFS.Error.
-module(ecto_litefs_answer).

-export([failed/3]).
-export([raise/3]).

-type failure() ::
        #{reason := 'Elixir.EctoLiteFS.Error':reason(), atom() => term()}.

%% A function that answers {:ok, _} or {:error, _} answers an error; but in a
%% transaction an error that is not looked at would look like success, and a
%% call that can never be forwarded is a mistake in the program.
-spec failed(failure(), module(), atom()) -> {error, term()} | no_return().
failed(#{reason := Reason} = Failure, Repo, Action) ->
    case {always(Reason) orelse on_error(Repo) =:= raise, answers(Action)} of
        {false, reason} -> {error, Reason};
        {false, exception} -> {error, exception(Failure, Repo, Action)};
        _ -> raise(Failure, Repo, Action)
    end.

-spec raise(failure(), module(), atom()) -> no_return().
raise(#{stack := Stack} = Failure, Repo, Action) ->
    Error = exception(maps:remove(stack, Failure), Repo, Action),
    erlang:raise(error, Error, Stack);
raise(Failure, Repo, Action) ->
    error(exception(Failure, Repo, Action)).

exception(Failure, Repo, Action) ->
    'Elixir.EctoLiteFS.Error':exception(
      Failure#{repo => Repo, action => Action}).

on_error(Repo) ->
    case ecto_litefs_instance:lookup(Repo) of
        {_Access, #{on_error := OnError}} -> OnError;
        none -> return
    end.

always(in_transaction) -> true;
always(dynamic_repo_pid) -> true;
always(migration) -> true;
always(transaction_statement) -> true;
always(journal_mode) -> true;
always({remote_exception, _Module, _Text}) -> true;
always(_Reason) -> false.

%% Ecto's query answers an exception, its single-row functions anything.
answers(insert) -> reason;
answers(update) -> reason;
answers(delete) -> reason;
answers(insert_or_update) -> reason;
answers(query) -> exception;
answers(query_many) -> exception;
answers(_Action) -> nothing.
