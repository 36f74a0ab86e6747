%% Random sequences of operations give the same on a replica as on a plain Repo:
%% the same values and exceptions, one by one, and the same rows at the end.
%% Where the README says that a replica does something else, this is expected.
%%
%% Three nodes. B forwards to A and reads A's database, as if LiteFS had shipped
%% each commit at once. C has a database of its own, and in the place of this
%% library the model ecto_litefs_test_replica: a plain Repo, and what the README
%% says besides.
%%
%% From the environment:
%%   ECTO_LITEFS_RANDOM_TESTS   how many sequences (default 400)
%%   ECTO_LITEFS_RANDOM_REPLAY  a file that a failure has named: only this one
-module(random_SUITE).

-include_lib("common_test/include/ct.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1]).
-export([replica_equals_plain_repo/1]).

%% Called on a node.
-export([load/2]).

-define(REPO, 'Elixir.FullRepo').
-define(MODEL, ecto_litefs_test_replica).
-define(PEER, ecto_litefs_test_peer).
-define(STATE, ecto_litefs_test_state).
-define(API, 'Elixir.EctoLiteFS').
-define(LIBRARY, [?API, 'Elixir.EctoLiteFS.Repo',
                  'Elixir.EctoLiteFS.Middleware']).
-define(STREAM, {event_stream_url, <<"http://127.0.0.1:1/events">>}).
-define(LONGEST, 14).

suite() -> [{timetrap, {seconds, 120 + tests()}}].

tests() -> list_to_integer(os:getenv("ECTO_LITEFS_RANDOM_TESTS", "400")).

all() -> [replica_equals_plain_repo].

init_per_suite(Config) ->
    [] = os:cmd("epmd -daemon"),
    [A, B, C] = Peers = [?PEER:start(Name) || Name <- [a, b, c]],
    [Shared, Own] = [directory(Name, Config) || Name <- ["shared", "own"]],
    [ok = ?PEER:call(C, ?MODULE, load, [Name, renamed(?MODEL, Name)])
     || Name <- ?LIBRARY],
    [ok = ?PEER:call(Peer, ?STATE, start, [?REPO, Directory, Options])
     || {Peer, Directory, Options} <- [{A, Shared, #{journal_mode => wal}},
                                       {B, Shared, #{read_only => true}},
                                       {C, Own, #{journal_mode => wal}}]],
    ok = forwarding(A, B, Shared),
    [{peers, list_to_tuple(Peers)} | Config].

directory(Name, Config) ->
    Directory = filename:join(?config(priv_dir, Config), Name),
    ok = file:make_dir(Directory),
    Directory.

%% From B to A.
forwarding(A, B, Directory) ->
    ok = ?PEER:connect([A, B]),
    Options = [{mount, plain}, ?STREAM, {propagate, [ops_user]}],
    [begin
         ok = ?PEER:supervise(Peer, ?REPO, Directory, Options),
         ok = ?PEER:call(Peer, ?API, set_primary, [?REPO, ?PEER:node(A)])
     end || Peer <- [A, B]],
    ok.

%% The module From, with another name.
renamed(From, To) ->
    {ok, {_, [{abstract_code, {_, Forms}}]}} =
        beam_lib:chunks(code:which(From), [abstract_code]),
    Renamed = [renamed_in(Form, To) || Form <- Forms],
    {ok, To, Binary} = compile:forms(Renamed, []),
    Binary.

renamed_in({attribute, Anno, module, _From}, To) ->
    {attribute, Anno, module, To};
renamed_in(Form, _To) ->
    Form.

load(Module, Binary) ->
    {module, Module} = code:load_binary(Module, "renamed", Binary),
    ok.

end_per_suite(Config) ->
    [?PEER:stop(Peer) || Peer <- tuple_to_list(?config(peers, Config))],
    ok.

%% -- the property ------------------------------------------------------------

replica_equals_plain_repo(Config) ->
    Peers = ?config(peers, Config),
    Found = case os:getenv("ECTO_LITEFS_RANDOM_REPLAY") of
                false -> random(Peers);
                File -> replayed(File, Peers)
            end,
    case Found of
        none -> {comment, io_lib:format("~b sequences", [tests()])};
        Ops -> failed(Ops, Peers, Config)
    end.

%% The first one of old, or else the shortest one that PropEr finds.
random(Peers) ->
    case [Ops || Ops <- found_before(), differences(Ops, Peers) =/= []] of
        [Ops | _] -> Ops;
        [] -> made_up(Peers)
    end.

%% What an application raises itself is no refusal of SQLite.
found_before() ->
    [[{transaction, transaction, fun0, [{read_only, true}], [],
       {raise, <<"attempt to write a readonly database">>}}]].

made_up(Peers) ->
    Property = proper:forall(ecto_litefs_test_ops:sequence(),
                             fun(Ops) -> differences(Ops, Peers) =:= [] end),
    Options = [{numtests, tests()}, {max_size, ?LONGEST}, long_result,
               {on_output, fun(_Format, _Args) -> ok end}],
    case proper:quickcheck(Property, Options) of
        true -> none;
        [Ops] -> Ops
    end.

replayed(File, Peers) ->
    {ok, [Ops]} = file:consult(File),
    case differences(Ops, Peers) of
        [] -> none;
        _ -> Ops
    end.

failed(Ops, Peers, Config) ->
    File = filename:join(?config(priv_dir, Config), "random.terms"),
    ok = file:write_file(File, io_lib:format("~tp.~n", [Ops])),
    ct:pal("A replica and a plain Repo differ after~n~n~tp~n~nin~n~n~tp~n~n"
           "Again: ECTO_LITEFS_RANDOM_REPLAY=~ts~n"
           "       tools/ct --suite random_SUITE",
           [Ops, differences(Ops, Peers), File]),
    ct:fail(differ).

%% Of what an operation gave, what was left in the mailbox, or what is in the
%% database.
differences(Ops, {A, B, C}) ->
    [ok = ?PEER:call(Peer, ?STATE, reset, [?REPO]) || Peer <- [A, C]],
    OnReplica = outcome(B, Ops, A),
    OnPlainRepo = outcome(C, Ops, C),
    [{What, [{replica, Got}, {plain_repo, Expected}]}
     || {{What, Got}, {_, Expected}} <- lists:zip(OnReplica, OnPlainRepo),
        Got =/= Expected].

%% A run that ended in the middle is always a difference; on C it is a mistake
%% of the test.
outcome(Peer, Ops, Writer) ->
    case ?PEER:write(Peer, ecto_litefs_test_interpreter, run, [?REPO, Ops]) of
        {returned, Results, Messages} ->
            lists:zip(Ops, Results) ++ [{mailbox, Messages}];
        Raised ->
            [{Op, {?PEER:node(Peer), Raised}} || Op <- Ops] ++ [{mailbox, []}]
    end ++ ?PEER:call(Writer, ?STATE, state, [?REPO]).
