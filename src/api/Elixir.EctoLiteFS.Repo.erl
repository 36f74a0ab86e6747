%% `use EctoLiteFS.Repo`, one line after `use EctoMiddleware.Repo`: what no
%% middleware sees goes to the primary, too. Transactions run there whole, raw
%% SQL where LiteFS refuses it here, and the *_all functions where the engine
%% does not hand them over (EctoMiddleware 2.0).
%%
%% The functions below are what the generated code calls. `Super` is the Repo's
%% own function, with the options as its last argument.
-module('Elixir.EctoLiteFS.Repo').

-export(['__info__'/1]).
-export(['MACRO-__using__'/2]).
-export(['MACRO-__before_compile__'/2]).
-export([transaction/5]).
-export([query/6]).
-export([bulk/4]).

-type options() :: [{atom(), term()}].
%% What the compiler passes to a macro; to_caller/1 makes Elixir's __CALLER__ of
%% it.
-type caller() :: term().
-type super(Result) :: fun((...) -> Result).

-define(QUERIES, [query, 'query!', query_many, 'query_many!']).

-spec '__info__'(atom()) -> term().
'__info__'(macros) -> [{'__before_compile__', 1}, {'__using__', 1}];
'__info__'(functions) -> [{bulk, 4}, {query, 6}, {transaction, 5}];
'__info__'(module) -> ?MODULE;
'__info__'(Key) -> ?MODULE:module_info(Key).

%% A Repo's own transaction/2 of a later line can still call `super`.
-spec 'MACRO-__using__'(caller(), term()) -> term().
'MACRO-__using__'(Caller, _Options) ->
    quoted(Caller, ["@before_compile EctoLiteFS.Repo\n",
                    transaction_functions(), bulk_functions()]).

%% The adapter defines these at the end of the module.
-spec 'MACRO-__before_compile__'(caller(), term()) -> term().
'MACRO-__before_compile__'(Caller, _Environment) ->
    #{module := Module} = elixir_env:to_caller(Caller),
    quoted(Caller, [query_function(atom_to_list(Name))
                    || Name <- ?QUERIES,
                       'Elixir.Module':'defines?'(Module, {Name, 3})]).

transaction_functions() ->
    [["if Module.defines?(__MODULE__, {:", Name, ", 2}) do
         defoverridable ", Name, ": 2
         def ", Name, "(work, opts) do
           EctoLiteFS.Repo.transaction(__MODULE__, :", Name, ", work, opts,
             fn work, opts -> super(work, opts) end)
         end
         defoverridable ", Name, ": 2
       end\n"] || Name <- ["transaction", "transact"]].

bulk_functions() ->
    Engine = 'Elixir.EctoMiddleware.Engine',
    _ = code:ensure_loaded(Engine),
    case erlang:function_exported(Engine, reject_non_bulk_middleware, 2) of
        true -> [];
        false -> [bulk_function(F) || F <- [{"insert_all", ["a", "b", "opts"]},
                                            {"update_all", ["a", "b", "opts"]},
                                            {"delete_all", ["a", "opts"]}]]
    end.

bulk_function({Name, Parameters}) ->
    Args = lists:join(", ", Parameters),
    Arity = integer_to_list(length(Parameters)),
    ["if Module.defines?(__MODULE__, {:", Name, ", ", Arity, "}) do
        defoverridable ", Name, ": ", Arity, "
        def ", Name, "(", Args, ") do
          EctoLiteFS.Repo.bulk(__MODULE__, :", Name, ", [", Args, "],
            fn -> super(", Args, ") end)
        end
        defoverridable ", Name, ": ", Arity, "
      end\n"].

query_function(Name) ->
    ["defoverridable [{:", Name, ", 3}]
      def ", Name, "(sql, params, opts) do
        EctoLiteFS.Repo.query(__MODULE__, :", Name, ", sql, params, opts,
          fn sql, params, opts -> super(sql, params, opts) end)
      end\n"].

%% As if a `quote` of this module had made it: without the context a user's
%% other @impl would make the compiler ask for ours.
quoted(Caller, Source) ->
    #{line := Line} = elixir_env:to_caller(Caller),
    Ast = 'Elixir.Code':'string_to_quoted!'(unicode:characters_to_binary(Source),
                                            [{file, <<"EctoLiteFS.Repo">>}]),
    Mark = fun(Meta) -> [{context, ?MODULE}, {line, Line}
                         | lists:keydelete(line, 1, Meta)] end,
    'Elixir.Macro':prewalk(
      Ast, fun(Node) -> 'Elixir.Macro':update_meta(Node, Mark) end).

%% Work may be {Module, Function, Args}, too, which is data and so the same in
%% another build. `read_only: true` keeps it on this node.
-spec transaction(module(), transaction | transact,
                  ecto_litefs_transaction:work(), options(), super(Result)) ->
          Result.
transaction(Repo, Function, Work, Options, Super) ->
    case ecto_litefs_write:decide(Repo) of
        local -> Super(ecto_litefs_transaction:work(Work), Options);
        remote -> elsewhere(Repo, Function, Work, Options, Super)
    end.

elsewhere(Repo, Function, Work, Options, Super) ->
    case ecto_litefs_transaction:place(Work, Options) of
        local -> reading(Repo, Function, Work, Options, Super);
        remote -> forward(Repo, Function, Work, Options, Super);
        migration -> refuse(migration, Repo, Function)
    end.

forward(Repo, Function, Work, Options, Super) ->
    Refused = #{on_refusal => ecto_litefs_transaction:on_refusal(Work)},
    Payload = {transaction, Work, Options},
    case ecto_litefs_write:run(Repo, Function, Payload, Refused) of
        local -> Super(ecto_litefs_transaction:work(Work), Options);
        {done, Value} -> Value;
        {failed, Failure} -> ecto_litefs_answer:raise(Failure, Repo, Function)
    end.

%% LiteFS refuses what it writes all the same, in WAL mode at the COMMIT.
reading(Repo, Function, Work, Options, Super) ->
    try Super(ecto_litefs_transaction:work(Work), Options)
    catch
        error:Reason:Stack ->
            case ecto_litefs_query:refused(Repo, Reason) of
                true -> refuse(in_transaction, Repo, Function);
                false -> erlang:raise(error, Reason, Stack)
            end
    end.

%% Option `on`: :local, or :primary without trying it here first.
-spec query(module(), atom(), iodata(), list(), options(), super(Result)) ->
          Result.
query(Repo, Function, Sql, Params, Options, Super) ->
    {On, Options1} = on(Options),
    Here = fun() -> Super(Sql, Params, Options1) end,
    case ecto_litefs_write:decide(Repo) of
        local ->
            Here();
        remote ->
            Outcome = ecto_litefs_query:run(On, {Repo, Sql}, Here),
            queried(Outcome, Repo, Function, [Sql, Params, Options1], Here)
    end.

on(Options) ->
    case lists:keytake(on, 1, Options) of
        {value, {on, On}, Rest} -> {checked(On), Rest};
        false -> {auto, Options}
    end.

checked(On) when On =:= local; On =:= primary ->
    On;
checked(On) ->
    ecto_litefs_struct:argument_error(
      ["the option :on of a query must be :local or :primary, got: ",
       ecto_litefs_inspect:inspect(On)]).

queried(here, _Repo, _Function, _Args, Here) ->
    Here();
queried({value, Value}, _Repo, _Function, _Args, _Here) ->
    Value;
queried(forward, Repo, Function, Args, Here) ->
    run(Repo, Function, {args, Args}, Here);
queried({forward, Value}, Repo, Function, Args, Here) ->
    known_there(fun() -> run(Repo, Function, {args, Args}, Here) end, Value);
queried({refused, Why}, Repo, Function, _Args, _Here) ->
    refuse(Why, Repo, Function).

%% Otherwise what it gave here.
known_there(Run, Value) ->
    try Run() of
        {error, Reason} = Error ->
            unless_unknown(Reason, Value, fun() -> Error end);
        Done ->
            Done
    catch
        error:Reason:Stack ->
            Raise = fun() -> erlang:raise(error, Reason, Stack) end,
            unless_unknown(Reason, Value, Raise)
    end.

unless_unknown(Reason, Value, Otherwise) ->
    case ecto_litefs_query:'unknown_table?'(Reason) of
        true -> Value;
        false -> Otherwise()
    end.

-spec bulk(module(), atom(), [term()], fun(() -> Result)) -> Result.
bulk(Repo, Function, Args, Here) ->
    case ecto_litefs_write:decide(Repo) of
        local -> Here();
        remote -> run(Repo, Function, {args, Args}, Here)
    end.

run(Repo, Function, Payload, Here) ->
    case ecto_litefs_write:run(Repo, Function, Payload,
                               #{on_refusal => again}) of
        local -> Here();
        {done, Value} -> Value;
        {failed, Failure} -> ecto_litefs_answer:failed(Failure, Repo, Function)
    end.

-spec refuse(atom(), module(), atom()) -> no_return().
refuse(Reason, Repo, Function) ->
    ecto_litefs_answer:raise(
      #{reason => Reason, node => nil, outcome => not_executed},
      Repo, Function).
