%% Whether writes may be local where the NIF cannot be loaded. Who the primary
%% is only the NIF can tell, so wherever there is LiteFS, or has to be, the
%% answer is a refusal.
-module(ecto_litefs_without_nif).

-export([refusal/1]).

-export_type([refusal/0]).

-type refusal() :: {litefs_without_nif, binary()}.

-spec refusal(ecto_litefs_config:t()) -> none | refusal().
refusal(#{mount := required}) ->
    refuse(<<"the option mount is :required">>);
refusal(#{primary_file := File}) ->
    Directory = filename:dirname(File),
    case ecto_litefs_mountinfo:is_litefs(Directory) of
        true -> refuse(<<Directory/binary, " is a LiteFS mount">>);
        false -> none
    end.

refuse(What) ->
    Reason = ecto_litefs_nif:unavailable_reason(),
    {litefs_without_nif, <<What/binary, ", but ", Reason/binary>>}.
