%% The port program of each Repo (docs/PROTOCOL.md), which writes and reads the
%% tracking row. It is started when somebody first asks. Requests wait in
%% ecto_litefs_port_server, one at a time is in the program, and each caller has
%% its answer by its own deadline, whatever the program does.
-module(ecto_litefs_port).

-export([child_spec/1]).
-export([start_link/1]).
-export([write_row/3]).
-export([read_row/2]).
-export([close/1]).
-export([mode/2]).

-export_type([reason/0]).
-export_type([row/0]).
-export_type([mode/0]).

%% timeout, {exited, _}, bad_reply: a write may have been done. closed: there is
%% no such process, or close/1 came in between; the same. unavailable: there is
%% no program. {Code, Extended, Text}: it was not done; docs/PROTOCOL.md.
-type reason() ::
        timeout | closed | unavailable | no_database | bad_reply
      | {exited, ecto_litefs_port_program:exit_name()}
      | ecto_litefs_port_packet:failure().

-type row() :: ecto_litefs_port_packet:row().
-type mode() :: readwrite | query_only.

-spec child_spec(ecto_litefs_config:t()) -> supervisor:child_spec().
child_spec(Config) ->
    #{id => ?MODULE, start => {?MODULE, start_link, [Config]}}.

%% Where nothing is tracked there is no process.
-spec start_link(ecto_litefs_config:t()) ->
          {ok, pid()} | {error, term()} | ignore.
start_link(#{tracking := false}) ->
    ignore;
start_link(#{repo := Repo, tracking := true} = Config) ->
    gen_server:start_link({local, name(Repo)}, ecto_litefs_port_server,
                          Config, []).

%% Makes the row the one of the table, within so many milliseconds.
-spec write_row(module(), row(), non_neg_integer()) -> ok | {error, reason()}.
write_row(Repo, Row, DeadlineMs) ->
    call(Repo, {write_row, ecto_litefs_port_packet:row(Row)}, DeadlineMs).

%% none: no table, or no row in it.
-spec read_row(module(), non_neg_integer()) ->
          {ok, row() | none} | {error, reason()}.
read_row(Repo, DeadlineMs) ->
    call(Repo, read_row, DeadlineMs).

call(Repo, Operation, DeadlineMs) ->
    Deadline = erlang:monotonic_time(millisecond) + DeadlineMs,
    try gen_server:call(name(Repo), {Operation, Deadline}, infinity)
    catch
        exit:{_Reason, {gen_server, call, _}} -> {error, closed}
    end.

%% Lets go of the database, which may be on a mount that is dead or is another
%% one now; the next request opens it again. Returns at once. What is running
%% may go on for two seconds, and is told `closed` then.
-spec close(module()) -> ok.
close(Repo) ->
    gen_server:cast(name(Repo), close).

%% For the requests that come after this. It begins with query_only.
-spec mode(module(), mode()) -> ok.
mode(Repo, Mode) when Mode =:= readwrite; Mode =:= query_only ->
    gen_server:cast(name(Repo), {mode, Mode}).

name(Repo) ->
    ecto_litefs_name:of_repo('Elixir.EctoLiteFS.Port', Repo).
