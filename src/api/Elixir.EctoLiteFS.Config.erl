%% %EctoLiteFS.Config{}: the options of EctoLiteFS.Supervisor, checked.
-module('Elixir.EctoLiteFS.Config').

-export(['__struct__'/0]).
-export(['__struct__'/1]).
-export(['__info__'/1]).
-export(['new!'/1]).
-export([to_map/1]).

-export_type([t/0]).

-type t() :: #{'__struct__' := ?MODULE, atom() => term()}.
-type options() :: [{atom(), term()}].

-spec '__struct__'() -> t().
'__struct__'() ->
    (ecto_litefs_config:defaults())#{'__struct__' => ?MODULE, repo => nil}.

-spec '__struct__'(options() | #{atom() => term()}) -> t().
'__struct__'(Fields) when is_map(Fields) ->
    '__struct__'(maps:to_list(Fields));
'__struct__'(Fields) ->
    case lists:keymember(repo, 1, Fields) of
        true -> lists:foldl(fun set/2, '__struct__'(), Fields);
        false ->
            raise(["the following keys must also be given when building "
                   "struct EctoLiteFS.Config: [:repo]"])
    end.

set({Key, Value}, Struct) when is_map_key(Key, Struct) ->
    Struct#{Key := Value};
set({Key, _Value}, Struct) ->
    error(#{'__struct__' => 'Elixir.KeyError', '__exception__' => true,
            key => Key, term => Struct, message => nil}).

-spec '__info__'(atom()) -> term().
'__info__'(struct) ->
    [#{field => Field, required => Field =:= repo}
     || Field <- maps:keys(maps:remove('__struct__', '__struct__'()))];
'__info__'(macros) ->
    [];
'__info__'(functions) ->
    [{'__struct__', 0}, {'__struct__', 1}, {'new!', 1}];
'__info__'(module) ->
    ?MODULE;
'__info__'(Key) ->
    ?MODULE:module_info(Key).

-spec 'new!'(options()) -> t().
'new!'(Options) when is_list(Options) ->
    lists:foreach(fun(Check) -> Check(Options) end,
                  [fun repo/1, fun numbers/1, fun poll_interval/1,
                   fun primary_wait/1, fun primary_file/1,
                   fun event_stream_url/1, fun table_name/1, fun mount/1]),
    '__struct__'(Options).

%% As the layers below want it.
-spec to_map(t()) -> ecto_litefs_config:t().
to_map(#{'__struct__' := ?MODULE, primary_file := File} = Struct) ->
    Absolute = unicode:characters_to_binary(filename:absname(File)),
    Map = (maps:remove('__struct__', Struct))#{primary_file := Absolute},
    case Map of
        #{event_stream_url := nil} -> Map#{event_stream_url := undefined};
        #{event_stream_url := _} -> Map
    end.

repo(Options) ->
    case lists:keyfind(repo, 1, Options) of
        {repo, Repo} when is_atom(Repo) -> ok;
        {repo, _} -> raise(["EctoLiteFS.Config :repo must be an atom"]);
        false -> raise(["EctoLiteFS.Config requires :repo option"])
    end.

numbers(Options) ->
    lists:foreach(
      fun(Key) -> check(Key, Options, fun positive/1, "a positive integer") end,
      [cache_ttl, refresh_grace_period, erpc_timeout]).

poll_interval(Options) ->
    check(poll_interval, Options,
          fun(Value) -> Value =:= disabled orelse positive(Value) end,
          "a positive integer").

primary_wait(Options) ->
    check(primary_wait, Options,
          fun(Value) -> is_integer(Value) andalso Value >= 0 end,
          "a non-negative integer").

primary_file(Options) ->
    check(primary_file, Options, fun text/1, "a non-empty string").

event_stream_url(Options) ->
    check(event_stream_url, Options,
          fun(Value) -> Value =:= nil orelse text(Value) end,
          "a non-empty string").

table_name(Options) ->
    check(table_name, Options, fun is_binary/1, "a string"),
    check(table_name, Options, fun identifier/1,
          "a valid SQL identifier (alphanumeric and underscores, starting "
          "with letter or underscore)").

mount(Options) ->
    check(mount, Options,
          fun(Value) -> lists:member(Value, [auto, required, plain]) end,
          ":auto, :required or :plain").

check(Key, Options, Valid, What) ->
    case lists:keyfind(Key, 1, Options) of
        false -> ok;
        {Key, Value} ->
            Valid(Value) orelse
                raise(["EctoLiteFS.Config :", atom_to_list(Key), " must be ",
                       What, ", got: ", ecto_litefs_inspect:inspect(Value)]),
            ok
    end.

positive(Value) -> is_integer(Value) andalso Value > 0.

text(Value) -> is_binary(Value) andalso Value =/= <<>>.

identifier(Value) ->
    re:run(Value, "^[a-zA-Z_][a-zA-Z0-9_]*\\z", [{capture, none}]) =:= match.

-spec raise(iodata()) -> no_return().
raise(Message) ->
    error(#{'__struct__' => 'Elixir.ArgumentError', '__exception__' => true,
            message => unicode:characters_to_binary(Message)}).
