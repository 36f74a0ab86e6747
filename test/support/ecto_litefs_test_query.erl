%% Statements as text: the functions that ecto_sql gives a Repo, with the
%% results of Exqlite 0.29. Neither middleware nor default_options/1 is asked.
-module(ecto_litefs_test_query).

-export([query/4]).
-export(['query!'/4]).
-export([query_many/4]).

-type result() :: #{'__struct__' := 'Elixir.Exqlite.Result', command := execute,
                    columns := [binary()], rows := [[term()]] | nil,
                    num_rows := non_neg_integer()}.

-spec query(module(), iodata(), [term()], [{atom(), term()}]) ->
          {ok, result()} | {error, #{atom() => term()}}.
query(Repo, Sql, Params, Options) ->
    _ = ecto_litefs_test_options:used(Repo, query, Options),
    try {ok, run(Repo, iolist_to_binary(Sql), Params)}
    catch
        error:#{'__struct__' := Struct} = Error
          when Struct =:= 'Elixir.Exqlite.Error';
               Struct =:= 'Elixir.DBConnection.ConnectionError' ->
            {error, Error}
    end.

-spec 'query!'(module(), iodata(), [term()], [{atom(), term()}]) -> result().
'query!'(Repo, Sql, Params, Options) ->
    case query(Repo, Sql, Params, Options) of
        {ok, Result} -> Result;
        {error, Error} -> error(Error)
    end.

%% The adapter has none, whether it raises by its name or not.
-spec query_many(module(), iodata(), [term()], [{atom(), term()}]) ->
          no_return().
query_many(Repo, _Sql, _Params, Options) ->
    _ = ecto_litefs_test_options:used(Repo, query_many, Options),
    ecto_litefs_test_error:raise(
      'Elixir.RuntimeError', "the SQLite3 adapter has no query_many", []).

run(Repo, Statement, Params) ->
    Bound = [bound(Param, Statement) || Param <- Params],
    ecto_litefs_test_transaction:connected(
      Repo, fun(Connection) ->
                    Answer = ecto_litefs_test_sqlite:execute(
                               Connection, Statement, Bound),
                    {Columns, Rows} = found(Answer),
                    result(writes(Statement), Columns, Rows, Connection)
            end).

bound(nil, _Statement) -> null;
bound(undefined, _Statement) -> null;
bound(Atom, _Statement) when is_atom(Atom) -> atom_to_binary(Atom);
bound({blob, Data}, _Statement) -> {blob, iolist_to_binary(Data)};
bound(Text, _Statement) when is_list(Text) -> iolist_to_binary(Text);
bound(Value, _Statement) when is_number(Value); is_binary(Value) -> Value;
bound(Other, Statement) ->
    Message = io_lib:format("unsupported type: ~p", [Other]),
    ecto_litefs_test_error:raise('Elixir.Exqlite.Error',
                                 #{message => iolist_to_binary(Message),
                                   statement => Statement}).

found([{columns, Columns}, {rows, Rows}]) ->
    {[list_to_binary(Column) || Column <- Columns],
     [[value(Value) || Value <- tuple_to_list(Row)] || Row <- Rows]};
found(_Written) ->
    {[], []}.

value(null) -> nil;
value({blob, Data}) -> Data;
value(Value) -> Value.

%% Exqlite looks for these words, in capital letters and anywhere.
writes(Statement) ->
    binary:match(Statement, [<<"INSERT">>, <<"UPDATE">>, <<"DELETE">>])
        =/= nomatch.

%% It leaves out the columns of what writes, and all rows if there are none.
result(true, Columns, Rows, Connection) ->
    result([], case Columns of [] -> nil; _ -> Rows end,
           ecto_litefs_test_sqlite:changes(Connection));
result(false, Columns, Rows, _Connection) ->
    result(Columns, Rows, length(Rows)).

result(Columns, Rows, Count) ->
    #{'__struct__' => 'Elixir.Exqlite.Result', command => execute,
      columns => Columns, rows => Rows, num_rows => Count}.
