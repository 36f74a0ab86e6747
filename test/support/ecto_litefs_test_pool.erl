%% The pool of a stand-in Repo, as DBConnection's: whoever waits is served in
%% turn, and of the idle connections the one that was idle longest is used.
%% They are opened when first needed.
-module(ecto_litefs_test_pool).

-behaviour(gen_server).

-export([start/2]).
-export([start_link/2]).
-export([name/1]).
-export([meta/1]).
-export([run/2]).
-export([disconnect/1]).
-export([disconnect_all/1]).
-export([opened/1]).

-export([init/1]).
-export([handle_call/3]).
-export([handle_cast/2]).
-export([handle_info/2]).
-export([terminate/2]).

-export_type([options/0]).

-define(QUEUE_TIMEOUT, 60000).

%% See ecto_litefs_test_repo.
-type options() :: #{database := file:name_all(),
                     journal_mode => wal | delete,
                     busy_timeout => non_neg_integer(),
                     read_only => boolean(),
                     pool_size => pos_integer(),
                     queue_timeout => non_neg_integer(),
                     name => atom()}.

-spec start(module(), options()) -> {ok, pid()} | {error, term()}.
start(Repo, Options) ->
    Name = maps:get(name, Options, Repo),
    gen_server:start({local, Name}, ?MODULE, {Repo, Name, Options}, []).

-spec start_link(module(), options()) -> {ok, pid()} | {error, term()}.
start_link(Repo, Options) ->
    Name = maps:get(name, Options, Repo),
    gen_server:start_link({local, Name}, ?MODULE, {Repo, Name, Options}, []).

%% Of a pool that runs; its public table has the same name.
-spec name(atom() | pid()) -> atom().
name(Pid) when is_pid(Pid) ->
    case process_info(Pid, registered_name) of
        {registered_name, Name} -> Name;
        _ -> not_started(Pid)
    end;
name(Name) ->
    case whereis(Name) of
        undefined -> not_started(Name);
        _Pid -> Name
    end.

not_started(Pool) ->
    ecto_litefs_test_error:raise(
      'Elixir.RuntimeError',
      "could not lookup Ecto repo ~p because it was not started or it does "
      "not exist", [Pool]).

%% What Ecto.Adapter.lookup_meta/1 has of it.
-spec meta(atom() | pid()) -> #{atom() => term()}.
meta(Pool) ->
    ets:lookup_element(name(Pool), meta, 2).

%% The calling process has a connection for the time of Fun; within another
%% such Fun it has it already.
-spec run(atom(), fun((ecto_litefs_test_sqlite:connection()) -> Result)) ->
          Result.
run(Pool, Fun) ->
    case get({?MODULE, Pool}) of
        undefined -> checked_out(Pool, Fun);
        {_Ref, Connection, _How} -> Fun(Connection)
    end.

checked_out(Pool, Fun) ->
    {Ref, Connection} = checkout(Pool),
    put({?MODULE, Pool}, {Ref, Connection, keep}),
    try Fun(Connection)
    after
        {Ref, Connection, How} = erase({?MODULE, Pool}),
        gen_server:cast(Pool, {checkin, Ref, How})
    end.

checkout(Pool) ->
    case gen_server:call(Pool, checkout, infinity) of
        {ok, Ref, Connection} ->
            {Ref, Connection};
        {error, Reason, Message} ->
            ecto_litefs_test_error:raise(
              'Elixir.DBConnection.ConnectionError',
              #{message => Message, severity => error, reason => Reason})
    end.

%% The connection that the calling process has is closed when it is done.
-spec disconnect(atom()) -> ok.
disconnect(Pool) ->
    {Ref, Connection, _How} = get({?MODULE, Pool}),
    put({?MODULE, Pool}, {Ref, Connection, close}),
    ok.

%% Those in use are closed when their users are done.
-spec disconnect_all(atom() | pid()) -> ok.
disconnect_all(Pool) ->
    gen_server:call(Pool, disconnect_all, infinity).

%% How often a connection was opened.
-spec opened(atom() | pid()) -> non_neg_integer().
opened(Pool) ->
    gen_server:call(Pool, opened, infinity).

%%% The process. A connection is `closed` until it is opened; one that was lent
%%% before the newest disconnect_all is of an older generation.

-spec init({module(), atom(), options()}) -> {ok, map()}.
init({Repo, Name, Options}) ->
    process_flag(trap_exit, true),
    Name = ets:new(Name, [named_table, public]),
    Size = maps:get(pool_size, Options, 1),
    Meta = #{repo => Repo, pid => self(),
             adapter => 'Elixir.Ecto.Adapters.SQLite3',
             opts => [{repo, Repo}, {timeout, 15000}, {pool_size, Size}]},
    true = ets:insert(Name, {meta, Meta}),
    {ok, #{options => Options, generation => 0, opened => 0,
           idle => queue:from_list(lists:duplicate(Size, closed)),
           lent => #{}, waiting => queue:new()}}.

handle_call(checkout, From, #{idle := Idle} = State) ->
    case queue:out(Idle) of
        {empty, _} ->
            {noreply, wait(From, State)};
        {{value, Connection}, Rest} ->
            {noreply, lend(Connection, From, State#{idle := Rest})}
    end;
handle_call(disconnect_all, _From, #{idle := Idle} = State) ->
    #{generation := Generation} = State,
    Closed = queue:from_list(lists:map(fun close/1, queue:to_list(Idle))),
    {reply, ok, State#{idle := Closed, generation := Generation + 1}};
handle_call(opened, _From, #{opened := Opened} = State) ->
    {reply, Opened, State}.

handle_cast({checkin, Ref, How}, #{lent := Lent} = State)
  when is_map_key(Ref, Lent) ->
    demonitor(Ref, [flush]),
    {noreply, returned(Ref, How, State)};
%% Of another pool of this name, which was stopped meanwhile.
handle_cast({checkin, _Ref, _How}, State) ->
    {noreply, State}.

%% A holder that died may have left a transaction open.
handle_info({'DOWN', Ref, process, _Pid, _Reason}, State) ->
    {noreply, returned(Ref, close, State)};
handle_info({expired, From}, #{waiting := Waiting} = State) ->
    Expired = fun({Other, _Timer}) -> Other =:= From end,
    [gen_server:reply(From, {error, queue_timeout,
                             <<"request was dropped from queue">>})
     || true <- [queue:any(Expired, Waiting)]],
    {noreply, State#{waiting := queue:delete_with(Expired, Waiting)}};
handle_info({'EXIT', Pid, _Reason}, State) ->
    {noreply, forget(Pid, State)}.

terminate(_Reason, #{idle := Idle, lent := Lent}) ->
    InUse = [Connection || {Connection, _} <- maps:values(Lent)],
    lists:foreach(fun close/1, queue:to_list(Idle) ++ InUse).

wait(From, #{waiting := Waiting, options := Options} = State) ->
    Timeout = maps:get(queue_timeout, Options, ?QUEUE_TIMEOUT),
    Timer = erlang:send_after(Timeout, self(), {expired, From}),
    State#{waiting := queue:in({From, Timer}, Waiting)}.

lend(closed, From, #{options := Options, opened := Opened} = State) ->
    case ecto_litefs_test_sqlite:open(Options) of
        {ok, Connection} ->
            lend(Connection, From, State#{opened := Opened + 1});
        {error, Message} ->
            gen_server:reply(From, {error, error, Message}),
            next(closed, State)
    end;
lend(Connection, {Pid, _} = From, State) ->
    #{lent := Lent, generation := Generation} = State,
    Ref = monitor(process, Pid),
    gen_server:reply(From, {ok, Ref, Connection}),
    State#{lent := Lent#{Ref => {Connection, Generation}}}.

returned(Ref, How, #{lent := Lent, generation := Generation} = State) ->
    {Lending, Rest} = maps:take(Ref, Lent),
    Connection = case {How, Lending} of
                     {keep, {Same, Generation}} -> Same;
                     {_, {Old, _}} -> close(Old)
                 end,
    next(Connection, State#{lent := Rest}).

next(Connection, #{waiting := Waiting, idle := Idle} = State) ->
    case queue:out(Waiting) of
        {empty, _} ->
            State#{idle := queue:in(Connection, Idle)};
        {{value, {From, Timer}}, Rest} ->
            _ = erlang:cancel_timer(Timer),
            lend(Connection, From, State#{waiting := Rest})
    end.

close(closed) -> closed;
close(Connection) -> ok = ecto_litefs_test_sqlite:close(Connection), closed.

%% A connection's own process has ended.
forget(Pid, #{idle := Idle, lent := Lent} = State) ->
    Left = fun(closed) -> closed;
              (Connection) ->
                   case ecto_litefs_test_sqlite:is(Connection, Pid) of
                       true -> closed;
                       false -> Connection
                   end
           end,
    LeftIn = fun(_Ref, {Connection, Generation}) ->
                     {Left(Connection), Generation}
             end,
    State#{idle := queue:from_list(lists:map(Left, queue:to_list(Idle))),
           lent := maps:map(LeftIn, Lent)}.
