%% %EctoLiteFS.Position{}: up to which transaction a database has come. It is
%% made on the primary, and EctoLiteFS.await/3 waits for it on another node.
%%
%% A number of a transaction alone is not enough: after a failover the same
%% number can name another one. So the term of the primary goes with it, a random
%% number that each primary makes for itself, and the checksum of the whole
%% database after that transaction.
-module('Elixir.EctoLiteFS.Position').

-export(['__struct__'/0]).
-export(['__struct__'/1]).
-export(['__info__'/1]).
-export([new/1]).
-export([to_tuple/1]).
-export([to_string/1]).
-export([from_string/1]).

-export_type([t/0]).

%% term: 0 where the tracking row is switched off.
-type t() :: #{'__struct__' := ?MODULE,
               term := non_neg_integer(),
               txid := non_neg_integer(),
               checksum := non_neg_integer()}.

-define(FIELDS, [term, txid, checksum]).
-define(VERSION, 1).

-spec '__struct__'() -> t().
'__struct__'() ->
    #{'__struct__' => ?MODULE, term => 0, txid => 0, checksum => 0}.

-spec '__struct__'([{atom(), term()}] | #{atom() => term()}) -> t().
'__struct__'(Fields) ->
    ecto_litefs_struct:build('__struct__'(), Fields).

-spec '__info__'(atom()) -> term().
'__info__'(What) ->
    ecto_litefs_struct:info(What, ?MODULE, [{Field, false} || Field <- ?FIELDS],
                            [{from_string, 1}, {to_string, 1}]).

%% As the layers below have it.
-spec new(ecto_litefs_position:t()) -> t().
new({Term, TxId, Checksum}) ->
    ('__struct__'())#{term := Term, txid := TxId, checksum := Checksum}.

-spec to_tuple(t()) -> ecto_litefs_position:t().
to_tuple(#{'__struct__' := ?MODULE, term := Term, txid := TxId,
           checksum := Checksum}) ->
    {Term, TxId, Checksum}.

%% 36 characters of the URL-safe base64 alphabet, for a cookie or a message.
-spec to_string(t()) -> binary().
to_string(Position) ->
    {Term, TxId, Checksum} = to_tuple(Position),
    Bytes = <<?VERSION, Term:64, TxId:64, Checksum:64>>,
    encode(<<Bytes/binary, (check(Bytes)):16>>).

%% Whatever is not what to_string/1 makes is refused: a text that was cut, or
%% changed, or is of another version.
-spec from_string(term()) -> {ok, t()} | {error, invalid}.
from_string(<<Text:36/binary>>) ->
    case decode(Text) of
        <<Bytes:25/binary, Check:16>> -> from_bytes(Bytes, Check);
        _ -> {error, invalid}
    end;
from_string(_Other) ->
    {error, invalid}.

from_bytes(<<?VERSION, Term:64, TxId:64, Checksum:64>> = Bytes, Check) ->
    case check(Bytes) of
        Check -> {ok, new({Term, TxId, Checksum})};
        _Another -> {error, invalid}
    end;
from_bytes(_OtherVersion, _Check) ->
    {error, invalid}.

check(Bytes) ->
    erlang:crc32(Bytes) band 16#ffff.

%% OTP 25 has no URL-safe alphabet of its own. 27 bytes need no padding.
encode(Bytes) ->
    << <<(to_url(Char))>> || <<Char>> <= base64:encode(Bytes) >>.

decode(Text) ->
    try base64:decode(<< <<(from_url(Char))>> || <<Char>> <= Text >>)
    catch
        error:_NotBase64 -> invalid
    end.

to_url($+) -> $-;
to_url($/) -> $_;
to_url(Char) -> Char.

from_url($-) -> $+;
from_url($_) -> $/;
from_url($+) -> $ ; % of the other alphabet, and in none
from_url($/) -> $ ;
from_url(Char) -> Char.
