%% The exception of a call that did not get to a primary, or whose outcome is not
%% known. Bang, bulk and transaction functions raise it, with `on_error: :raise`
%% all do, and every write inside a local transaction on a node that is not the
%% primary.
%%
%% reason: see reason(). outcome: :not_executed (certain, the call may be
%% repeated), :unknown (it may have run), :done (it has, and raised an exception
%% of a module that this node does not have).
-module('Elixir.EctoLiteFS.Error').

-export(['__struct__'/0]).
-export(['__struct__'/1]).
-export(['__info__'/1]).
-export([exception/1]).
-export([message/1]).

-export_type([t/0]).
-export_type([reason/0]).

%% Closed; a text only where a user's test raises this exception itself.
-type reason() ::
        ecto_litefs_write:reason()
      | migration
      | transaction_statement
      | journal_mode
      | binary().

-type t() :: #{'__struct__' := ?MODULE,
               '__exception__' := true,
               reason := reason() | nil,
               action := atom(),
               repo := module() | nil,
               node := node() | nil,
               outcome := done | not_executed | unknown | nil}.

-define(FIELDS, [reason, action, repo, node, outcome]).

-spec '__struct__'() -> t().
'__struct__'() ->
    #{'__struct__' => ?MODULE,
      '__exception__' => true,
      reason => nil,
      action => nil,
      repo => nil,
      node => nil,
      outcome => nil}.

-spec '__struct__'([{atom(), term()}] | #{atom() => term()}) -> t().
'__struct__'(Fields) ->
    ecto_litefs_struct:build('__struct__'(), Fields).

-spec '__info__'(atom()) -> term().
'__info__'(What) ->
    ecto_litefs_struct:info(What, ?MODULE, [{Field, false} || Field <- ?FIELDS],
                            [{exception, 1}, {message, 1}]).

%% The text form is for a user's tests: raise EctoLiteFS.Error, "text".
-spec exception([{atom(), term()}] | #{atom() => term()} | binary()) -> t().
exception(Text) when is_binary(Text) ->
    '__struct__'([{reason, Text}]);
exception(Fields) ->
    '__struct__'(Fields).

-spec message(t()) -> binary().
message(#{reason := Text}) when is_binary(Text) ->
    Text;
message(#{reason := Reason, action := nil}) ->
    unicode:characters_to_binary(["a write ", sentence(Reason)]);
message(#{reason := Reason, action := Action, repo := Repo}) ->
    unicode:characters_to_binary(
      [ecto_litefs_inspect:inspect(Repo), $., atom_to_list(Action), $\s,
       sentence(Reason)]).

sentence(in_transaction) ->
    "must run on the primary, but was called inside a local transaction on "
    "a node that is not the primary, and nothing was written: make the call "
    "outside of the transaction, or run the transaction on the primary";
sentence(dynamic_repo_pid) ->
    "must run on the primary, but put_dynamic_repo/1 was given a process of "
    "this node, which the primary does not have, and nothing was written: "
    "start the repo with a name on all nodes, and put the name";
sentence({payload_too_large, Size, Max}) ->
    ["must run on the primary, but its arguments are ",
     integer_to_binary(Size), " bytes, and max_forward_bytes lets ",
     integer_to_binary(Max), " be sent, and nothing was written: make several "
     "smaller calls, or give EctoLiteFS.Supervisor a higher "
     "max_forward_bytes"];
sentence(migration) ->
    "is a migration, which runs on the primary only, and nothing was written: "
    "run it there, for example with `lease.promote` and an `exec` command "
    "that has `if-candidate: true` in litefs.yml, or only if "
    "EctoLiteFS.is_primary?(repo)";
sentence(transaction_statement) ->
    "would begin or end a transaction on one of this node's connections, where "
    "no write can run, and was not sent to SQLite: use Repo.transaction, or "
    "give the option `on: :local`";
sentence(journal_mode) ->
    "would set a journal mode that ends LiteFS's replication, and was not sent "
    "to SQLite: set journal_mode in the Repo's configuration, once, before "
    "there are replicas";
sentence(overloaded) ->
    "was not begun, because max_queue other calls wait on the primary "
    "already, and nothing was written: try again later, make fewer calls at "
    "once, or give EctoLiteFS.Supervisor a higher max_queue";
sentence(primary_unavailable) ->
    "needs a primary, but no node is known to be one, and nothing was "
    "written: check that LiteFS has a primary and that this node is "
    "connected to it, then try again";
sentence({erpc, noconnection, Node}) ->
    ["runs on the primary ", atom_to_list(Node), ", but this node cannot "
     "connect to it, and nothing was written: check that both run as "
     "distributed nodes with the same cookie, then try again"];
sentence({erpc, timeout, Node}) ->
    ["was sent to the primary ", atom_to_list(Node), ", but no answer came, "
     "and it may have been written: look whether it was before you "
     "try again"];
sentence({remote_exception, Module, Text}) ->
    ["raised ", ecto_litefs_inspect:inspect(Module), " on the primary, which "
     "this node does not have: ", Text];
sentence({not_executed, Why}) ->
    ["was not executed, and nothing was written: ", why(Why)];
sentence(nil) ->
    "failed".

why({cannot_travel, port}) ->
    "an argument has a port of this node, which means nothing on the primary; "
    "pass what it stands for instead";
why({cannot_travel, handle}) ->
    "an argument has a reference to something inside this VM (an ETS table, "
    "a counter, a resource of a NIF), which means nothing on the primary; "
    "pass what it stands for instead";
why({timeout, Node}) ->
    ["its turn on the primary ", atom_to_list(Node), " did not come within "
     "its time; try again, or give it more (erpc_timeout, or the option "
     "timeout of the call)"];
why({demoted, Node}) ->
    ["the primary ", atom_to_list(Node), " was demoted in the middle of it, "
     "and it was rolled back; run it again"];
why({repo_not_started, Node}) ->
    ["the Repo is not started on the primary ", atom_to_list(Node), "; start "
     "it there, before EctoLiteFS.Supervisor"];
why({repeated_id, Node}) ->
    ["the primary ", atom_to_list(Node), " has had a call with the same id, "
     "and none runs twice; each call needs an id of its own"];
why({other_version, Node}) ->
    ["the primary ", atom_to_list(Node), " runs a version of ecto_litefs "
     "that does not understand this one; deploy the same there"];
why({no_library, Node}) ->
    ["the node ", atom_to_list(Node), " does not have ecto_litefs, or an "
     "older one; deploy it there, or name another primary"];
why({other_build, Module, Node}) ->
    ["a function in the arguments is of the module ",
     ecto_litefs_inspect:inspect(Module), ", of which the primary ",
     atom_to_list(Node), " has another build, or none; deploy the same build "
     "there, or pass {module, function, arguments} to Repo.transaction, which "
     "works across builds"];
why({no_function, {Module, Function, Arity}, Node}) ->
    ["the primary ", atom_to_list(Node), " has no function ",
     ecto_litefs_inspect:inspect(Module), $., atom_to_list(Function), $/,
     integer_to_list(Arity), "; deploy it there first"].
