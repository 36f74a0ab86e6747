-module(ecto_litefs_mountinfo_tests).

-include_lib("eunit/include/eunit.hrl").

is_litefs_test_() ->
    [{Title, ?_assertEqual(Want, ecto_litefs_mountinfo:is_litefs(Dir, table()))}
     || {Title, Dir, Want} <-
            [{"a LiteFS mount", <<"/litefs">>, true},
             {"another FUSE mount", <<"/mnt/sshfs">>, false},
             {"no mount point", <<"/litefs/db">>, false},
             {"the root", <<"/">>, false},
             {"escaped blank", <<"/mnt/my litefs">>, true},
             {"hidden by a later mount", <<"/hidden">>, false}]].

%% As Linux prints it; the sixth and later fields vary in number.
table() ->
    <<"22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/root rw\n"
      "90 22 0:50 / /litefs rw,nosuid,nodev - fuse.litefs litefs rw,user_id=0\n"
      "91 22 0:51 / /mnt/sshfs rw shared:9 master:1 - fuse.sshfs host: rw\n"
      "92 22 0:52 / /mnt/my\\040litefs rw shared:3 - fuse litefs rw\n"
      "93 22 0:53 / /hidden rw - fuse litefs rw\n"
      "94 93 0:54 / /hidden rw - tmpfs tmpfs rw\n">>.

%% A LiteFS mount point is found by any name that leads to it.
symbolic_link_test() ->
    Dir = filename:join(os:getenv("TMPDIR", "/tmp"),
                        "ecto_litefs_mountinfo_" ++ os:getpid()),
    ok = filelib:ensure_path(Dir),
    ok = file:make_symlink("/proc", filename:join(Dir, "absolute")),
    ok = file:make_symlink("./absolute/../proc", filename:join(Dir, "link")),
    try
        Link = list_to_binary(filename:join(Dir, "link")),
        ?assertEqual(<<"/proc">>, ecto_litefs_mountinfo:real_path(Link)),
        ?assertEqual(<<"/proc">>,
                     ecto_litefs_mountinfo:real_path(<<"/proc/">>)),
        ?assertNot(ecto_litefs_mountinfo:is_litefs(Link))
    after
        file:del_dir_r(Dir)
    end.

%% A loop of links ends the walk instead of the process.
link_loop_test() ->
    Dir = filename:join(os:getenv("TMPDIR", "/tmp"),
                        "ecto_litefs_loop_" ++ os:getpid()),
    ok = filelib:ensure_path(Dir),
    ok = file:make_symlink("self", filename:join(Dir, "self")),
    try ?assertNot(ecto_litefs_mountinfo:is_litefs(filename:join(Dir, "self")))
    after file:del_dir_r(Dir)
    end.
