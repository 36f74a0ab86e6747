/*
 * The states in which LiteFS leaves its signals, as golden traces: one test
 * for each row of the state table and for each surprise of a real run that
 * concerns detection. A row's name says what LiteFS is doing at that time.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>

#include "role_world.h"

static struct role_world world;

static void open_mounted(void)
{
    world_open_mounted(&world);
}

/* A replica of node-a with everything healthy, at t=1000. */
static void open_replica(void)
{
    world_open_mounted(&world);
    stream_opened(&world, 1000, "00000000000000AA");
    stream_names(&world, 1000, "node-a");
    mount_names(&world, 1001, "node-a");
    world_expect(&world, "t=1000 no_primary -> replica(node-a) [stream]\n");
}

static void open_primary(void)
{
    world_open_mounted(&world);
    stream_opened(&world, 1000, "00000000000000AA");
    stream_says_primary(&world, 1000);
    mount_primary(&world, 1001);
    world_expect(&world, "t=1000 no_primary -> primary [stream]\n");
}

START_TEST(row_01_primary)
{
    open_mounted();
    mount_primary(&world, 500);
    stream_says_primary(&world, 510);
    mount_primary(&world, 520);
    world_expect(&world, "t=500 no_primary -> primary [mount]\n");
    ck_assert_int_eq(world.state.status.source, SOURCE_STREAM);
}
END_TEST

START_TEST(row_02_replica_streaming)
{
    open_mounted();
    mount_names(&world, 500, "node-a");
    stream_names(&world, 510, "node-a");
    world_expect(&world, "t=500 no_primary -> replica(node-a) [mount]\n");
}
END_TEST

/* The name stays for as long as the dial takes: minutes, with a black hole. */
START_TEST(row_03_replica_dialing_a_dead_primary)
{
    open_replica();
    for (int64_t t = 6000; t <= 600000; t += POLL_MS)
        mount_names(&world, t, "node-a");
    world_expect(&world, "");
}
END_TEST

START_TEST(row_04_replica_between_attempts)
{
    open_replica();
    stream_names_nobody(&world, 2000);
    mount_names_nobody(&world, 2050);
    mount_names_nobody(&world, 2999);
    stream_names(&world, 3000, "node-a");
    mount_names(&world, 3050, "node-a");
    world_tick(&world, 9000);
    world_expect(&world, "");
}
END_TEST

START_TEST(row_05_startup_before_the_first_monitor_iteration)
{
    struct role_config config = world_config(MODE_AUTO);
    world_open(&world, &config);
    mount_names_nobody(&world, 10);
    reconnected(&world, 15);
    stream_names_nobody(&world, 20);
    mount_names_nobody(&world, 30);
    stream_names(&world, 400, "node-a");
    world_expect(&world,
                 "t=15 unknown -> no_primary [mount]\n"
                 "t=400 no_primary -> replica(node-a) [stream]\n");
}
END_TEST

START_TEST(row_06_lease_backend_unreachable)
{
    open_replica();
    stream_names_nobody(&world, 2000);
    mount_names_nobody(&world, 2050);
    mount_names_nobody(&world, 7000);
    world_expect(&world, "t=4500 replica(node-a) -> no_primary [stream]\n");
}
END_TEST

START_TEST(row_07_cluster_id_mismatch)
{
    open_mounted();
    stream_names_nobody(&world, 1000);
    for (int64_t t = 1050; t <= 60000; t += POLL_MS)
        mount_names_nobody(&world, t);
    world_expect(&world, "");
    world_expect_role(&world, ROLE_NO_PRIMARY);
}
END_TEST

START_TEST(row_08_no_local_cluster_id_until_another_is_primary)
{
    open_mounted();
    stream_names_nobody(&world, 1000);
    mount_names_nobody(&world, 1050);
    stream_names(&world, 5000, "node-b");
    world_expect(&world, "t=5000 no_primary -> replica(node-b) [stream]\n");
}
END_TEST

START_TEST(row_09_not_a_candidate_and_no_primary)
{
    open_replica();
    stream_names_nobody(&world, 2000);
    for (int64_t t = 2050; t <= 32050; t += POLL_MS)
        mount_names_nobody(&world, t);
    stream_names(&world, 33000, "node-b");
    world_expect(&world,
                 "t=4500 replica(node-a) -> no_primary [stream]\n"
                 "t=33000 no_primary -> replica(node-b) [stream]\n");
}
END_TEST

START_TEST(row_10_lost_the_race_and_the_second_lookup)
{
    open_replica();
    stream_names_nobody(&world, 2000);
    mount_names_nobody(&world, 2050);
    stream_names(&world, 3010, "node-b");
    world_expect(&world,
                 "t=3010 replica(node-a) -> replica(node-b) [stream]\n");
}
END_TEST

/* No grace for a primary: it must stop to write at once. */
START_TEST(row_11_lease_lost)
{
    open_primary();
    stream_names_nobody(&world, 2000);
    mount_names_nobody(&world, 2010);
    world_expect(&world, "t=2000 primary -> no_primary [stream]\n");
}
END_TEST

START_TEST(row_11_lease_lost_seen_by_the_mount_first)
{
    open_primary();
    mount_names_nobody(&world, 2000);
    stream_names_nobody(&world, 2010);
    stream_names(&world, 3000, "node-b");
    world_expect(&world,
                 "t=2000 primary -> no_primary [mount]\n"
                 "t=3000 no_primary -> replica(node-b) [stream]\n");
}
END_TEST

START_TEST(row_12_handoff_target)
{
    open_replica();
    stream_names_nobody(&world, 2000);
    mount_names_nobody(&world, 2005);
    stream_says_primary(&world, 2009);
    mount_primary(&world, 2020);
    world_expect(&world, "t=2009 replica(node-a) -> primary [stream]\n");
}
END_TEST

/* A restarted node that is named by its own old lease: it connects to itself
 * and is refused, about once a second, until the lease has expired. */
START_TEST(row_13_backend_still_names_this_node)
{
    open_mounted();
    for (int64_t t = 1000; t <= 15000; t += 1000) {
        stream_names(&world, t, "self");
        stream_names_nobody(&world, t + 3);
        mount_names_nobody(&world, t + 50);
    }
    stream_says_primary(&world, 16000);
    world_expect(&world,
                 "t=1000 no_primary -> replica(self) [stream]\n"
                 "t=16000 replica(self) -> primary [stream]\n");
}
END_TEST

START_TEST(row_14_not_mounted)
{
    struct role_config config = world_config(MODE_REQUIRED);
    world_open(&world, &config);
    stream_down(&world, 5);
    plain_sampled(&world, 10, NULL);
    world_tick(&world, 60000);
    world_expect(&world, "");
}
END_TEST

/* Unmounted: the bare directory looks like one without LiteFS. */
START_TEST(row_14_unmounted_is_never_plain_again)
{
    struct role_config config = world_config(MODE_AUTO);
    world_open(&world, &config);
    stream_down(&world, 5);
    mount_primary(&world, 10);
    reconnected(&world, 20);
    plain_sampled(&world, 1000, NULL);
    for (int64_t t = 2000; t <= 60000; t += 1000)
        plain_sampled(&world, t, NULL);
    set_manual(&world, 61000, MANUAL_PRIMARY);
    world_expect(&world,
                 "t=20 unknown -> primary [mount]\n"
                 "t=1000 primary -> unknown [none]\n");
}
END_TEST

START_TEST(row_15_daemon_died_and_left_the_mount)
{
    open_primary();
    mount_failed(&world, 2000, MOUNT_DEAD);
    stream_down(&world, 2001);
    for (int64_t t = 3000; t <= 10000; t += 1000)
        mount_failed(&world, t, MOUNT_DEAD);
    world_expect(&world, "t=2000 primary -> unknown [none]\n");
}
END_TEST

/* Same numbers again, and still other files than those that are open. */
START_TEST(row_15_mounted_again_needs_a_reconnect)
{
    open_primary();
    uint64_t epoch = world.state.status.reconnect_epoch;
    mount_failed(&world, 2000, MOUNT_DEAD);
    mount_primary(&world, 3000);
    stream_says_primary(&world, 3010);
    ck_assert(world.state.status.reconnect_pending);
    ck_assert_uint_eq(world.state.status.reconnect_epoch, epoch + 1);
    reconnected(&world, 3500);
    world_expect(&world,
                 "t=2000 primary -> unknown [none]\n"
                 "t=3500 unknown -> primary [stream]\n");
}
END_TEST

/* HTTP closes first; the lease is released while files are still served. */
START_TEST(row_16_clean_shutdown)
{
    open_primary();
    stream_down(&world, 2000);
    mount_primary(&world, 2050);
    mount_names_nobody(&world, 2150);
    plain_sampled(&world, 2300, NULL);
    world_expect(&world,
                 "t=2150 primary -> no_primary [mount]\n"
                 "t=2300 no_primary -> unknown [none]\n");
}
END_TEST

START_TEST(row_17_static_replica_flaps_for_ever)
{
    open_replica();
    for (int64_t t = 2000; t <= 120000; t += 1100) {
        stream_names_nobody(&world, t);
        mount_names_nobody(&world, t + 50);
        stream_names(&world, t + 1000, "node-a");
        mount_names(&world, t + 1050, "node-a");
    }
    world_expect(&world, "");
}
END_TEST

START_TEST(row_18_primary_crashed_and_its_key_not_expired)
{
    open_replica();
    for (int64_t t = 2000; t <= 16000; t += 1000) {
        stream_names_nobody(&world, t);
        stream_names(&world, t + 999, "node-a");
    }
    stream_names_nobody(&world, 17000);
    stream_says_primary(&world, 17650);
    world_expect(&world, "t=17650 replica(node-a) -> primary [stream]\n");
}
END_TEST

/* What no signal of this node can tell: the backend hangs, LiteFS does not.
 * Pinned here so that nobody promises more. */
START_TEST(row_19_lease_expired_unnoticed_stays_primary)
{
    open_primary();
    for (int64_t t = 2000; t <= 30000; t += POLL_MS)
        mount_primary(&world, t);
    world_expect(&world, "");
    world_expect_role(&world, ROLE_PRIMARY);
}
END_TEST

START_TEST(row_19_frozen_process_is_noticed_by_the_probe)
{
    open_primary();
    probe_started(&world, 6000);
    world_tick(&world, 20000);
    world_expect(&world, "t=8000 primary -> unknown [none]\n");
    ck_assert_int_eq(world.state.status.mount, MOUNT_TIMEOUT);
}
END_TEST

/* A killed primary during a promotion: its last transaction may be lost, and
 * the mount is dead before the stream has noticed. */
START_TEST(surprise_2_exit_99_in_a_promotion)
{
    open_primary();
    mount_failed(&world, 1500, MOUNT_DEAD);
    world_expect(&world, "t=1500 primary -> unknown [none]\n");
    ck_assert_int_eq(world.state.status.stream, STREAM_UP);
}
END_TEST

/* On a replica a frozen primary shows in the lag and in nothing else. */
START_TEST(surprise_3_frozen_primary_seen_by_a_replica)
{
    open_replica();
    struct mount_sample sample = {.kind = MOUNT_LITEFS,
                                  .primary_file = PRIMARY_FILE_PRESENT,
                                  .hostname = "node-a"};
    for (int64_t t = 2000; t <= 17000; t += 1000) {
        uint64_t generation = world.state.status.generation;
        sample.lag_ms = t - 1000;
        mount_sampled(&world, t, t, &sample);
        ck_assert_int_eq(world.state.status.lag_ms, t - 1000);
        ck_assert_uint_eq(world.state.status.generation, generation + 1);
        ck_assert_uint_eq(world.effects & EFFECT_CHANGED, 0);
    }
    world_expect(&world, "");
}
END_TEST

/* On the frozen node itself, thawed after another was made primary: the answer
 * of the probe that hung is as old as its question. */
START_TEST(surprise_3_frozen_primary_thaws)
{
    open_primary();
    const struct mount_sample old = {.kind = MOUNT_LITEFS,
                                     .root_writable = true};
    probe_started(&world, 2000);
    mount_sampled(&world, 2000, 17000, &old);
    ck_assert(world.effects & EFFECT_PROBE);
    mount_names_nobody(&world, 17050);
    stream_names(&world, 17060, "node-b");
    world_expect(&world,
                 "t=4000 primary -> unknown [none]\n"
                 "t=17050 unknown -> no_primary [mount]\n"
                 "t=17060 no_primary -> replica(node-b) [stream]\n");
}
END_TEST

/* ECONNABORTED for calls in flight, ENOTCONN for later ones: both are DEAD,
 * and the second one is no news. */
START_TEST(surprise_4_dead_mount_has_two_errors)
{
    open_replica();
    struct mount_sample sample = {.kind = MOUNT_DEAD, .err = ECONNABORTED};
    mount_sampled(&world, 2000, 2000, &sample);
    uint64_t generation = world.state.status.generation;
    sample.err = ENOTCONN;
    mount_sampled(&world, 3000, 3000, &sample);
    ck_assert_uint_eq(world.state.status.generation, generation);
    world_expect(&world, "t=2000 replica(node-a) -> unknown [none]\n");
}
END_TEST

START_TEST(surprise_5_second_mount_on_top_of_the_dead_one)
{
    open_primary();
    world.mnt_id++;
    mount_primary(&world, 2000);
    world_tick(&world, 2500);
    ck_assert(world.state.status.reconnect_pending);
    reconnected(&world, 3000);
    world_expect(&world,
                 "t=2000 primary -> unknown [none]\n"
                 "t=3000 unknown -> primary [stream]\n");
}
END_TEST

/* A fresh primary: `.primary` still opens, but cannot be read. The root's
 * mode is what counts. */
START_TEST(surprise_8_stale_file_on_a_fresh_primary)
{
    open_replica();
    struct mount_sample sample = {.kind = MOUNT_LITEFS,
                                  .root_writable = true,
                                  .primary_file = PRIMARY_FILE_UNREADABLE};
    mount_sampled(&world, 2000, 2000, &sample);
    world_expect(&world, "t=2000 replica(node-a) -> primary [mount]\n");
}
END_TEST

/* inotify sees nothing of an election: with the stream down the timer must. */
START_TEST(surprise_9_election_seen_by_the_timer_alone)
{
    open_replica();
    stream_down(&world, 2000);
    ck_assert(world.effects & EFFECT_PROBE);
    mount_names(&world, 2050, "node-a");
    mount_names(&world, 3000, "node-a");
    mount_names_nobody(&world, 4000);
    mount_primary(&world, 5000);
    mount_primary(&world, 6000);
    mount_names_nobody(&world, 7000);
    world_expect(&world,
                 "t=5000 replica(node-a) -> primary [mount]\n"
                 "t=7000 primary -> no_primary [mount]\n");
}
END_TEST

/* The backend answers 500 for five seconds: demoted, nobody, primary again. */
START_TEST(election_backend_fails_for_a_while)
{
    open_primary();
    stream_names_nobody(&world, 2150);
    mount_names_nobody(&world, 2160);
    stream_says_primary(&world, 7000);
    world_expect(&world,
                 "t=2150 primary -> no_primary [stream]\n"
                 "t=7000 no_primary -> primary [stream]\n");
}
END_TEST

/* A replica of the default reconnect-delay hears of a promotion after 1 s. */
START_TEST(election_other_replica_is_a_second_late)
{
    open_replica();
    stream_names_nobody(&world, 2007);
    mount_names_nobody(&world, 2057);
    stream_names(&world, 3006, "node-b");
    mount_names(&world, 3009, "node-b");
    world_expect(&world,
                 "t=3006 replica(node-a) -> replica(node-b) [stream]\n");
}
END_TEST

Suite* suite_role_rows(void)
{
    const TTest* const tests[] = {
        row_01_primary,
        row_02_replica_streaming,
        row_03_replica_dialing_a_dead_primary,
        row_04_replica_between_attempts,
        row_05_startup_before_the_first_monitor_iteration,
        row_06_lease_backend_unreachable,
        row_07_cluster_id_mismatch,
        row_08_no_local_cluster_id_until_another_is_primary,
        row_09_not_a_candidate_and_no_primary,
        row_10_lost_the_race_and_the_second_lookup,
        row_11_lease_lost,
        row_11_lease_lost_seen_by_the_mount_first,
        row_12_handoff_target,
        row_13_backend_still_names_this_node,
        row_14_not_mounted,
        row_14_unmounted_is_never_plain_again,
        row_15_daemon_died_and_left_the_mount,
        row_15_mounted_again_needs_a_reconnect,
        row_16_clean_shutdown,
        row_17_static_replica_flaps_for_ever,
        row_18_primary_crashed_and_its_key_not_expired,
        row_19_lease_expired_unnoticed_stays_primary,
        row_19_frozen_process_is_noticed_by_the_probe,
        surprise_2_exit_99_in_a_promotion,
        surprise_3_frozen_primary_seen_by_a_replica,
        surprise_3_frozen_primary_thaws,
        surprise_4_dead_mount_has_two_errors,
        surprise_5_second_mount_on_top_of_the_dead_one,
        surprise_8_stale_file_on_a_fresh_primary,
        surprise_9_election_seen_by_the_timer_alone,
        election_backend_fails_for_a_while,
        election_other_replica_is_a_second_late,
    };
    Suite* suite = suite_create("role_rows");
    TCase* tcase = tcase_create("rows");
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    return suite;
}
