%% A middleware that changes the resource: it appends "!" to the name. It
%% counts, too.
-module(ecto_litefs_test_rename).

-export([process/2]).

-spec process(map(), map()) -> {cont, term(), map()}.
process(#{changes := #{name := Name} = Changes} = Changeset, Resolution) ->
    Renamed = Changeset#{changes := Changes#{name := <<Name/binary, "!">>}},
    ecto_litefs_test_count:process(Renamed, Resolution).
