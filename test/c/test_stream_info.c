/* GET /info beside the stream: the sign of life, and the node's own name. */
#include "stream_rig.h"

#include <string.h>

#define OWN(name) \
    "{\"isPrimary\": true, \"primary\": {\"hostname\": \"" name "\"}}\n"

static bool own_is(const char* hostname)
{
    return strcmp(snapshot().own_hostname, hostname) == 0;
}

/* --- the sign of life --------------------------------------------------- */

START_TEST(an_unanswered_info_is_down)
{
    fake_litefs_info(fake, _i == 0 ? FAKE_INFO_HANG : FAKE_INFO_HANG_UP);
    fake_litefs_script(fake, FAKE_SCRIPT(PRIMARY));
    rig_start();
    AWAIT(stream_is(STREAM_DOWN));
    ck_assert_int_ne(status_cell_role(cell), ROLE_PRIMARY);
    fake_litefs_script(fake, FAKE_SCRIPT(REPLICA("node-r")));
    fake_litefs_info(fake, FAKE_INFO_ANSWER);
    AWAIT(names("node-r"));
    ck_assert_int_le(fake_litefs_events_requests(fake), 4);
}
END_TEST

/* Both at once, because it takes the interval. */
START_TEST(info_is_asked_of_a_silent_stream_only)
{
    struct rig silent = rig_open(FAKE_SCRIPT(PRIMARY));
    struct rig busy = rig_open(FAKE_SCRIPT(PRIMARY));
    int64_t began_ms = clock_now_ms();

    AWAIT(fake_litefs_info_requests(silent.fake) == 1);
    AWAIT(fake_litefs_info_requests(busy.fake) == 1);
    while (fake_litefs_info_requests(silent.fake) == 1) {
        ck_assert_int_lt(clock_now_ms() - began_ms, STREAM_PROBE_MS + 5000);
        fake_litefs_play(busy.fake, FAKE_SCRIPT(LINE("")));
        rig_pause();
    }
    ck_assert_int_ge(clock_now_ms() - began_ms, STREAM_PROBE_MS - 500);
    ck_assert_int_eq(fake_litefs_info_requests(busy.fake), 1);
    /* The second one came on the connection of the first. */
    ck_assert_int_eq(fake_litefs_connections(silent.fake), 2);
    ck_assert_int_eq(fake_litefs_events_requests(silent.fake), 1);
    rig_use(&silent);
    rig_tear_down();
    rig_use(&busy);
    rig_tear_down();
}
END_TEST

/* --- the node's own name ------------------------------------------------ */

START_TEST(a_promotion_tells_the_name_at_once)
{
    fake_litefs_script(fake, FAKE_SCRIPT(REPLICA("node-b")));
    rig_start();
    AWAIT(fake_litefs_info_requests(fake) == 1);
    ck_assert(own_is(""));
    fake_litefs_info_body(fake, OWN("node-a"));
    int64_t began_ms = clock_now_ms();
    fake_litefs_play(fake, FAKE_SCRIPT(FAKE_CHANGE("\"isPrimary\":true")));
    AWAIT(own_is("node-a"));
    ck_assert_int_lt(clock_now_ms() - began_ms, 1000);
    ck_assert_int_eq(status_cell_role(cell), ROLE_PRIMARY);
    ck_assert_int_eq(fake_litefs_info_requests(fake), 2);
}
END_TEST

START_TEST(a_primary_from_the_start_has_its_name)
{
    fake_litefs_info_body(fake, OWN("node-a"));
    fake_litefs_script(fake, FAKE_SCRIPT(PRIMARY));
    rig_start();
    AWAIT(own_is("node-a"));
    ck_assert_int_eq(fake_litefs_info_requests(fake), 1);
}
END_TEST

/* It comes after the role, whose hint was taken. */
START_TEST(the_name_is_hinted)
{
    struct status status;

    fake_litefs_info(fake, FAKE_INFO_HANG);
    fake_litefs_info_body(fake, OWN("node-a"));
    fake_litefs_script(fake, FAKE_SCRIPT(PRIMARY));
    rig_start();
    AWAIT(fake_litefs_info_requests(fake) == 1);
    status_cell_take(cell, &status);
    int before = atomic_load(&changes);
    fake_litefs_info(fake, FAKE_INFO_ANSWER);
    AWAIT(atomic_load(&changes) > before);
    ck_assert(own_is("node-a"));
}
END_TEST

START_TEST(a_known_name_is_not_asked_for)
{
    fake_litefs_info_body(fake, OWN("node-a"));
    fake_litefs_script(fake, FAKE_SCRIPT(PRIMARY));
    rig_start();
    AWAIT(own_is("node-a"));
    fake_litefs_play(fake, FAKE_SCRIPT(FAKE_CHANGE("\"isPrimary\":false"),
                                       FAKE_CHANGE("\"isPrimary\":true")));
    for (int i = 0; i < 10; i++) { /* a request would be there by now */
        fake_litefs_play(
            fake, FAKE_SCRIPT(TX("a", "0000000000000001", "8000000000000001")));
        AWAIT(position_is("a", 1, 0x8000000000000001));
        fake_litefs_play(
            fake, FAKE_SCRIPT(TX("a", "0000000000000002", "8000000000000002")));
        AWAIT(position_is("a", 2, 0x8000000000000002));
    }
    ck_assert_int_eq(fake_litefs_info_requests(fake), 1);
    ck_assert(own_is("node-a"));
}
END_TEST

/* What is being answered may have been asked before the promotion; and lines
 * after it must not put the next one off. */
START_TEST(an_answer_that_is_under_way_is_not_the_last_word)
{
    fake_litefs_info(fake, FAKE_INFO_HANG);
    fake_litefs_script(fake, FAKE_SCRIPT(REPLICA("node-b")));
    rig_start();
    AWAIT(fake_litefs_info_requests(fake) == 1);
    fake_litefs_play(fake, FAKE_SCRIPT(FAKE_CHANGE("\"isPrimary\":true"),
                                       LINE(""), LINE("")));
    await_primary();
    fake_litefs_info(fake, FAKE_INFO_ANSWER); /* "isPrimary":false */
    AWAIT(fake_litefs_info_requests(fake) == 2);
    fake_litefs_info_body(fake, OWN("node-a"));
    fake_litefs_play(fake, FAKE_SCRIPT(FAKE_CHANGE("\"isPrimary\":true")));
    AWAIT(own_is("node-a"));
}
END_TEST

START_TEST(a_lost_stream_takes_the_name_along)
{
    fake_litefs_info_body(fake, OWN("node-a"));
    fake_litefs_script(fake, FAKE_SCRIPT(PRIMARY));
    rig_start();
    AWAIT(own_is("node-a"));
    fake_litefs_refuse(fake);
    fake_litefs_play(fake, FAKE_SCRIPT(HANG_UP));
    AWAIT(stream_is(STREAM_DOWN));
    ck_assert(own_is(""));
    fake_litefs_info_body(fake, OWN("node-b"));
    fake_litefs_accept(fake);
    AWAIT(own_is("node-b"));
}
END_TEST

static char too_long[2 * 4096];

static const char* const bad_bodies[] = {
    "", "nonsense", "{\"isPrimary\":true}", "[[[[", too_long,
};

START_TEST(a_bad_body_is_a_sign_of_life)
{
    memset(too_long, ' ', sizeof(too_long) - 1);
    memcpy(too_long, OWN("node-a"), strlen(OWN("node-a")));
    fake_litefs_info_body(fake, bad_bodies[_i]);
    fake_litefs_script(fake, FAKE_SCRIPT(PRIMARY));
    rig_start();
    AWAIT(fake_litefs_info_requests(fake) == 1);
    fake_litefs_info_body(fake, OWN("node-a"));
    fake_litefs_play(fake, FAKE_SCRIPT(FAKE_CHANGE("\"isPrimary\":true")));
    AWAIT(own_is("node-a"));
    ck_assert_int_eq(fake_litefs_info_requests(fake), 2);
    ck_assert_int_eq(fake_litefs_events_requests(fake), 1);
}
END_TEST

Suite* suite_stream_info(void);

Suite* suite_stream_info(void)
{
    Suite* suite = suite_create("stream_info");
    TCase* own_rigs = tcase_create("rigs");
    TCase* rigs = tcase_create("rig");

    tcase_set_timeout(own_rigs, 30);
    tcase_add_test(own_rigs, info_is_asked_of_a_silent_stream_only);
    suite_add_tcase(suite, own_rigs);

    tcase_set_timeout(rigs, 30);
    tcase_add_checked_fixture(rigs, rig_set_up, rig_tear_down);
    tcase_add_loop_test(rigs, an_unanswered_info_is_down, 0, 2);
    tcase_add_test(rigs, a_promotion_tells_the_name_at_once);
    tcase_add_test(rigs, a_primary_from_the_start_has_its_name);
    tcase_add_test(rigs, the_name_is_hinted);
    tcase_add_test(rigs, a_known_name_is_not_asked_for);
    tcase_add_test(rigs, an_answer_that_is_under_way_is_not_the_last_word);
    tcase_add_test(rigs, a_lost_stream_takes_the_name_along);
    tcase_add_loop_test(rigs, a_bad_body_is_a_sign_of_life, 0,
                        COUNT(bad_bodies));
    suite_add_tcase(suite, rigs);
    return suite;
}
