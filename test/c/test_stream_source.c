/* The stream source and what LiteFS does. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include "stream_rig.h"

/* --- what LiteFS does --------------------------------------------------- */

START_TEST(follows_the_primary)
{
    fake_litefs_script(fake, FAKE_SCRIPT(REPLICA("node-a")));
    rig_start();
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

START_TEST(keeps_the_last_position_of_each_database)
{
    fake_litefs_script(
        fake,
        FAKE_SCRIPT(PRIMARY, TX("a", "0000000000000001", "8000000000000001"),
                    TX("b", "0000000000000005", "8000000000000005"),
                    TX("a", "0000000000000002", "8000000000000002")));
    rig_start();
    AWAIT(position_is("a", 2, 0x8000000000000002));
    ck_assert(position_is("b", 5, 0x8000000000000005));
}
END_TEST

static uint64_t era_now(void)
{
    struct position position;
    uint64_t era;

    status_cell_position(cell, "a", &position, &era);
    return era;
}

/* Both lines come in one piece, so that nothing but their order is between
 * them; and the hostname is the same, so that no role changes. */
START_TEST(a_primary_is_counted_before_a_later_position_is_seen)
{
    fake_litefs_script(fake, FAKE_SCRIPT(REPLICA("node-a")));
    rig_start();
    AWAIT(names("node-a"));
    for (uint64_t txid = 1; txid <= 200; txid++) {
        struct position position = {0};
        uint64_t before = era_now();
        uint64_t era;
        char lines[400];

        snprintf(
            lines, sizeof lines,
            "{\"type\":\"primaryChange\",\"data\":"
            "{\"isPrimary\":false,\"hostname\":\"node-a\"}}\n"
            "{\"type\":\"tx\",\"db\":\"a\",\"data\":{\"txID\":\"%016" PRIx64
            "\",\"postApplyChecksum\":\"8000000000000000\"}}\n",
            txid);
        fake_litefs_play(fake, FAKE_SCRIPT({FAKE_TEXT, lines, 0}));
        do {
            status_cell_position(cell, "a", &position, &era);
        } while (position.txid != txid);
        ck_assert_uint_gt(era, before);
        ck_assert_uint_eq(era_now(), era);
    }
    ck_assert(names("node-a"));
}
END_TEST

START_TEST(a_cut_stream_is_down_at_once_and_hinted)
{
    fake_litefs_script(fake, FAKE_SCRIPT(PRIMARY));
    rig_start();
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
    rig_start();
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
    rig_start();
    AWAIT(stream_is(STREAM_DOWN));
    AWAIT(counters().attempts >= 3);
    fake_litefs_script(fake, FAKE_SCRIPT(PRIMARY));
    fake_litefs_accept(fake);
    await_primary();
}
END_TEST

/* --- deadlines ------------------------------------------------ */

/* A probe that hangs is noticed although nobody reads the cell. */
START_TEST(the_deadline_of_the_cell_is_kept)
{
    const struct role_input probe = {.type = INPUT_PROBE_STARTED};
    struct status status;

    fake_litefs_script(fake, FAKE_SCRIPT(PRIMARY));
    rig_start();
    await_primary();
    status_cell_take(cell, &status);
    int before = atomic_load(&changes);
    status_cell_post(cell, &probe, NULL);
    int64_t began_ms = clock_now_ms();
    AWAIT(atomic_load(&changes) > before);
    ck_assert_int_lt(clock_now_ms() - began_ms, 1000); /* 300 ms, and no more */
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

/* Without the wake-up it takes 200 ms, when curl's next own timer rings. */
static int64_t close_ms(void)
{
    int64_t began_ms = clock_now_ms();

    stream_source_close(source);
    source = NULL;
    return clock_now_ms() - began_ms;
}

static const struct fake_step silent[][3] = {
    {LAST},
    {HEADERS, LAST},
    {HEADERS, {FAKE_TEXT, "{\"type\":", 0}, LAST},
};

START_TEST(close_does_not_wait_for_a_silent_server)
{
    fake_litefs_script(fake, silent[_i]);
    rig_start();
    AWAIT(fake_litefs_events_requests(fake) == 1);
    ck_assert_int_lt(close_ms(), 100);
    AWAIT(fake_litefs_connections(fake) == 0);
}
END_TEST

START_TEST(close_does_not_wait_for_a_hanging_info)
{
    fake_litefs_info(fake, FAKE_INFO_HANG);
    fake_litefs_script(fake, FAKE_SCRIPT(PRIMARY));
    rig_start();
    AWAIT(fake_litefs_info_requests(fake) == 1);
    ck_assert_int_lt(close_ms(), 100);
    AWAIT(fake_litefs_connections(fake) == 0);
}
END_TEST

static void* close_it(void* ctx)
{
    stream_source_close(ctx);
    return NULL;
}

static int open_descriptors(void)
{
    DIR* directory = opendir("/proc/self/fd");
    int number = 0;

    ck_assert_ptr_nonnull(directory);
    while (readdir(directory))
        number++;
    closedir(directory);
    return number;
}

START_TEST(open_and_close_a_hundred_times_from_any_thread)
{
    fake_litefs_script(fake, FAKE_SCRIPT(PRIMARY));
    int before = open_descriptors();
    for (int i = 0; i < 100; i++) {
        pthread_t closer;
        rig_start();
        if (i % 3 == 0)
            AWAIT(counters().attempts == 1);
        ck_assert_int_eq(pthread_create(&closer, NULL, close_it, source), 0);
        pthread_join(closer, NULL);
        source = NULL;
    }
    AWAIT(fake_litefs_connections(fake) == 0);
    ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

START_TEST(no_hint_after_close)
{
    fake_litefs_script(fake, FAKE_SCRIPT(PRIMARY));
    rig_start();
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
    TCase* life = add_case(suite, "open and close");

    tcase_add_checked_fixture(good, rig_set_up, rig_tear_down);
    tcase_add_test(good, follows_the_primary);
    tcase_add_test(good, keeps_the_last_position_of_each_database);
    tcase_add_test(good, a_primary_is_counted_before_a_later_position_is_seen);
    tcase_add_test(good, a_cut_stream_is_down_at_once_and_hinted);
    tcase_add_test(good, an_ended_stream_reconnects_soon);
    tcase_add_test(good, refused_until_litefs_starts);
    tcase_add_test(good, the_deadline_of_the_cell_is_kept);

    tcase_add_checked_fixture(life, rig_set_up, rig_tear_down);
    tcase_add_loop_test(life, a_bad_url_is_refused, 0, COUNT(refused_urls));
    tcase_add_loop_test(life, close_does_not_wait_for_a_silent_server, 0,
                        COUNT(silent));
    tcase_add_test(life, close_does_not_wait_for_a_hanging_info);
    tcase_add_test(life, open_and_close_a_hundred_times_from_any_thread);
    tcase_add_test(life, no_hint_after_close);
    return suite;
}
