/*
 * The stream source against a scripted LiteFS and a real status cell in
 * MODE_PLAIN on an empty directory, where the stream alone decides.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backoff.h"
#include "clock.h"
#include "fake_litefs.h"
#include "status_cell.h"
#include "stream_source.h"

enum { PATIENCE_MS = 10000 };

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define PRIMARY FAKE_INIT("\"isPrimary\":true")
#define REPLICA(name) FAKE_INIT("\"isPrimary\":false,\"hostname\":\"" name "\"")

/* One server, one cell and one source. */
static struct fake_litefs* fake;
static struct status_cell* cell;
static struct stream_source* source;
static atomic_int hints;
static atomic_int changes;

struct rig {
    struct fake_litefs* fake;
    struct status_cell* cell;
    struct stream_source* source;
};

/* Makes `rig` the one that everything below works on. */
static void use(const struct rig* rig)
{
    fake = rig->fake;
    cell = rig->cell;
    source = rig->source;
}

static void count(void* ctx)
{
    atomic_fetch_add((atomic_int*)ctx, 1);
}

static void set_up(void)
{
    const struct role_config config = {
        .mode = MODE_PLAIN,
        .stream_enabled = true,
        .probe_timeout_ms = 300,
    };
    const struct status_cell_hooks hooks = {.changed = count, .ctx = &changes};
    struct role_input mount = {.type = INPUT_MOUNT};

    ck_assert_int_eq(status_cell_open(&config, &hooks, &cell), 0);
    mount.mount.kind = MOUNT_PLAIN;
    mount.mount.started_ms = clock_now_ms();
    mount.mount.primary_file = PRIMARY_FILE_ABSENT;
    status_cell_post(cell, &mount, NULL);
    fake = fake_litefs_open();
    source = NULL;
}

static void tear_down(void)
{
    if (source)
        stream_source_close(source);
    status_cell_unref(cell);
    fake_litefs_close(fake);
}

static void start(void)
{
    const char* url = fake_litefs_url(fake);
    int rc = stream_source_open(url, cell, count, &hints, &source);
    ck_assert_int_eq(rc, 0);
}

static struct rig start_rig(const struct fake_step* script)
{
    set_up();
    fake_litefs_script(fake, script);
    start();
    return (struct rig){fake, cell, source};
}

/* --- waiting ------------------------------------------------------------ */

static void pause_1_ms(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

#define AWAIT(condition)                                               \
    do {                                                               \
        int64_t give_up_ = clock_now_ms() + PATIENCE_MS;               \
        while (!(condition)) {                                         \
            ck_assert_msg(clock_now_ms() < give_up_, "never came: %s", \
                          #condition);                                 \
            pause_1_ms();                                              \
        }                                                              \
    } while (0)

static struct status snapshot(void)
{
    struct status status;
    status_cell_snapshot(cell, &status);
    return status;
}

static bool stream_is(enum stream_state state)
{
    return snapshot().stream == state;
}

static bool names(const char* hostname)
{
    struct status status = snapshot();
    return status.role == ROLE_REPLICA && !strcmp(status.hostname, hostname);
}

static struct stream_counters counters(void)
{
    struct stream_counters counters;
    stream_source_counters(source, &counters);
    return counters;
}

static void await_primary(void)
{
    AWAIT(status_cell_role(cell) == ROLE_PRIMARY);
    ck_assert(stream_is(STREAM_UP));
}

/* --- what LiteFS does --------------------------------------------------- */

START_TEST(follows_the_primary)
{
    fake_litefs_script(fake, FAKE_SCRIPT(REPLICA("node-a")));
    start();
    AWAIT(names("node-a"));
    fake_litefs_play(fake, FAKE_SCRIPT(FAKE_CHANGE("\"isPrimary\":true")));
    await_primary();
    fake_litefs_play(fake, FAKE_SCRIPT(FAKE_CHANGE(
                               "\"isPrimary\":false,\"hostname\":\"node-b\"")));
    AWAIT(names("node-b"));
    fake_litefs_play(fake, FAKE_SCRIPT(FAKE_CHANGE("\"isPrimary\":false")));
    AWAIT(status_cell_role(cell) == ROLE_NO_PRIMARY);
    ck_assert_int_eq(fake_litefs_events_requests(fake), 1);
}
END_TEST

static bool position_is(const char* db, uint64_t txid, uint64_t checksum)
{
    struct db_position positions[POSITIONS_MAX];
    int count = status_cell_positions(cell, positions);

    for (int i = 0; i < count; i++) {
        if (!strcmp(positions[i].db, db) && positions[i].txid == txid &&
            positions[i].checksum == checksum)
            return true;
    }
    return false;
}

#define TX(db, txid, checksum)                                              \
    {                                                                       \
        FAKE_LINE,                                                          \
            "{\"type\":\"tx\",\"db\":\"" db "\",\"data\":{\"txID\":\"" txid \
            "\",\"postApplyChecksum\":\"" checksum "\"}}",                  \
            0                                                               \
    }

START_TEST(keeps_the_last_position_of_each_database)
{
    fake_litefs_script(
        fake,
        FAKE_SCRIPT(PRIMARY, TX("a", "0000000000000001", "8000000000000001"),
                    TX("b", "0000000000000005", "8000000000000005"),
                    TX("a", "0000000000000002", "8000000000000002")));
    start();
    AWAIT(position_is("a", 2, 0x8000000000000002));
    ck_assert(position_is("b", 5, 0x8000000000000005));
}
END_TEST

START_TEST(a_cut_stream_is_down_at_once_and_hinted)
{
    fake_litefs_script(fake, FAKE_SCRIPT(PRIMARY));
    start();
    await_primary();
    int before = atomic_load(&hints);
    fake_litefs_refuse(fake);
    fake_litefs_play(fake, FAKE_SCRIPT({FAKE_HANG_UP, NULL, 0}));
    AWAIT(stream_is(STREAM_DOWN));
    ck_assert_int_ne(status_cell_role(cell), ROLE_PRIMARY);
    AWAIT(atomic_load(&hints) > before);
    fake_litefs_accept(fake);
    await_primary();
}
END_TEST

START_TEST(an_ended_stream_reconnects_soon)
{
    fake_litefs_script(fake, FAKE_SCRIPT(PRIMARY));
    start();
    await_primary();
    fake_litefs_script(fake, FAKE_SCRIPT(REPLICA("node-a")));
    int64_t began_ms = clock_now_ms();
    fake_litefs_play(fake, FAKE_SCRIPT({FAKE_END, NULL, 0}));
    AWAIT(names("node-a"));
    ck_assert_int_lt(clock_now_ms() - began_ms, 1000);
    ck_assert_int_eq(fake_litefs_events_requests(fake), 2);
}
END_TEST

START_TEST(refused_until_litefs_starts)
{
    fake_litefs_refuse(fake);
    start();
    AWAIT(stream_is(STREAM_DOWN));
    AWAIT(counters().attempts >= 3);
    fake_litefs_script(fake, FAKE_SCRIPT(PRIMARY));
    fake_litefs_accept(fake);
    await_primary();
}
END_TEST

/* --- bad input: what it does to a stream that begins with it ------------ */

#define LINE(text)         \
    {                      \
        FAKE_LINE, text, 0 \
    }
#define HEADERS               \
    {                         \
        FAKE_HEADERS, NULL, 0 \
    }
#define END               \
    {                     \
        FAKE_END, NULL, 0 \
    }
#define HANG_UP               \
    {                         \
        FAKE_HANG_UP, NULL, 0 \
    }
#define LAST                        \
    {                               \
        FAKE_END_OF_SCRIPT, NULL, 0 \
    }

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
        rigs[i] = start_rig(bad_servers[i].script);
    for (int i = 0; i < COUNT(bad_servers); i++) {
        use(&rigs[i]);
        AWAIT(fake_litefs_events_requests(fake) >= 6);
        int most = attempts_within(clock_now_ms() - began_ms);
        ck_assert_msg(fake_litefs_events_requests(fake) <= most,
                      "%s: asked too often", bad_servers[i].name);
        ck_assert(!stream_is(STREAM_UNSEEN));
    }
    for (int i = 0; i < COUNT(bad_servers); i++) {
        use(&rigs[i]);
        fake_litefs_script(fake, FAKE_SCRIPT(REPLICA("node-r")));
        AWAIT(names("node-r"));
        ck_assert(stream_is(STREAM_UP));
        tear_down();
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
        rigs[i] = start_rig(silent_servers[i].script);
    for (int i = 0; i < COUNT(silent_servers); i++) {
        use(&rigs[i]);
        AWAIT(!stream_is(STREAM_UNSEEN));
        ck_assert_msg(clock_now_ms() - began_ms >= 2000, "%s: too early",
                      silent_servers[i].name);
        ck_assert_int_eq(status_cell_role(cell), ROLE_UNKNOWN);
        ck_assert_int_le(fake_litefs_events_requests(fake), 2);
        fake_litefs_script(fake, FAKE_SCRIPT(PRIMARY));
    }
    for (int i = 0; i < COUNT(silent_servers); i++) {
        use(&rigs[i]);
        await_primary();
        ck_assert_int_le(fake_litefs_events_requests(fake), 3);
        tear_down();
    }
}
END_TEST

/* --- bad input: in the middle of a good stream -------------------------- */

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
    start();
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
    start();
    await_primary();
    fake_litefs_play(fake,
                     FAKE_SCRIPT({FAKE_TEXT, "{\"type\":\"primaryCh", 0},
                                 {FAKE_TEXT, "ange\",\"data\":{\"isPrim", 0}));
    fake_litefs_play(fake, FAKE_SCRIPT(LINE("ary\":false}}")));
    AWAIT(status_cell_role(cell) == ROLE_NO_PRIMARY);
    ck_assert_uint_eq(counters().malformed, 0);
}
END_TEST

/* --- the sign of life --------------------------------------------------- */

START_TEST(info_is_asked_once_the_stream_is_up)
{
    fake_litefs_script(fake, FAKE_SCRIPT(PRIMARY));
    start();
    await_primary();
    AWAIT(fake_litefs_info_requests(fake) == 1);
    /* The next one comes on the same connection, STREAM_PROBE_MS later. */
    int64_t began_ms = clock_now_ms();
    AWAIT(fake_litefs_info_requests(fake) == 2);
    ck_assert_int_ge(clock_now_ms() - began_ms, STREAM_PROBE_MS - 500);
    ck_assert_int_eq(fake_litefs_connections(fake), 2);
    ck_assert_int_eq(fake_litefs_events_requests(fake), 1);
}
END_TEST

START_TEST(an_unanswered_info_is_down)
{
    fake_litefs_info(fake, _i == 0 ? FAKE_INFO_HANG : FAKE_INFO_HANG_UP);
    fake_litefs_script(fake, FAKE_SCRIPT(PRIMARY));
    start();
    AWAIT(stream_is(STREAM_DOWN));
    ck_assert_int_ne(status_cell_role(cell), ROLE_PRIMARY);
    fake_litefs_script(fake, FAKE_SCRIPT(REPLICA("node-r")));
    fake_litefs_info(fake, FAKE_INFO_ANSWER);
    AWAIT(names("node-r"));
    ck_assert_int_le(fake_litefs_events_requests(fake), 4);
}
END_TEST

/* --- deadlines ------------------------------------------------ */

/* A probe that hangs is noticed although nobody reads the cell. */
START_TEST(the_deadline_of_the_cell_is_kept)
{
    const struct role_input probe = {.type = INPUT_PROBE_STARTED};
    struct status status;

    fake_litefs_script(fake, FAKE_SCRIPT(PRIMARY));
    start();
    await_primary();
    status_cell_take(cell, &status);
    int before = atomic_load(&changes);
    status_cell_post(cell, &probe, NULL);
    AWAIT(atomic_load(&changes) > before);
    status_cell_take(cell, &status);
    ck_assert_int_eq(status.mount, MOUNT_TIMEOUT);
}
END_TEST

/* --- open and close ----------------------------------------------------- */

static const char* const refused_urls[] = {
    "",           "events",        "ftp://127.0.0.1/events",
    "http://",    "file:///etc",   "http://127.0.0.1:99999/events",
    "gopher://x", "://127.0.0.1/", "http://a b/",
};

START_TEST(a_bad_url_is_refused)
{
    ck_assert_int_eq(
        stream_source_open(refused_urls[_i], cell, NULL, NULL, &source),
        -EINVAL);
}
END_TEST

static int64_t close_ms(void)
{
    int64_t began_ms = clock_now_ms();

    stream_source_close(source);
    source = NULL;
    return clock_now_ms() - began_ms;
}

START_TEST(close_does_not_wait_for_a_silent_server)
{
    fake_litefs_script(fake, silent_servers[_i].script);
    start();
    AWAIT(fake_litefs_events_requests(fake) == 1);
    ck_assert_int_lt(close_ms(), 500);
    AWAIT(fake_litefs_connections(fake) == 0);
}
END_TEST

START_TEST(close_does_not_wait_for_a_hanging_info)
{
    fake_litefs_info(fake, FAKE_INFO_HANG);
    fake_litefs_script(fake, FAKE_SCRIPT(PRIMARY));
    start();
    AWAIT(fake_litefs_info_requests(fake) == 1);
    ck_assert_int_lt(close_ms(), 500);
    AWAIT(fake_litefs_connections(fake) == 0);
}
END_TEST

static void* close_it(void* ctx)
{
    stream_source_close(ctx);
    return NULL;
}

START_TEST(open_and_close_a_hundred_times_from_any_thread)
{
    fake_litefs_script(fake, FAKE_SCRIPT(PRIMARY));
    for (int i = 0; i < 100; i++) {
        pthread_t closer;
        start();
        if (i % 3 == 0)
            AWAIT(counters().attempts == 1);
        ck_assert_int_eq(pthread_create(&closer, NULL, close_it, source), 0);
        pthread_join(closer, NULL);
        source = NULL;
    }
    AWAIT(fake_litefs_connections(fake) == 0);
}
END_TEST

START_TEST(no_hint_after_close)
{
    fake_litefs_script(fake, FAKE_SCRIPT(PRIMARY));
    start();
    await_primary();
    stream_source_close(source);
    source = NULL;
    int after = atomic_load(&hints);
    AWAIT(fake_litefs_connections(fake) == 0);
    ck_assert_int_eq(atomic_load(&hints), after);
}
END_TEST

static TCase* add_case(Suite* suite, const char* name)
{
    TCase* tcase = tcase_create(name);

    tcase_set_timeout(tcase, 30);
    suite_add_tcase(suite, tcase);
    return tcase;
}

Suite* suite_stream_source(void);

Suite* suite_stream_source(void)
{
    Suite* suite = suite_create("stream_source");
    TCase* good = add_case(suite, "litefs");
    TCase* bad = add_case(suite, "bad servers");
    TCase* life = add_case(suite, "open and close");

    tcase_add_checked_fixture(good, set_up, tear_down);
    tcase_add_test(good, follows_the_primary);
    tcase_add_test(good, keeps_the_last_position_of_each_database);
    tcase_add_test(good, a_cut_stream_is_down_at_once_and_hinted);
    tcase_add_test(good, an_ended_stream_reconnects_soon);
    tcase_add_test(good, refused_until_litefs_starts);
    tcase_add_test(good, info_is_asked_once_the_stream_is_up);
    tcase_add_loop_test(good, an_unanswered_info_is_down, 0, 2);
    tcase_add_test(good, the_deadline_of_the_cell_is_kept);
    tcase_add_loop_test(good, a_bad_line_is_ignored_and_counted, 0,
                        COUNT(bad_lines));
    tcase_add_test(good, a_line_in_pieces_is_one_line);

    tcase_add_test(bad, bad_servers_are_down_asked_seldom_and_recover);
    tcase_add_test(bad, silent_servers_are_down_after_two_seconds_and_recover);

    tcase_add_checked_fixture(life, set_up, tear_down);
    tcase_add_loop_test(life, a_bad_url_is_refused, 0, COUNT(refused_urls));
    tcase_add_loop_test(life, close_does_not_wait_for_a_silent_server, 0,
                        COUNT(silent_servers));
    tcase_add_test(life, close_does_not_wait_for_a_hanging_info);
    tcase_add_test(life, open_and_close_a_hundred_times_from_any_thread);
    tcase_add_test(life, no_hint_after_close);
    return suite;
}
