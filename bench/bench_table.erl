%% The table of `make bench`, a row as soon as it is measured.
-module(bench_table).

-export([head/0]).
-export([print/1]).

-export_type([row/0]).

%% A ratio has no unit; differences and times are in microseconds, what is
%% compared with nothing but its goal has the unit that the row says.
-type row() ::
        #{what := string(), n := pos_integer(),
          ours := float(), reference := float() | none,
          compared := {ratio | difference | itself, float()},
          unit => unit(),
          goal := float() | none}
      | #{what := string(), skipped := string()}.
-type unit() :: time | per_second | kib.

%% The machine, and what the columns are.
-spec head() -> ok.
head() ->
    io:format("~s, ~s cores, OTP ~s, load ~s~n~n",
              [string:trim(os:cmd("uname -sr")),
               string:trim(os:cmd("nproc")),
               erlang:system_info(otp_release),
               string:trim(os:cmd("cut -d' ' -f1-3 /proc/loadavg"))]),
    line(["", "n", "ours", "reference", "compared", "goal", "met"]).

-spec print([row()]) -> ok.
print(Rows) ->
    lists:foreach(fun row/1, Rows).

row(#{what := What, skipped := Why}) ->
    io:format("~-40s skipped: ~s~n", [What, Why]);
row(#{what := What, n := N, ours := Ours, reference := Reference,
      compared := {How, Value} = Compared, goal := Goal} = Row) ->
    Unit = maps:get(unit, Row, time),
    line([What, integer_to_list(N), amount(Unit, Ours),
          amount(Unit, Reference), compared(Compared), goal(How, Unit, Goal),
          met(Value, Goal)]).

line([What | Columns]) ->
    io:format("~-40s ~8s ~10s ~10s ~11s ~11s ~4s~n", [What | Columns]).

compared({ratio, Ratio}) -> io_lib:format("~.2f x", [Ratio]);
compared({difference, Us}) -> ["+ ", amount(time, Us)];
compared({itself, _Value}) -> "".

goal(_How, _Unit, none) -> "";
goal(ratio, _Unit, Goal) -> io_lib:format("~.1f x", [Goal]);
goal(difference, Unit, Goal) -> ["+ ", amount(Unit, Goal)];
goal(itself, Unit, Goal) -> amount(Unit, Goal).

met(_Value, none) -> "";
met(Value, Goal) when Value =< Goal -> "yes";
met(_Value, _Goal) -> "no".

amount(_Unit, none) -> "";
amount(per_second, Value) -> io_lib:format("~.2f /s", [Value]);
amount(kib, Value) -> io_lib:format("~.1f KiB", [Value]);
amount(time, Us) when abs(Us) < 1 -> io_lib:format("~.1f ns", [Us * 1000]);
amount(time, Us) when abs(Us) < 1000 -> io_lib:format("~.1f us", [Us]);
amount(time, Us) -> io_lib:format("~.2f ms", [Us / 1000]).
