#include <check.h>

#include "mount_schedule.h"

enum { NOW = 100000 };

static struct mount_schedule schedule;

static void set_up(void)
{
    schedule = (struct mount_schedule){.looked_ms = NOW};
}

/* The time of the next look, which is then made. */
static int64_t next(int64_t interval)
{
    int64_t due = mount_schedule_due(&schedule, interval);

    mount_schedule_looked(&schedule, due);
    return due - NOW;
}

static const struct {
    int64_t poll;
    enum mount_kind mount;
    enum stream_state stream;
    int64_t interval;
} INTERVALS[] = {
    {5000, MOUNT_LITEFS, STREAM_UP, 5000},
    {5000, MOUNT_LITEFS, STREAM_DOWN, 1000},
    {5000, MOUNT_LITEFS, STREAM_UNSEEN, 1000},
    {5000, MOUNT_LITEFS, STREAM_OFF, 1000},
    {5000, MOUNT_PLAIN, STREAM_DOWN, 1000},
    {300, MOUNT_LITEFS, STREAM_UP, 300},
    {300, MOUNT_LITEFS, STREAM_DOWN, 300},
    /* :disabled */
    {0, MOUNT_LITEFS, STREAM_UP, 0},
    {0, MOUNT_LITEFS, STREAM_OFF, 1000},
    {0, MOUNT_PLAIN, STREAM_OFF, 0},
    {0, MOUNT_LITEFS, STREAM_DOWN, 1000},
    {0, MOUNT_LITEFS, STREAM_UNSEEN, 1000},
    {0, MOUNT_PLAIN, STREAM_DOWN, 0},
};
enum { INTERVAL_COUNT = sizeof INTERVALS / sizeof *INTERVALS };

START_TEST(the_interval_goes_by_the_stream)
{
    struct status status = {.mount = INTERVALS[_i].mount,
                            .stream = INTERVALS[_i].stream};

    ck_assert_int_eq(mount_schedule_interval(INTERVALS[_i].poll, &status),
                     INTERVALS[_i].interval);
}
END_TEST

START_TEST(polls_follow_the_interval)
{
    ck_assert_int_eq(next(1000), 1000);
    ck_assert_int_eq(next(1000), 2000);
    ck_assert_int_eq(next(200), 2200);
}
END_TEST

START_TEST(without_an_interval_nothing_is_due)
{
    ck_assert_int_eq(mount_schedule_due(&schedule, 0), SCHEDULE_NEVER);
}
END_TEST

START_TEST(a_hint_makes_a_burst)
{
    mount_schedule_hint(&schedule, NOW);
    ck_assert_int_eq(next(0), 50);
    ck_assert_int_eq(next(0), 50 + 100);
    ck_assert_int_eq(next(0), 50 + 100 + 200);
    ck_assert_int_eq(next(0), 50 + 100 + 200 + 400);
    ck_assert_int_eq(mount_schedule_due(&schedule, 0), SCHEDULE_NEVER);
}
END_TEST

START_TEST(a_hint_in_a_burst_begins_it_again_and_puts_nothing_off)
{
    mount_schedule_hint(&schedule, NOW);
    mount_schedule_hint(&schedule, NOW + 40);
    ck_assert_int_eq(next(0), 50);
    mount_schedule_hint(&schedule, NOW + 60);
    ck_assert_int_eq(next(0), 110);
    ck_assert_int_eq(next(0), 210);
    ck_assert_int_eq(next(0), 410);
    ck_assert_int_eq(next(0), 810);
    ck_assert_int_eq(mount_schedule_due(&schedule, 0), SCHEDULE_NEVER);
}
END_TEST

START_TEST(a_change_is_looked_at_at_once)
{
    mount_schedule_soon(&schedule, NOW + 300);
    ck_assert_int_eq(next(1000), 300);
    ck_assert_int_eq(next(1000), 1300);
}
END_TEST

START_TEST(the_first_look_is_due_at_once)
{
    schedule = (struct mount_schedule){0};
    mount_schedule_soon(&schedule, 1);
    ck_assert_int_eq(mount_schedule_due(&schedule, 0), 1);
}
END_TEST

START_TEST(there_are_never_more_than_twenty_a_second)
{
    int64_t now = NOW;
    int looks = 0;

    for (; now < NOW + 1000; now++) {
        mount_schedule_hint(&schedule, now);
        mount_schedule_soon(&schedule, now);
        if (mount_schedule_due(&schedule, 1) <= now) {
            mount_schedule_looked(&schedule, now);
            looks++;
        }
    }
    ck_assert_int_le(looks, 20);
    ck_assert_int_ge(looks, 19);
}
END_TEST

START_TEST(a_look_for_another_reason_leaves_the_plan)
{
    mount_schedule_hint(&schedule, NOW + 100);
    mount_schedule_looked(&schedule, NOW + 101);
    ck_assert_int_eq(next(0), 151);
}
END_TEST

Suite* suite_mount_schedule(void);
Suite* suite_mount_schedule(void)
{
    Suite* suite = suite_create("mount_schedule");
    TCase* tcase = tcase_create("mount_schedule");

    tcase_add_checked_fixture(tcase, set_up, NULL);
    tcase_add_loop_test(tcase, the_interval_goes_by_the_stream, 0,
                        INTERVAL_COUNT);
    tcase_add_test(tcase, polls_follow_the_interval);
    tcase_add_test(tcase, without_an_interval_nothing_is_due);
    tcase_add_test(tcase, a_hint_makes_a_burst);
    tcase_add_test(tcase,
                   a_hint_in_a_burst_begins_it_again_and_puts_nothing_off);
    tcase_add_test(tcase, a_change_is_looked_at_at_once);
    tcase_add_test(tcase, the_first_look_is_due_at_once);
    tcase_add_test(tcase, there_are_never_more_than_twenty_a_second);
    tcase_add_test(tcase, a_look_for_another_reason_leaves_the_plan);
    suite_add_tcase(suite, tcase);
    return suite;
}
