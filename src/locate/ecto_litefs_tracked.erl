%% The node that the tracking row names, for when nobody claims to be primary:
%% this node is connected to nobody, or not to the primary. It is connected to
%% and asked, and counts only if it says that it is primary. Then pg shows its
%% claim, too, so that an answer is good for some pauses of those who wait.
%%
%% One process for each Repo does that, once a second at most, however many
%% writes wait for a primary; it takes its own time, and they take theirs.
-module(ecto_litefs_tracked).

-export([new/0]).
-export([candidates/1]).
-export([find/3]).
-export([forget/1]).
-export([node_name/1]).

-define(TABLE, ?MODULE).

-define(GOOD_MS, 300).       % pg has it by then
-define(AGAIN_MS, 1_000).

-define(ROW_MS, 1_000).
-define(CONNECT_MS, 2_000).
-define(ASK_MS, 300).

%% Atoms are never freed, and the row may be written by anybody who can write
%% the database. So many names that this VM did not know are enough for every
%% cluster, and cost nothing; further ones are not followed.
-define(NAMES_MAX, 256).
-define(NAME_BYTES_MAX, 255).

%% The table belongs to the calling process, which is ecto_litefs_sup.
-spec new() -> ok.
new() ->
    ?TABLE = ets:new(?TABLE, [named_table, public, {read_concurrency, true}]),
    ok.

%% What was found last, at once; and somebody goes to look if it is time.
-spec candidates(module()) -> [node()].
candidates(Repo) ->
    case outcome(Repo) of
        {[Node], Ms} when Ms < ?GOOD_MS ->
            [Node || not ecto_litefs_breaker:skipped(Node)];
        {_Old, Ms} when Ms < ?AGAIN_MS ->
            [];
        _TooOldOrNone ->
            _ = seeker(Repo, true),
            []
    end.

%% What was found last, so that the next one who asks looks again.
-spec forget(module()) -> ok.
forget(Repo) ->
    _ = try ets:delete(?TABLE, {found, Repo})
        catch error:badarg -> false
        end,
    ok.

%% The same for who waits for it, so many milliseconds at most. Force: whatever
%% was found a moment ago.
-spec find(module(), Force :: boolean(), non_neg_integer()) ->
          {ok, node()} | none.
find(Repo, Force, Timeout) ->
    case outcome(Repo) of
        {Found, Ms} when not Force, Ms < ?AGAIN_MS -> first(Found);
        _TooOldOrNone -> await(Repo, seeker(Repo, Force), Timeout)
    end.

await(Repo, Pid, Timeout) ->
    Monitor = monitor(process, Pid),
    receive
        {'DOWN', Monitor, process, Pid, _Reason} -> found(outcome(Repo))
    after Timeout ->
            true = demonitor(Monitor, [flush]),
            none
    end.

found({Nodes, Ms}) when Ms < ?AGAIN_MS -> first(Nodes);
found(_TooOldOrNone) -> none.

first([Node]) -> {ok, Node};
first([]) -> none.

outcome(Repo) ->
    try ets:lookup(?TABLE, {found, Repo}) of
        [{_Key, Nodes, At}] -> {Nodes, now_ms() - At};
        [] -> none
    catch
        error:badarg -> {[], 0} % the application was stopped
    end.

%% -- the process that looks --------------------------------------------------

%% Who wants the row to be read anew does not follow one that may not do that.
seeker(Repo, Force) ->
    Name = ecto_litefs_name:of_repo(prefix(Force), Repo),
    case whereis(Name) of
        undefined -> spawn(fun() -> seek(Name, Repo, Force) end);
        Pid -> Pid
    end.

prefix(false) -> 'Elixir.EctoLiteFS.Seeker';
prefix(true) -> 'Elixir.EctoLiteFS.ForcedSeeker'.

%% Of several that set out at once one looks; the others end with it.
seek(Name, Repo, Force) ->
    try register(Name, self()) of
        true -> remember(Repo, look(Repo, Force))
    catch
        error:badarg -> follow(whereis(Name))
    end.

follow(undefined) ->
    ok;
follow(Pid) ->
    Monitor = monitor(process, Pid),
    receive {'DOWN', Monitor, process, Pid, _Reason} -> ok end.

remember(Repo, Nodes) ->
    _ = try ets:insert(?TABLE, {{found, Repo}, Nodes, now_ms()})
        catch error:badarg -> false
        end,
    ok.

look(Repo, Force) ->
    case ecto_litefs_tracking:row(Repo, Force, ?ROW_MS) of
        {ok, #{node := Name}} -> connect(Repo, node_name(Name));
        {ok, none} -> [];
        {error, _Reason} -> []
    end.

connect(_Repo, {error, _Why}) ->
    [];
connect(_Repo, {ok, Node}) when Node =:= node() ->
    []; % not any more, or not yet: nobody can know that better than LiteFS
connect(Repo, {ok, Node}) ->
    case ecto_litefs_breaker:skipped(Node) of
        true -> [];
        false -> ask(ecto_litefs_connection:connect(Node, ?CONNECT_MS),
                     Repo, Node)
    end.

ask(ok, Repo, Node) ->
    try erpc:call(Node, ecto_litefs_directory, primaryship, [Repo, litefs],
                  ?ASK_MS) of
        {primary, _Ms} -> [Node];
        not_primary -> []
    catch
        error:{erpc, _Silent} -> skip(Node);
        _Class:_Reason -> [] % it has another library, or none
    end;
ask({error, noconnection}, _Repo, Node) ->
    skip(Node).

skip(Node) ->
    ok = ecto_litefs_breaker:skip(Node),
    [].

%% -- names -------------------------------------------------------------------

%% Only what a node may be called becomes an atom. binary_to_existing_atom alone
%% would not do: a node that this one never met has no atom here.
-spec node_name(binary()) -> {ok, node()} | {error, bad_name | too_many}.
node_name(Name) when byte_size(Name) =< ?NAME_BYTES_MAX ->
    Form = "^[A-Za-z0-9_-]+@[A-Za-z0-9_.:-]+$",
    case re:run(Name, Form, [{capture, none}, dollar_endonly]) of
        match -> known(Name);
        nomatch -> {error, bad_name}
    end;
node_name(_Long) ->
    {error, bad_name}.

known(Name) ->
    try {ok, binary_to_existing_atom(Name)}
    catch
        error:badarg -> made(Name, count())
    end.

made(Name, Count) when Count =< ?NAMES_MAX -> {ok, binary_to_atom(Name)};
made(_Name, _Count) -> {error, too_many}.

count() ->
    try ets:update_counter(?TABLE, names, {2, 1}, {names, 0})
    catch
        error:badarg -> infinity % greater than any number
    end.

now_ms() ->
    erlang:monotonic_time(millisecond).
