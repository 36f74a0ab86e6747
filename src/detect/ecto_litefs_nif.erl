%% The stubs of c_src/nif, with their types: decode, one call, encode is done
%% in C. Nothing here blocks a scheduler, and no function waits for LiteFS.
%%
%% Messages that C sends:
%%   {ecto_litefs_changed, Handle}     to the process that called open/1; at
%%                                     most one is outstanding, take/1 re-arms
%%   {ecto_litefs_check, Ref, Role}    to the process that called check/2,
%%                                     exactly once for each `ok` of check/2
-module(ecto_litefs_nif).

-export([available/0]).
-export([open/1]).
-export([close/1]).
-export([role/1]).
-export([snapshot/1]).
-export([take/1]).
-export([check/2]).
-export([hint/1]).
-export([set_manual/2]).
-export([reconnected/2]).
-export([nothing/0]).

-export_type([handle/0]).
-export_type([role/0]).
-export_type([options/0]).
-export_type([snapshot/0]).

-nifs([open/1, close/1, role/1, snapshot/1, take/1, check/2, hint/1,
       set_manual/2, reconnected/2, nothing/0]).
-on_load(load/0).

-opaque handle() :: reference().

-type role() :: primary | replica | no_primary | unknown | not_litefs.

-type options() ::
        #{primary_file := binary(),            % absolute path
          events_url := binary() | undefined,
          poll_interval := pos_integer() | disabled,
          mount := auto | required | plain,
          litefs_seen := boolean()}.

-type snapshot() ::
        #{role := role(),
          source := none | stream | mount | manual,
          hostname := binary(),                % the primary's, <<>> unknown
          since_ms := integer(),               % milliseconds in this role
          generation := non_neg_integer(),
          mount := unseen | litefs | plain | missing | dead | unreadable
                 | timeout,
          stream := unseen | off | up | down,
          lag_ms := integer() | undefined,
          settled := boolean(),
          litefs_seen := boolean(),
          reconnect := false | {pending, non_neg_integer()},
          positions := #{binary() => {TxId :: non_neg_integer(),
                                      Checksum :: non_neg_integer()}}}.
