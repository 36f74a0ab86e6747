/* The stream source and what a server should not do. */
#include "backoff.h"
#include "stream_rig.h"

/* --- at the beginning of a stream --------------------------------------- */

static const struct bad_server {
    const char* name;
    struct fake_step script[6];
} bad_servers[] = {
    {"status 500", {{FAKE_STATUS, NULL, 500}, LAST}},
    {"status 404", {{FAKE_STATUS, NULL, 404}, LAST}},
    {"status 204", {{FAKE_STATUS, NULL, 204}, LAST}},
    {"redirect 302 to itself",
     {{FAKE_STATUS, "Location: /events\r\n", 302}, LAST}},
    {"redirect 307 to a file",
     {{FAKE_STATUS, "Location: file:///etc/passwd\r\n", 307}, LAST}},
    {"500 with an endless body",
     {{FAKE_RAW, "HTTP/1.1 500 Oops\r\n\r\nand so on", 0}, LAST}},
    {"hang up at once", {HANG_UP, LAST}},
    {"hang up in the headers",
     {{FAKE_RAW, "HTTP/1.1 200 OK\r\nX: ", 0}, HANG_UP, LAST}},
    {"200 that ends at once", {HEADERS, END, LAST}},
    {"200 that is cut at once", {HEADERS, HANG_UP, LAST}},
    {"init that ends at once", {PRIMARY, END, LAST}},
    {"init that is cut at once", {PRIMARY, HANG_UP, LAST}},
    {"half an init",
     {HEADERS, {FAKE_TEXT, "{\"type\":\"init\",\"da", 0}, HANG_UP, LAST}},
    {"HTML", {HEADERS, LINE("<html><body>Welcome!</body></html>"), LAST}},
    {"JSON of another program", {HEADERS, LINE("[1, 2, 3]"), LAST}},
    {"primaryChange before init",
     {HEADERS, FAKE_CHANGE("\"isPrimary\":true"), LAST}},
    {"init without isPrimary", {FAKE_INIT(""), LAST}},
    {"not HTTP", {{FAKE_RAW, "SSH-2.0-OpenSSH_9.2\r\n", 0}, HANG_UP, LAST}},
    {"a broken chunk", {HEADERS, {FAKE_RAW, "zz\r\nnonsense\r\n", 0}, LAST}},
};

/* As many attempts as the shortest waits allow in that time. */
static int attempts_within(int64_t time_ms)
{
    struct backoff backoff;
    int attempts = 0;

    backoff_init(&backoff);
    while (time_ms >= 0) {
        int64_t wait_ms = backoff_next(&backoff, 0, 0);
        time_ms -= wait_ms - wait_ms / 4;
        attempts++;
    }
    return attempts;
}

/* All at once, because each of them takes a second. */
START_TEST(bad_servers_are_down_asked_seldom_and_recover)
{
    struct rig rigs[COUNT(bad_servers)];
    int64_t began_ms = clock_now_ms();

    for (int i = 0; i < COUNT(bad_servers); i++)
        rigs[i] = rig_open(bad_servers[i].script);
    for (int i = 0; i < COUNT(bad_servers); i++) {
        rig_use(&rigs[i]);
        AWAIT(fake_litefs_events_requests(fake) >= 6);
        int most = attempts_within(clock_now_ms() - began_ms);
        ck_assert_msg(fake_litefs_events_requests(fake) <= most,
                      "%s: asked too often", bad_servers[i].name);
        ck_assert(!stream_is(STREAM_UNSEEN));
    }
    for (int i = 0; i < COUNT(bad_servers); i++) {
        rig_use(&rigs[i]);
        fake_litefs_script(fake, FAKE_SCRIPT(REPLICA("node-r")));
        AWAIT(names("node-r"));
        ck_assert(stream_is(STREAM_UP));
        rig_tear_down();
    }
}
END_TEST

static const struct bad_server silent_servers[] = {
    {"no answer", {LAST}},
    {"endless headers", {{FAKE_RAW, "HTTP/1.1 200 OK\r\nX: ", 0}, LAST}},
    {"200 and no init", {HEADERS, LAST}},
    {"200 and half an init", {HEADERS, {FAKE_TEXT, "{\"type\":", 0}, LAST}},
    {"200 and blank lines", {HEADERS, LINE(""), LINE(""), LAST}},
    {"200 and a 2 MiB line", {HEADERS, {FAKE_LONG, NULL, 2 << 20}, LAST}},
};

START_TEST(silent_servers_are_down_after_two_seconds_and_recover)
{
    struct rig rigs[COUNT(silent_servers)];
    int64_t began_ms = clock_now_ms();

    for (int i = 0; i < COUNT(silent_servers); i++)
        rigs[i] = rig_open(silent_servers[i].script);
    for (int i = 0; i < COUNT(silent_servers); i++) {
        rig_use(&rigs[i]);
        AWAIT(!stream_is(STREAM_UNSEEN));
        ck_assert_msg(clock_now_ms() - began_ms >= 2000, "%s: too early",
                      silent_servers[i].name);
        ck_assert_int_eq(status_cell_role(cell), ROLE_UNKNOWN);
        ck_assert_int_le(fake_litefs_events_requests(fake), 2);
        fake_litefs_script(fake, FAKE_SCRIPT(PRIMARY));
    }
    for (int i = 0; i < COUNT(silent_servers); i++) {
        rig_use(&rigs[i]);
        await_primary();
        ck_assert_int_le(fake_litefs_events_requests(fake), 3);
        rig_tear_down();
    }
}
END_TEST

/* --- in the middle of a good one ---------------------------------------- */

static const struct bad_lines {
    struct fake_step steps[3];
    uint64_t malformed;
    uint64_t too_long;
} bad_lines[] = {
    {{LINE("{\"type\":\"primaryChange\",\"data\":{\"isPrim"), LAST}, 1, 0},
    {{LINE("nonsense"), LINE("\x01\x02"), LAST}, 2, 0},
    {{FAKE_CHANGE("\"isPrimary\":\"false\""), LAST}, 1, 0},
    {{FAKE_CHANGE("\"isPrimary\":false,\"hostname\":\"a\\u0000b\""), LAST},
     1,
     0},
    {{LINE("{\"type\":\"news\",\"data\":{}}"), LINE(""), LAST}, 0, 0},
    {{{FAKE_LONG, NULL, 2 << 20}, LAST}, 0, 1},
};

START_TEST(a_bad_line_is_ignored_and_counted)
{
    const struct bad_lines* bad = &bad_lines[_i];

    fake_litefs_script(fake, FAKE_SCRIPT(PRIMARY));
    rig_start();
    await_primary();
    uint64_t generation = snapshot().generation;
    fake_litefs_play(fake, bad->steps);
    fake_litefs_play(
        fake, FAKE_SCRIPT(TX("a", "0000000000000007", "8000000000000007")));
    AWAIT(position_is("a", 7, 0x8000000000000007));
    ck_assert_uint_eq(counters().malformed, bad->malformed);
    ck_assert_uint_eq(counters().too_long, bad->too_long);
    ck_assert_uint_eq(snapshot().generation, generation);
    ck_assert_int_eq(status_cell_role(cell), ROLE_PRIMARY);
    ck_assert_int_eq(fake_litefs_events_requests(fake), 1);
}
END_TEST

START_TEST(a_line_in_pieces_is_one_line)
{
    fake_litefs_script(fake, FAKE_SCRIPT(PRIMARY));
    rig_start();
    await_primary();
    fake_litefs_play(fake,
                     FAKE_SCRIPT({FAKE_TEXT, "{\"type\":\"primaryCh", 0},
                                 {FAKE_TEXT, "ange\",\"data\":{\"isPrim", 0}));
    fake_litefs_play(fake, FAKE_SCRIPT(LINE("ary\":false}}")));
    AWAIT(status_cell_role(cell) == ROLE_NO_PRIMARY);
    ck_assert_uint_eq(counters().malformed, 0);
}
END_TEST

START_TEST(half_a_line_does_not_spoil_the_next_stream)
{
    fake_litefs_script(
        fake, FAKE_SCRIPT(REPLICA("node-a"), {FAKE_TEXT, "{\"type\":\"prim", 0},
                          HANG_UP));
    rig_start();
    AWAIT(fake_litefs_events_requests(fake) == 2);
    fake_litefs_script(fake, FAKE_SCRIPT(PRIMARY));
    await_primary();
    ck_assert_uint_eq(counters().malformed, 0);
}
END_TEST

Suite* suite_stream_input(void);

Suite* suite_stream_input(void)
{
    Suite* suite = suite_create("stream_input");
    TCase* servers = tcase_create("servers");
    TCase* lines = tcase_create("lines");

    tcase_set_timeout(servers, 30);
    tcase_add_test(servers, bad_servers_are_down_asked_seldom_and_recover);
    tcase_add_test(servers,
                   silent_servers_are_down_after_two_seconds_and_recover);
    suite_add_tcase(suite, servers);

    tcase_set_timeout(lines, 30);
    tcase_add_checked_fixture(lines, rig_set_up, rig_tear_down);
    tcase_add_loop_test(lines, a_bad_line_is_ignored_and_counted, 0,
                        COUNT(bad_lines));
    tcase_add_test(lines, a_line_in_pieces_is_one_line);
    tcase_add_test(lines, half_a_line_does_not_spoil_the_next_stream);
    suite_add_tcase(suite, lines);
    return suite;
}
