%% Whether a directory is a LiteFS mount, without the NIF: only for deciding
%% what to do where the NIF cannot be loaded. It reads the kernel's table and
%% makes no call that goes to LiteFS.
-module(ecto_litefs_mountinfo).

-export([is_litefs/1]).
-export([is_litefs/2]).
-export([real_path/1]).

-define(LINKS_MAX, 40).

-spec is_litefs(file:filename_all()) -> boolean().
is_litefs(Directory) ->
    case file:read_file("/proc/self/mountinfo") of
        {ok, Table} -> is_litefs(real_path(Directory), Table);
        {error, _Reason} -> false % not Linux, so no LiteFS either
    end.

%% A later mount on the same directory hides an earlier one.
-spec is_litefs(binary(), binary()) -> boolean().
is_litefs(Directory, Table) ->
    Mounts = [mount(Line)
              || Line <- binary:split(Table, <<"\n">>, [global, trim_all])],
    case lists:keyfind(Directory, 1, lists:reverse(Mounts)) of
        {Directory, Source} -> Source =:= <<"litefs">>;
        false -> false
    end.

%% The fields: id, parent, device, root, mount point, options, any number of
%% optional ones, a dash, type, source, options.
mount(Line) ->
    [Fields, Rest] = binary:split(Line, <<" - ">>),
    Point = lists:nth(5, binary:split(Fields, <<" ">>, [global])),
    [_Type, Source | _] = binary:split(Rest, <<" ">>, [global]),
    {unescape(Point), unescape(Source)}.

%% The kernel writes blank, tab, newline and backslash as \ooo.
unescape(<<"\\", Octal:3/binary, Rest/binary>>) ->
    <<(binary_to_integer(Octal, 8)), (unescape(Rest))/binary>>;
unescape(<<Char, Rest/binary>>) ->
    <<Char, (unescape(Rest))/binary>>;
unescape(<<>>) ->
    <<>>.

%% The table names directories without symbolic links.
-spec real_path(file:filename_all()) -> binary().
real_path(Directory) ->
    [Root | Names] = filename:split(unicode:characters_to_binary(Directory)),
    walk(Root, Names, ?LINKS_MAX).

walk(Path, [], _Links) ->
    Path;
walk(Path, [<<".">> | Names], Links) ->
    walk(Path, Names, Links);
walk(Path, [<<"..">> | Names], Links) ->
    walk(filename:dirname(Path), Names, Links);
walk(Path, [Name | Names], Links) ->
    Next = filename:join(Path, Name),
    case file:read_link_all(Next) of
        {ok, Target} when Links > 0 ->
            Parts = filename:split(unicode:characters_to_binary(Target)),
            follow(Path, Parts ++ Names, Links - 1);
        _NoLink ->
            walk(Next, Names, Links)
    end.

follow(_Path, [<<"/">> | Names], Links) ->
    walk(<<"/">>, Names, Links);
follow(Path, Names, Links) ->
    walk(Path, Names, Links).
