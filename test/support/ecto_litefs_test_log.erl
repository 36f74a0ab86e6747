%% What the library logs: messages with the domain [ecto_litefs].
-module(ecto_litefs_test_log).

-export([start/0]).
-export([lines/0]).
-export([stop/0]).

%% The logger's callback.
-export([log/2]).

-define(HANDLER, ?MODULE).

%% From now on they go to the calling process's mailbox, and to nobody who
%% asked before.
-spec start() -> ok.
start() ->
    _ = stop(),
    logger:add_handler(?HANDLER, ?MODULE, #{config => #{to => self()}}).

-spec stop() -> ok | {error, term()}.
stop() ->
    logger:remove_handler(?HANDLER).

%% Those that have come, each once: logging is done by the process that logs,
%% so they are here when it has gone on.
-spec lines() -> [{logger:level(), string()}].
lines() ->
    receive
        {?MODULE, Level, Line} -> [{Level, Line} | lines()]
    after 0 -> []
    end.

-spec log(logger:log_event(), logger:handler_config()) -> ok.
log(#{level := Level, msg := Message, meta := #{domain := [ecto_litefs]}},
    #{config := #{to := Pid}}) ->
    Pid ! {?MODULE, Level, text(Message)},
    ok;
log(_Event, _Config) ->
    ok.

text({string, String}) -> unicode:characters_to_list(String);
text({Format, Arguments}) -> text({string, io_lib:format(Format, Arguments)}).
