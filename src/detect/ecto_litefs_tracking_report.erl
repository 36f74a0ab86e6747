%% What is logged of the tracking row: that it cannot be written, once in each
%% primaryship, with what to do; and that it was written after all.
-module(ecto_litefs_tracking_report).

-include_lib("kernel/include/logger.hrl").

-export([failed/2]).
-export([written/1]).

%% false: that is nothing to log. closed comes from a mount that changes;
%% unavailable is logged where it is found out; a Repo without a file has
%% nothing to track.
-spec failed(module(), ecto_litefs_port:reason()) -> boolean().
failed(_Repo, closed) -> false;
failed(_Repo, unavailable) -> false;
failed(_Repo, no_database) -> false;
failed(Repo, Reason) ->
    {What, Advice} = sentence(Reason),
    ?LOG_WARNING("ecto_litefs ~ts: the tracking row cannot be written (~ts); "
                 "~ts. Writes and forwards go on without it, and it is tried "
                 "again", [ecto_litefs_log:name(Repo), What, Advice],
 ecto_litefs_log:meta(Repo)),
    true.

sentence({not_a_database, _, Text}) ->
    {Text, "if the database is encrypted, start EctoLiteFS.Supervisor with "
     "tracking: false"};
sentence({missing, _, Text}) ->
    {Text, "it will be when the Repo has made its database; if that is "
     "elsewhere, say so with the option database:"};
sentence({not_our_table, _, Text}) ->
    {Text, "name another table with the option table_name:"};
sentence({_Code, _Extended, Text}) ->
    {Text, "see whether the database and its disk are well; "
     "tracking: false does without the row"};
sentence(Reason) ->
    {io_lib:format("~tp", [Reason]),
     "see whether LiteFS, or the disk, hangs"}.

-spec written(module()) -> ok.
written(Repo) ->
    ?LOG_NOTICE("ecto_litefs ~ts: the tracking row is written now",
                [ecto_litefs_log:name(Repo)], ecto_litefs_log:meta(Repo)).
