/* The era: when may the primary be another one than before? */
#include <check.h>

#include "role_world.h"

static struct role_world world;
static uint64_t era;

static void open_replica(void)
{
    world_open_mounted(&world);
    stream_opened(&world, 1000, "00000000000000AA");
    stream_names(&world, 1000, "node-a");
    mount_names(&world, 1001, "node-a");
    era = world.state.era;
}

static bool is_another(void)
{
    bool another = world.state.era > era;

    ck_assert_uint_ge(world.state.era, era);
    era = world.state.era;
    return another;
}

START_TEST(each_word_of_a_primary_is_counted)
{
    stream_names(&world, 1100, "node-a"); /* equal hostnames change no role */
    ck_assert(is_another());
    ck_assert_int_eq(world.state.status.since_ms, 1000);
    stream_names_nobody(&world, 1200);
    ck_assert(is_another());
    stream_names(&world, 1300, "node-a");
    ck_assert(is_another());
    stream_says_primary(&world, 1400);
    ck_assert(is_another());
}
END_TEST

START_TEST(a_stream_that_comes_or_goes_is_counted_once)
{
    stream_down(&world, 1100);
    ck_assert(is_another());
    stream_down(&world, 1200);
    ck_assert(!is_another());
    stream_opened(&world, 1300, "00000000000000AA");
    ck_assert(is_another());
}
END_TEST

START_TEST(another_mount_is_counted)
{
    mount_failed(&world, 1100, MOUNT_DEAD);
    ck_assert(is_another());
    mount_failed(&world, 1200, MOUNT_DEAD);
    ck_assert(!is_another());
    world.mnt_id++;
    mount_names(&world, 1300, "node-a");
    ck_assert(is_another());
}
END_TEST

/* Without a stream `.primary` is all there is. */
START_TEST(another_name_on_the_mount_is_counted)
{
    mount_names(&world, 1100, "node-b");
    ck_assert(is_another());
}
END_TEST

START_TEST(what_says_nothing_new_is_not)
{
    mount_names(&world, 1100, "node-a");
    probe_started(&world, 1200);
    probe_ended(&world, 1300);
    world_tick(&world, 1400);
    mount_failed(&world, 1500, MOUNT_UNREADABLE);
    is_another(); /* the role was unknown meanwhile */
    mount_failed(&world, 1600, MOUNT_UNREADABLE);
    ck_assert(!is_another());
}
END_TEST

Suite* suite_role_era(void);
Suite* suite_role_era(void)
{
    Suite* suite = suite_create("role_era");
    TCase* tcase = tcase_create("era");

    tcase_add_checked_fixture(tcase, open_replica, NULL);
    tcase_add_test(tcase, each_word_of_a_primary_is_counted);
    tcase_add_test(tcase, a_stream_that_comes_or_goes_is_counted_once);
    tcase_add_test(tcase, another_mount_is_counted);
    tcase_add_test(tcase, another_name_on_the_mount_is_counted);
    tcase_add_test(tcase, what_says_nothing_new_is_not);
    suite_add_tcase(suite, tcase);
    return suite;
}
