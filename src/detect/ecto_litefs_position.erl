%% Where a database is: the term of its primary, the number of its last
%% transaction, and the checksum of the whole content after it.
-module(ecto_litefs_position).

-export([compare/2]).

-export_type([t/0]).
-export_type([order/0]).

%% term: 0 where nobody keeps one (`tracking: false`).
-type t() :: {Term :: non_neg_integer(), TxId :: non_neg_integer(), Checksum :: non_neg_integer()}.

-type order() :: reached | before | forked.

%% Where Current is, seen from Wanted. In one term, which is one history, numbers
%% only grow. Another term is another history, in which the same number means
%% something else; so does another checksum at the same number.
-spec compare(Current :: t(), Wanted :: t()) -> order().
compare({Term, TxId, Checksum}, {Term, TxId, Checksum}) -> reached;
compare({Term, TxId, _}, {Term, TxId, _Another}) -> forked;
compare({Term, TxId, _}, {Term, Wanted, _}) when TxId > Wanted -> reached;
compare({Term, _, _}, {Term, _, _}) -> before;
compare({_Term, _, _}, {_Another, _, _}) -> forked.
