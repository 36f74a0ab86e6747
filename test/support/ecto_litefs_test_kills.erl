%% The port program, killed within one request after the other, beside a second
%% connection to its database. All of it is in the VM of the calling process.
-module(ecto_litefs_test_kills).

-export([run/1]).
-export([kinds/0]).
-export([row/1]).
-export([until_asked/1]).

-export_type([options/0]).
-export_type([counts/0]).

%% first: the first row, and where in the kinds it begins. spin_us: within which
%% time a request is killed of which nobody knows how far it is.
-type options() ::
        #{repo := module(), % any name
          database := file:filename(),
          journal_mode := wal | delete,
          kinds := [kind()],
          first := pos_integer(),
          count := pos_integer(),
          spin_us := pos_integer()}.

-type kind() ::
        write_stopped | read_stopped | open_stopped | close_stopped
      | write_locked | write_running | read_running | open_running.

%% done: before the kill. slowest_us: of the other connection's writes, each
%% right after a kill.
-type counts() :: #{killed := non_neg_integer(), done := non_neg_integer(),
                    slowest_us := non_neg_integer()}.

-record(victim, {repo :: module(),
                 server :: pid(),
                 killer :: port(),
                 kinds :: [kind()],
                 other :: ecto_litefs_test_sqlite:connection(),
                 spin_us :: pos_integer()}).

-define(PORT, ecto_litefs_port).
-define(PROGRAM, ecto_litefs_test_program).
-define(SQLITE, ecto_litefs_test_sqlite).
-define(WAIT, ecto_litefs_test_wait).

-define(LONG, 10_000).       % nothing takes that long

%% Afterwards the database is sound, and the row is one that was written.
-spec run(options()) -> counts().
run(#{first := First, count := Count, journal_mode := Mode,
      database := Database} = Options) ->
    {ok, Other} = ?SQLITE:open(#{database => Database, journal_mode => Mode,
                                 busy_timeout => 1000}),
    ok = sql(Other, "CREATE TABLE items (name TEXT)"),
    Victim = start(Other, Options),
    Results = [kill_once(N, Victim) || N <- lists:seq(First, First + Count - 1)],
    [_, {rows, [{<<"ok">>}]}] =
        ?SQLITE:execute(Other, "PRAGMA integrity_check", []),
    ok = stop(Victim),
    Killed = length([killed || {{error, _}, _Us} <- Results]),
    #{killed => Killed, done => length(Results) - Killed,
      slowest_us => lists:max([Us || {_Result, Us} <- Results])}.

start(Other, #{repo := Repo, database := Database, kinds := Kinds,
               spin_us := Us}) ->
    Config = (ecto_litefs_config:defaults())
                 #{repo => Repo, database := iolist_to_binary(Database)},
    {ok, Server} = ?PORT:start_link(Config),
    ok = ?PORT:mode(Repo, readwrite),
    #victim{repo = Repo, server = Server, other = Other, kinds = Kinds,
            spin_us = Us, killer = ?PROGRAM:start_killer()}.

stop(#victim{server = Server, killer = Killer, other = Other}) ->
    true = ?PROGRAM:stop_killer(Killer),
    true = unlink(Server),
    ok = gen_server:stop(Server),
    ?SQLITE:close(Other).

%% The next program does its work before the next kill, and before it the other
%% connection does: nothing of the dead one is in its way.
kill_once(N, #victim{repo = Repo, server = Server, kinds = Kinds} = Victim) ->
    Kind = lists:nth(N rem length(Kinds) + 1, Kinds),
    Row = row(N),
    New = row(N + 1000),
    ok = ?PORT:write_row(Repo, Row, ?LONG),
    {ok, Row} = ?PORT:read_row(Repo, ?LONG),
    Pid = ?PROGRAM:pid(Server),
    Result = kill_while(Kind, New, Pid, Victim),
    ok = ?WAIT:until(true, fun() -> ?PROGRAM:pid(Server) =/= Pid end),
    {Us, ok} = timer:tc(fun() -> insert(Victim) end),
    {ok, Left} = ?PORT:read_row(Repo, ?LONG),
    true = lists:member(Left, [Row, New]),
    {outcome(Result), Us}.

insert(#victim{other = Other}) ->
    sql(Other, "INSERT INTO items VALUES ('x')").

outcome({error, {exited, Name}} = Killed)
  when Name =:= killed; Name =:= lost -> Killed;
outcome(ok) -> done;
outcome({ok, _Row}) -> done.

%% Five of these eight certainly end in the kill.
-spec kinds() -> [kind()].
kinds() ->
    [write_stopped, read_stopped, open_stopped, close_stopped, write_locked,
     write_running, read_running, open_running].

%% Stopped, it has the request, and cannot answer before it is killed.
kill_while(write_stopped, New, Pid, #victim{repo = Repo} = Victim) ->
    ok = signal("STOP", Pid, Victim),
    killed(fun() -> ?PORT:write_row(Repo, New, ?LONG) end, Pid, Victim);
kill_while(read_stopped, _New, Pid, #victim{repo = Repo} = Victim) ->
    ok = signal("STOP", Pid, Victim),
    killed(fun() -> ?PORT:read_row(Repo, ?LONG) end, Pid, Victim);
kill_while(open_stopped, _New, Pid, #victim{repo = Repo} = Victim) ->
    ok = ?PORT:mode(Repo, query_only), % so that it is opened again
    ok = signal("STOP", Pid, Victim),
    Result = killed(fun() -> ?PORT:read_row(Repo, ?LONG) end, Pid, Victim),
    ok = ?PORT:mode(Repo, readwrite),
    Result;
kill_while(close_stopped, _New, Pid, #victim{} = Victim) ->
    ok = signal("STOP", Pid, Victim),
    ok = ?PORT:close(Victim#victim.repo),
    ok = until_asked(Victim#victim.server),
    ok = signal("KILL", Pid, Victim),
    {error, {exited, killed}}; % if anybody had asked
kill_while(write_locked, New, Pid, #victim{repo = Repo, other = Other} = Victim) ->
    ok = sql(Other, "BEGIN EXCLUSIVE"),
    Result = killed(fun() -> ?PORT:write_row(Repo, New, ?LONG) end, Pid, Victim),
    ok = sql(Other, "ROLLBACK"),
    Result;
%% Somewhere, perhaps when it is done.
kill_while(write_running, New, Pid, #victim{repo = Repo} = Victim) ->
    running(fun() -> ?PORT:write_row(Repo, New, ?LONG) end, Pid, Victim);
kill_while(read_running, _New, Pid, #victim{repo = Repo} = Victim) ->
    running(fun() -> ?PORT:read_row(Repo, ?LONG) end, Pid, Victim);
kill_while(open_running, _New, Pid, #victim{repo = Repo} = Victim) ->
    ok = ?PORT:close(Repo),
    running(fun() -> ?PORT:read_row(Repo, ?LONG) end, Pid, Victim).

killed(Request, Pid, #victim{server = Server} = Victim) ->
    Ref = async(Request),
    ok = until_asked(Server),
    ok = signal("KILL", Pid, Victim),
    {error, _} = await(Ref).

running(Request, Pid, #victim{spin_us = Us} = Victim) ->
    Ref = async(Request),
    ok = spin_until(now_us() + rand:uniform(Us)),
    ok = signal("KILL", Pid, Victim),
    await(Ref).

signal(Signal, Pid, #victim{killer = Killer}) ->
    true = ?PROGRAM:signal(Killer, Signal, Pid),
    ok.

spin_until(End) ->
    case now_us() < End of
        true -> spin_until(End);
        false -> ok
    end.

now_us() ->
    erlang:monotonic_time(microsecond).

async(Fun) ->
    Self = self(),
    Ref = make_ref(),
    _Pid = spawn_link(fun() -> Self ! {Ref, Fun()} end),
    Ref.

await(Ref) ->
    receive {Ref, Result} -> Result end. % or the time trap's

%% Something is in the program.
-spec until_asked(pid()) -> ok.
until_asked(Server) ->
    ?WAIT:until(asked, fun() -> step(sys:get_state(Server)) end).

%% The step of the server's state, a record.
step(State) ->
    case [asked || {asked, _, _} <- tuple_to_list(State)] of
        [asked] -> asked;
        [] -> State
    end.

-spec row(non_neg_integer()) -> ecto_litefs_port:row().
row(N) ->
    #{node => iolist_to_binary(io_lib:format("app~b@10.0.0.1", [N])),
      updated_at => 1700000000 + N, hostname => <<"node-a">>,
      term => 16#f000000000000000 + N, started_at => 1700000000000 + N,
      version => <<"2.0.0">>}.

sql(Connection, Sql) ->
    case ?SQLITE:execute(Connection, Sql, []) of
        ok -> ok;
        {rowid, _} -> ok
    end.
