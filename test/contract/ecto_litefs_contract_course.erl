%% How a call goes in the states in which something happens while it is made:
%% others have the primary's connections, or the link is cut.
-module(ecto_litefs_contract_course).

-export([run/3]).

%% Called on the primary.
-export([hold/2]).
-export([release/1]).

-type call() :: fun(() -> ecto_litefs_test_capture:outcome()).
-type world() :: ecto_litefs_contract_world:t().

-define(PROXY, ecto_litefs_test_proxy).
-define(TIMEOUT, 60000).

-spec run(State :: atom(), call(), world()) ->
          ecto_litefs_test_capture:outcome().
run(lost_before_sending, Call, #{link := Link} = World) ->
    ok = silent(World),
    Cut = ?PROXY:cut(Link, to_target, 0),
    Outcome = Call(),
    ok = ?PROXY:await(Cut),
    Outcome;
run(lost_after_sending, Call, #{link := Link} = World) ->
    held(Call, World,
         fun(GoOn, Outcome) ->
                 ok = ?PROXY:cut(Link),
                 until(true, fun() -> ?PROXY:linked(Link) end),
                 GoOn(),
                 Outcome()
         end);
run(lost_before_reply, Call, #{link := Link} = World) ->
    held(Call, World,
         fun(GoOn, Outcome) ->
                 Cut = ?PROXY:cut(Link, to_client, 0),
                 GoOn(),
                 ok = ?PROXY:await(Cut),
                 Outcome()
         end);
run(lost_for_good, Call, #{link := Link} = World) ->
    held(Call, World,
         fun(_GoOn, Outcome) ->
                 ok = ?PROXY:block(Link),
                 ok = ?PROXY:cut(Link),
                 Outcome()
         end);
run(slow, Call, World) ->
    held(Call, World, fun(_GoOn, Outcome) -> Outcome() end);
run(_State, Call, _World) ->
    Call().

%% The caller knows the primary's incarnation, so that the next thing that it
%% sends is the call.
silent(#{repo := Repo, link := Link} = World) ->
    #{caller := Caller, primary := {Node, _On} = Primary} = World,
    Node = on(caller, 'Elixir.EctoLiteFS', run_on_primary,
              [Repo, {erlang, node, []}], World),
    ecto_litefs_test_link:silent(Primary, Caller, Link).

%% During is called when the call has begun on the primary. It cannot end there
%% before GoOn is called, because others have all the connections. Returns when
%% nothing runs there any more.
held(Call, #{words := Words, repo := Repo, link := Link} = World, During) ->
    ok = silent(World),
    Holders = on(primary, ?MODULE, hold, [Words, Repo], World),
    GoOn = fun() -> ok = on(primary, ?MODULE, release, [Holders], World) end,
    try
        Running = async(Call),
        until(#{running => 1, queued => 0}, fun() -> calls(World) end),
        During(GoOn, fun() -> await(Running) end)
    after
        GoOn(),
        ok = ?PROXY:heal(Link),
        until(#{running => 0, queued => 0}, fun() -> calls(World) end)
    end.

calls(#{repo := Repo} = World) ->
    on(primary, ecto_litefs_admission, counts, [Repo], World).

async(Call) ->
    spawn_monitor(fun() -> exit({outcome, Call()}) end).

await({Pid, Monitor}) ->
    receive
        {'DOWN', Monitor, process, Pid, {outcome, Outcome}} -> Outcome;
        {'DOWN', Monitor, process, Pid, Reason} -> error(Reason)
    after ?TIMEOUT -> error(no_outcome)
    end.

until(Wanted, Fun) ->
    ecto_litefs_test_wait:until(Wanted, Fun).

on(Role, Module, Function, Args, World) ->
    ecto_litefs_contract_world:on(Role, Module, Function, Args, World).

%%% On the primary

%% Returns when all connections of the Repo's pool are taken.
-spec hold(module(), module()) -> [pid()].
hold(Words, Repo) ->
    {ok, Size} = ecto_litefs_pool:size(Repo),
    Self = self(),
    Holders = [spawn(fun() -> holder(Words, Repo, Self) end)
               || _ <- lists:seq(1, Size)],
    [receive {Holder, taken} -> ok end || Holder <- Holders],
    Holders.

holder(Words, Repo, Whose) ->
    Words:checkout(Repo, fun() ->
                                 Whose ! {self(), taken},
                                 receive release -> ok end
                         end).

%% Those that have been released already, too.
-spec release([pid()]) -> ok.
release(Holders) ->
    [Holder ! release || Holder <- Holders],
    [receive {'DOWN', Monitor, process, _, _} -> ok end
     || Monitor <- [monitor(process, Holder) || Holder <- Holders]],
    ok.
