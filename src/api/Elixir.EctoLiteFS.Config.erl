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

%% The longest time that Erlang waits for anything.
-define(MILLISECONDS_MAX, 4294967295).

-define(NAME_BYTES_MAX, 255).
-define(PATH_BYTES_MAX, 4095).

-define(POSITIVE, "a positive integer").
-define(NOT_NEGATIVE, "a non-negative integer").
-define(BOUNDED, "at most 4294967295 (milliseconds)").
-define(TEXT, "a non-empty string").
-define(PRINTABLE, "valid UTF-8 without NUL").

-spec '__struct__'() -> t().
'__struct__'() ->
    (ecto_litefs_config:defaults())#{'__struct__' => ?MODULE, repo => nil,
                                     database := nil}.

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
'__info__'(What) ->
    Keys = maps:keys(maps:remove('__struct__', '__struct__'())),
    ecto_litefs_struct:info(What, ?MODULE, [{Key, Key =:= repo} || Key <- Keys],
                            [{'new!', 1}]).

%% Of a key that is given twice the last value counts, here as in a struct.
-spec 'new!'(options()) -> t().
'new!'(Options) ->
    keyword(Options) orelse
        raise(["EctoLiteFS.Config options must be a keyword list, got: ",
               ecto_litefs_inspect:inspect(Options)]),
    Given = maps:from_list(Options),
    lists:foreach(fun(Check) -> Check(Given) end,
                  [fun repo/1, fun numbers/1, fun poll_interval/1,
                   fun primary_wait/1, fun await/1, fun max_forward_bytes/1,
                   fun max_queue/1, fun on_error/1, fun propagate/1,
                   fun primary_file/1, fun event_stream_url/1,
                   fun table_name/1, fun tracking/1, fun database/1,
                   fun mount/1]),
    '__struct__'(Options).

keyword([{Key, _Value} | Options]) when is_atom(Key) -> keyword(Options);
keyword(Options) -> Options =:= [].

%% As the layers below want it.
-spec to_map(t()) -> ecto_litefs_config:t().
to_map(#{'__struct__' := ?MODULE, primary_file := File, database := Database,
         event_stream_url := Url} = Struct) ->
    (maps:remove('__struct__', Struct))#{primary_file := absolute(File),
                                         database := absolute(Database),
                                         event_stream_url := undefined(Url)}.

absolute(nil) -> undefined;
absolute(File) -> unicode:characters_to_binary(filename:absname(File)).

undefined(nil) -> undefined;
undefined(Value) -> Value.

repo(#{repo := nil}) ->
    raise(["EctoLiteFS.Config :repo must be an atom other than nil"]);
repo(#{repo := Repo}) when is_atom(Repo) -> ok;
repo(#{repo := _}) -> raise(["EctoLiteFS.Config :repo must be an atom"]);
repo(#{}) -> raise(["EctoLiteFS.Config requires :repo option"]).

numbers(Given) ->
    lists:foreach(
      fun(Key) ->
              check(Key, Given, fun positive/1, ?POSITIVE),
              check(Key, Given, fun bounded/1, ?BOUNDED)
      end,
      [cache_ttl, refresh_grace_period, erpc_timeout, await_timeout, max_lag]).

poll_interval(#{poll_interval := disabled}) ->
    ok;
poll_interval(Given) ->
    check(poll_interval, Given, fun positive/1, ?POSITIVE),
    check(poll_interval, Given, fun bounded/1, ?BOUNDED).

primary_wait(Given) ->
    check(primary_wait, Given, fun not_negative/1, ?NOT_NEGATIVE),
    check(primary_wait, Given, fun bounded/1, ?BOUNDED).

await(Given) ->
    check(await, Given, fun is_boolean/1, "true or false").

max_forward_bytes(Given) ->
    check(max_forward_bytes, Given, fun positive/1, ?POSITIVE).

max_queue(Given) ->
    check(max_queue, Given, fun not_negative/1, ?NOT_NEGATIVE).

on_error(Given) ->
    check(on_error, Given,
          fun(Value) -> lists:member(Value, [return, raise]) end,
          ":return or :raise").

propagate(Given) ->
    check(propagate, Given, fun proper_list/1,
          "a list of keys of the process dictionary").

primary_file(Given) ->
    check(primary_file, Given, fun text/1, ?TEXT),
    check(primary_file, Given, fun printable/1, ?PRINTABLE).

event_stream_url(#{event_stream_url := nil}) ->
    ok;
event_stream_url(Given) ->
    check(event_stream_url, Given, fun text/1, ?TEXT),
    check(event_stream_url, Given, fun printable/1, ?PRINTABLE).

table_name(Given) ->
    check(table_name, Given, fun is_binary/1, "a string"),
    check(table_name, Given, fun identifier/1,
          "a valid SQL identifier (alphanumeric and underscores, starting "
          "with letter or underscore)"),
    check(table_name, Given, fun short/1, "at most 255 bytes").

tracking(Given) ->
    check(tracking, Given, fun is_boolean/1, "true or false").

database(#{database := nil}) ->
    ok;
database(Given) ->
    check(database, Given, fun text/1, ?TEXT),
    check(database, Given, fun printable/1, ?PRINTABLE),
    check(database, Given, fun path/1,
          "at most 4095 bytes, as an absolute path").

mount(Given) ->
    check(mount, Given,
          fun(Value) -> lists:member(Value, [auto, required, plain]) end,
          ":auto, :required or :plain").

check(Key, Given, Valid, What) ->
    case Given of
        #{Key := Value} ->
            Valid(Value) orelse
                raise(["EctoLiteFS.Config :", atom_to_list(Key), " must be ",
                       What, ", got: ", ecto_litefs_inspect:inspect(Value)]),
            ok;
        #{} ->
            ok
    end.

positive(Value) -> is_integer(Value) andalso Value > 0.

not_negative(Value) -> is_integer(Value) andalso Value >= 0.

proper_list([_ | Rest]) -> proper_list(Rest);
proper_list(Rest) -> Rest =:= [].

bounded(Value) -> Value =< ?MILLISECONDS_MAX.

text(Value) -> is_binary(Value) andalso Value =/= <<>>.

%% What a system call takes as a path, and curl as a URL.
printable(Value) ->
    is_binary(unicode:characters_to_binary(Value))
        andalso binary:match(Value, <<0>>) =:= nomatch.

%% docs/PROTOCOL.md has both limits.
short(Value) -> byte_size(Value) =< ?NAME_BYTES_MAX.

path(Value) -> byte_size(absolute(Value)) =< ?PATH_BYTES_MAX.

identifier(Value) ->
    re:run(Value, "^[a-zA-Z_][a-zA-Z0-9_]*\\z", [{capture, none}]) =:= match.

-spec raise(iodata()) -> no_return().
raise(Message) ->
    ecto_litefs_struct:argument_error(Message).
