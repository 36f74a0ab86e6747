%% The exception of a write that did not get to a primary, or whose outcome is
%% not known. Bang and bulk functions raise it, and every write inside a local
%% transaction on a node that is not the primary.
%%
%% reason: :in_transaction, :dynamic_repo_pid, :primary_unavailable,
%% {:payload_too_large, size, max}, {:erpc, :noconnection, node},
%% {:erpc, :timeout, node} or {:erpc, :notsup, node}. outcome: :not_executed
%% (certain, the call may be repeated) or :unknown (it may have run).
-module('Elixir.EctoLiteFS.Error').

-export(['__struct__'/0]).
-export(['__struct__'/1]).
-export(['__info__'/1]).
-export([exception/1]).
-export([message/1]).

-export_type([t/0]).

-type t() :: #{'__struct__' := ?MODULE,
               '__exception__' := true,
               reason := term(),
               action := atom(),
               repo := module() | nil,
               node := node() | nil,
               outcome := not_executed | unknown | nil}.

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
'__struct__'(Fields) when is_list(Fields) ->
    '__struct__'(maps:from_list(Fields));
'__struct__'(Fields) ->
    maps:fold(fun(Key, Value, Struct) -> Struct#{Key := Value} end,
              '__struct__'(), Fields).

-spec '__info__'(atom()) -> term().
'__info__'(struct) ->
    [#{field => Field, required => false} || Field <- ?FIELDS];
'__info__'(macros) ->
    [];
'__info__'(functions) ->
    [{'__struct__', 0}, {'__struct__', 1}, {exception, 1}, {message, 1}];
'__info__'(module) ->
    ?MODULE;
'__info__'(Key) ->
    ?MODULE:module_info(Key).

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
sentence(primary_unavailable) ->
    "needs a primary, but no node is known to be one, and nothing was "
    "written: check that LiteFS has a primary and that this node is "
    "connected to it, then try again";
sentence({erpc, noconnection, Node}) ->
    ["runs on the primary ", atom_to_list(Node), ", but this node cannot "
     "connect to it, and nothing was written: check that both run as "
     "distributed nodes with the same cookie, then try again"];
sentence({erpc, notsup, Node}) ->
    ["runs on the primary ", atom_to_list(Node), ", but its version of "
     "ecto_litefs or of the application does not understand this one, and "
     "nothing was written: deploy the same version there, then try again"];
sentence({erpc, timeout, Node}) ->
    ["was sent to the primary ", atom_to_list(Node), ", but no answer came, "
     "and it may have been written: look whether it was before you "
     "try again"];
sentence(Reason) ->
    ["failed: ", ecto_litefs_inspect:inspect(Reason)].
