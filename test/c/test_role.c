/*
 * The rules of role.h one by one: modes, which of two proofs wins, how long
 * evidence lives, grace, identity, and what must hold after any input.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "role_world.h"

static struct role_world world;

static void open_with(enum mount_mode mode, bool stream, bool poll)
{
    struct role_config config = world_config(mode);
    config.stream_enabled = stream;
    config.poll_enabled = poll;
    world_open(&world, &config);
}

static void sample_file(int64_t t, enum mount_kind kind, bool root_writable,
                        enum primary_file file)
{
    const struct mount_sample sample = {.kind = kind,
                                        .root_writable = root_writable,
                                        .primary_file = file,
                                        .lag_ms = LAG_UNKNOWN};
    mount_sampled(&world, t, t, &sample);
}

/* -- mode required -------------------------------------------------------- */

START_TEST(required_accepts_nothing_but_a_mount)
{
    open_with(MODE_REQUIRED, true, true);
    stream_says_primary(&world, 10);
    plain_sampled(&world, 20, NULL);
    plain_sampled(&world, 30, "node-a");
    mount_failed(&world, 40, MOUNT_MISSING);
    mount_failed(&world, 50, MOUNT_UNREADABLE);
    set_manual(&world, 60, MANUAL_PRIMARY);
    set_manual(&world, 70, MANUAL_REPLICA);
    stream_down(&world, 80);
    world_expect(&world, "");
    ck_assert(!world.state.status.litefs_seen);
}
END_TEST

/* -- mode auto ------------------------------------------------------------ */

START_TEST(auto_waits_for_the_first_word_of_the_stream)
{
    open_with(MODE_AUTO, true, true);
    plain_sampled(&world, 10, NULL);
    ck_assert(!world.state.status.settled);
    stream_down(&world, 300);
    ck_assert(world.state.status.settled);
    world_expect(&world, "t=300 unknown -> not_litefs [mount]\n");
}
END_TEST

START_TEST(auto_without_stream_is_decided_at_once)
{
    open_with(MODE_AUTO, false, true);
    plain_sampled(&world, 10, NULL);
    ck_assert(world.state.status.settled);
    plain_sampled(&world, 20, "node-a");
    plain_sampled(&world, 30, "node-b");
    mount_failed(&world, 40, MOUNT_MISSING);
    world_expect(&world,
                 "t=10 unknown -> not_litefs [mount]\n"
                 "t=20 not_litefs -> replica(node-a) [mount]\n"
                 "t=30 replica(node-a) -> replica(node-b) [mount]\n"
                 "t=40 replica(node-b) -> not_litefs [mount]\n");
}
END_TEST

START_TEST(auto_is_unknown_once_a_litefs_answered)
{
    open_with(MODE_AUTO, true, true);
    stream_down(&world, 5);
    plain_sampled(&world, 10, NULL);
    stream_opened(&world, 1000, "00000000000000AA");
    stream_says_primary(&world, 1010);
    plain_sampled(&world, 1020, "node-a");
    plain_sampled(&world, 1030, NULL);
    set_manual(&world, 1040, MANUAL_PRIMARY);
    set_manual(&world, 1050, MANUAL_NONE);
    stream_down(&world, 2000);
    plain_sampled(&world, 2010, NULL);
    stream_opened(&world, 3000, "");
    stream_down(&world, 3010);
    world_expect(&world,
                 "t=10 unknown -> not_litefs [mount]\n"
                 "t=1000 not_litefs -> unknown [none]\n");
    ck_assert(world.state.status.litefs_seen);
}
END_TEST

/* Something that answers 200 but is no LiteFS does not stop local writes. */
START_TEST(auto_ignores_a_server_without_litefs_id)
{
    open_with(MODE_AUTO, true, true);
    stream_down(&world, 5);
    plain_sampled(&world, 10, NULL);
    stream_opened(&world, 1000, "");
    stream_down(&world, 1010);
    world_expect(&world, "t=10 unknown -> not_litefs [mount]\n");
}
END_TEST

START_TEST(auto_remembers_a_litefs_of_an_earlier_detector)
{
    struct role_config config = world_config(MODE_AUTO);
    config.litefs_seen = true;
    world_open(&world, &config);
    stream_down(&world, 5);
    plain_sampled(&world, 10, NULL);
    plain_sampled(&world, 20, "node-a");
    set_manual(&world, 30, MANUAL_PRIMARY);
    world_expect(&world, "");
    ck_assert(world.state.status.litefs_seen);
}
END_TEST

START_TEST(auto_unreadable_file_decides_nothing)
{
    open_with(MODE_AUTO, false, true);
    sample_file(10, MOUNT_PLAIN, false, PRIMARY_FILE_UNREADABLE);
    set_manual(&world, 20, MANUAL_PRIMARY);
    world_expect(&world, "");
}
END_TEST

START_TEST(auto_manual_role)
{
    open_with(MODE_AUTO, false, true);
    set_manual(&world, 5, MANUAL_PRIMARY);
    plain_sampled(&world, 10, NULL);
    set_manual(&world, 20, MANUAL_REPLICA);
    set_manual(&world, 30, MANUAL_PRIMARY);
    plain_sampled(&world, 40, "node-a");
    plain_sampled(&world, 50, NULL);
    set_manual(&world, 60, MANUAL_NONE);
    world_expect(&world,
                 "t=10 unknown -> primary [manual]\n"
                 "t=20 primary -> replica [manual]\n"
                 "t=30 replica -> primary [manual]\n"
                 "t=40 primary -> replica(node-a) [mount]\n"
                 "t=50 replica(node-a) -> primary [manual]\n"
                 "t=60 primary -> not_litefs [mount]\n");
}
END_TEST

START_TEST(manual_role_means_nothing_on_a_mount)
{
    world_open_mounted(&world);
    set_manual(&world, 10, MANUAL_PRIMARY);
    world_expect(&world, "");
}
END_TEST

/* -- mode plain ----------------------------------------------------------- */

START_TEST(plain_file_and_stream_decide_together)
{
    open_with(MODE_PLAIN, true, true);
    plain_sampled(&world, 10, NULL);
    stream_says_primary(&world, 20);
    plain_sampled(&world, 30, "node-a");
    stream_names(&world, 40, "node-b");
    plain_sampled(&world, 50, NULL);
    stream_names_nobody(&world, 60);
    plain_sampled(&world, 2000, NULL);
    world_tick(&world, 3000);
    stream_down(&world, 3100);
    world_expect(&world,
                 "t=20 unknown -> primary [stream]\n"
                 "t=30 primary -> replica(node-a) [mount]\n"
                 "t=50 replica(node-a) -> replica(node-b) [stream]\n"
                 "t=2560 replica(node-b) -> no_primary [stream]\n"
                 "t=3100 no_primary -> unknown [none]\n");
}
END_TEST

/* A simulator says that it is LiteFS, and the directory stays plain. */
START_TEST(plain_is_not_told_by_a_litefs_id)
{
    open_with(MODE_PLAIN, true, true);
    plain_sampled(&world, 10, NULL);
    stream_opened(&world, 20, "00000000000000AA");
    stream_says_primary(&world, 30);
    set_manual(&world, 40, MANUAL_REPLICA);
    world_expect(&world,
                 "t=30 unknown -> primary [stream]\n"
                 "t=40 primary -> replica [manual]\n");
    ck_assert(!world.state.status.litefs_seen);
}
END_TEST

START_TEST(plain_needs_a_readable_absence_to_be_primary)
{
    open_with(MODE_PLAIN, true, true);
    stream_says_primary(&world, 10);
    sample_file(20, MOUNT_PLAIN, false, PRIMARY_FILE_UNREADABLE);
    stream_names(&world, 30, "node-a");
    world_expect(&world, "t=30 unknown -> replica(node-a) [stream]\n");
}
END_TEST

START_TEST(plain_without_stream_absent_means_primary)
{
    open_with(MODE_PLAIN, false, true);
    plain_sampled(&world, 10, NULL);
    plain_sampled(&world, 20, "node-a");
    plain_sampled(&world, 30, NULL);
    set_manual(&world, 40, MANUAL_REPLICA);
    world_expect(&world,
                 "t=10 unknown -> primary [mount]\n"
                 "t=20 primary -> replica(node-a) [mount]\n"
                 "t=30 replica(node-a) -> primary [mount]\n"
                 "t=40 primary -> replica [manual]\n");
}
END_TEST

/* -- which proof wins (rules 1 to 3) -------------------------------------- */

START_TEST(sample_older_than_an_event_is_not_used)
{
    world_open_mounted(&world);
    const struct mount_sample primary = {.kind = MOUNT_LITEFS,
                                         .root_writable = true};
    probe_started(&world, 1000);
    stream_names(&world, 1005, "node-b");
    mount_sampled(&world, 1000, 1010, &primary);
    ck_assert(world.effects & EFFECT_PROBE);
    mount_sampled(&world, 1005, 1011, &primary); /* the same millisecond */
    ck_assert(world.effects & EFFECT_PROBE);
    mount_sampled(&world, 1006, 1012, &primary);
    ck_assert_uint_eq(world.effects & EFFECT_PROBE, 0);
    world_expect(&world,
                 "t=1005 no_primary -> replica(node-b) [stream]\n"
                 "t=1012 replica(node-b) -> primary [mount]\n");
}
END_TEST

START_TEST(newer_file_beats_an_older_primary_event)
{
    world_open_mounted(&world);
    stream_says_primary(&world, 1000);
    mount_names(&world, 1010, "node-b");
    stream_says_primary(&world, 1020);
    world_expect(&world,
                 "t=1000 no_primary -> primary [stream]\n"
                 "t=1010 primary -> replica(node-b) [mount]\n"
                 "t=1020 replica(node-b) -> primary [stream]\n");
}
END_TEST

/* Both in one sample: the lease came or went between two system calls. */
START_TEST(file_beats_the_mode_of_the_same_sample)
{
    world_open_mounted(&world);
    sample_file(1000, MOUNT_LITEFS, true, PRIMARY_FILE_PRESENT);
    world_expect_role(&world, ROLE_REPLICA);
}
END_TEST

START_TEST(unreadable_file_and_no_mode_prove_nothing)
{
    world_open_mounted(&world);
    sample_file(1000, MOUNT_LITEFS, false, PRIMARY_FILE_UNREADABLE);
    stream_says_primary(&world, 1010);
    sample_file(1020, MOUNT_LITEFS, false, PRIMARY_FILE_UNREADABLE);
    stream_names(&world, 1030, "node-a");
    sample_file(1040, MOUNT_LITEFS, false, PRIMARY_FILE_UNREADABLE);
    world_expect(&world,
                 "t=1000 no_primary -> unknown [none]\n"
                 "t=1010 unknown -> primary [stream]\n"
                 "t=1020 primary -> unknown [none]\n"
                 "t=1030 unknown -> replica(node-a) [stream]\n");
}
END_TEST

/* A static lease without hostname: the file holds a lone newline. */
START_TEST(nameless_file_keeps_the_name_of_the_stream)
{
    world_open_mounted(&world);
    mount_names(&world, 1000, "");
    stream_names(&world, 1010, "node-a");
    mount_names(&world, 1020, "");
    world_expect(&world,
                 "t=1000 no_primary -> replica [mount]\n"
                 "t=1010 replica -> replica(node-a) [stream]\n");
}
END_TEST

/* A directory that cannot be looked at beats any stream. */
START_TEST(stream_alone_proves_nothing)
{
    open_with(MODE_AUTO, true, true);
    stream_says_primary(&world, 10);
    mount_failed(&world, 20, MOUNT_UNREADABLE);
    mount_failed(&world, 30, MOUNT_DEAD);
    world_expect(&world, "");
}
END_TEST

/* -- life of evidence (rule 4) -------------------------------------------- */

START_TEST(mount_evidence_ends_a_second_after_the_stream)
{
    world_open_mounted(&world);
    stream_says_primary(&world, 1000);
    mount_primary(&world, 1010);
    stream_down(&world, 5000);
    ck_assert_int_eq(role_deadline(&world.state), 6000);
    world_tick(&world, 9000);
    world_expect(&world,
                 "t=1000 no_primary -> primary [stream]\n"
                 "t=6000 primary -> unknown [none]\n");
    ck_assert(world.state.sample_expired);
}
END_TEST

START_TEST(renewed_mount_evidence_outlives_the_stream)
{
    world_open_mounted(&world);
    stream_says_primary(&world, 1000);
    mount_primary(&world, 1010);
    stream_down(&world, 5000);
    for (int64_t t = 5100; t < 60000; t += 1000) {
        mount_primary(&world, t);
        stream_down(&world, t + 500); /* an attempt failed again */
        ck_assert_uint_eq(world.effects & EFFECT_PROBE, 0);
    }
    world_expect(&world, "t=1000 no_primary -> primary [stream]\n");
}
END_TEST

/* What has run out must not come back because the stream went down. */
START_TEST(expired_evidence_stays_expired)
{
    world_open_mounted(&world);
    mount_primary(&world, 990);
    stream_says_primary(&world, 991);
    mount_primary(&world, 992);
    stream_down(&world, 20000);
    world_expect(&world,
                 "t=990 no_primary -> primary [mount]\n"
                 "t=7992 primary -> unknown [none]\n");
}
END_TEST

/* Every thread of ours stood still, and the mount had spoken last. */
START_TEST(expired_evidence_gives_no_older_event_its_word_back)
{
    world_open_mounted(&world);
    stream_says_primary(&world, 1000);
    mount_names_nobody(&world, 2000);
    world_tick(&world, 60000);
    world_expect(&world,
                 "t=1000 no_primary -> primary [stream]\n"
                 "t=2000 primary -> no_primary [mount]\n"
                 "t=9000 no_primary -> unknown [none]\n");
    stream_says_primary(&world, 60001);
    world_expect_role(&world, ROLE_PRIMARY);
}
END_TEST

START_TEST(without_poll_mount_evidence_lives_with_the_stream)
{
    open_with(MODE_REQUIRED, true, false);
    stream_names_nobody(&world, 5);
    mount_primary(&world, 10);
    reconnected(&world, 10);
    world_tick(&world, 3600000);
    world_expect(&world, "t=10 unknown -> primary [mount]\n");
}
END_TEST

START_TEST(without_stream_mount_evidence_lives_for_a_poll)
{
    open_with(MODE_REQUIRED, false, true);
    mount_primary(&world, 10);
    reconnected(&world, 10);
    world_tick(&world, 20000);
    world_expect(&world,
                 "t=10 unknown -> primary [mount]\n"
                 "t=7010 primary -> unknown [none]\n");
}
END_TEST

START_TEST(without_stream_and_poll_a_mount_is_believed_for_a_moment)
{
    open_with(MODE_REQUIRED, false, false);
    mount_primary(&world, 10);
    reconnected(&world, 10);
    world_tick(&world, 20000);
    world_expect(&world,
                 "t=10 unknown -> primary [mount]\n"
                 "t=3010 primary -> unknown [none]\n");
}
END_TEST

START_TEST(without_poll_a_plain_directory_is_left_to_inotify)
{
    open_with(MODE_AUTO, true, false);
    stream_down(&world, 5);
    plain_sampled(&world, 10, NULL);
    world_tick(&world, 3600000);
    world_expect(&world, "t=10 unknown -> not_litefs [mount]\n");
    ck_assert_int_eq(role_deadline(&world.state), 0);
}
END_TEST

START_TEST(with_poll_a_plain_directory_is_believed_for_a_poll)
{
    open_with(MODE_AUTO, false, true);
    plain_sampled(&world, 10, NULL);
    world_tick(&world, 20000);
    world_expect(&world,
                 "t=10 unknown -> not_litefs [mount]\n"
                 "t=7010 not_litefs -> unknown [none]\n");
}
END_TEST

/* While the stream is down nobody looks more often than once a second. */
START_TEST(short_poll_does_not_shorten_a_plain_directorys_life)
{
    struct role_config config = world_config(MODE_AUTO);
    config.poll_interval_ms = 50;
    world_open(&world, &config);
    stream_down(&world, 5);
    plain_sampled(&world, 10, NULL);
    ck_assert_int_eq(role_deadline(&world.state), 10 + 1000 + PROBE_TIMEOUT_MS);
}
END_TEST

START_TEST(overdue_probe_ends_both_halves)
{
    world_open_mounted(&world);
    stream_says_primary(&world, 1000);
    mount_primary(&world, 1010);
    probe_started(&world, 2000);
    ck_assert_int_eq(role_deadline(&world.state), 4000);
    world_tick(&world, 3999);
    world_expect_role(&world, ROLE_PRIMARY);
    world_tick(&world, 4000);
    world_expect_role(&world, ROLE_UNKNOWN);
    ck_assert_int_eq(world.state.status.mount, MOUNT_TIMEOUT);
    ck_assert_int_eq(world.state.status.lag_ms, LAG_UNKNOWN);
    stream_says_primary(&world, 5000);
    world_expect_role(&world, ROLE_UNKNOWN);
    mount_primary(&world, 6000);
    world_expect_role(&world, ROLE_PRIMARY);
    ck_assert_int_eq(world.state.status.mount, MOUNT_LITEFS);
}
END_TEST

/* Nobody ran a tick while it hung: its coming back must not hide that. */
START_TEST(overdue_probe_is_noticed_when_it_comes_back)
{
    world_open_mounted(&world);
    stream_says_primary(&world, 1000);
    struct role_input back = {
        .type = INPUT_MOUNT,
        .mount = {.kind = MOUNT_UNREADABLE, .started_ms = 2000}};
    probe_started(&world, 2000);
    role_step(&world.state, &back, 9000);
    ck_assert(!world.state.stream_has_role);
}
END_TEST

/* A position file was read, say. */
START_TEST(probe_that_ends_without_a_sample_changes_nothing)
{
    world_open_mounted(&world);
    stream_says_primary(&world, 1000);
    mount_primary(&world, 1010);
    int64_t deadline = role_deadline(&world.state);
    uint64_t generation = world.state.status.generation;
    probe_started(&world, 2000);
    probe_ended(&world, 2001);
    ck_assert_uint_eq(world.effects, 0);
    ck_assert_int_eq(role_deadline(&world.state), deadline);
    ck_assert_uint_eq(world.state.status.generation, generation);
}
END_TEST

/* It tells that LiteFS goes on, but only a look tells as what. */
START_TEST(overdue_probe_without_a_sample_asks_for_one)
{
    world_open_mounted(&world);
    stream_says_primary(&world, 1000);
    mount_primary(&world, 1010);
    probe_started(&world, 2000);
    probe_ended(&world, 9000);
    world_expect_role(&world, ROLE_UNKNOWN);
    ck_assert_int_eq(world.state.status.mount, MOUNT_TIMEOUT);
    ck_assert(world.effects & EFFECT_PROBE);
    mount_primary(&world, 9010);
    world_expect_role(&world, ROLE_PRIMARY);
}
END_TEST

START_TEST(hanging_plain_directory_is_unknown)
{
    open_with(MODE_AUTO, false, true);
    plain_sampled(&world, 10, NULL);
    probe_started(&world, 1000);
    world_tick(&world, 5000);
    plain_sampled(&world, 6000, NULL);
    world_expect(&world,
                 "t=10 unknown -> not_litefs [mount]\n"
                 "t=3000 not_litefs -> unknown [none]\n"
                 "t=6000 unknown -> not_litefs [mount]\n");
}
END_TEST

/* -- grace (rule 5) ------------------------------------------------------- */

START_TEST(grace_starts_again_with_every_name)
{
    world_open_mounted(&world);
    stream_names(&world, 1000, "node-a");
    stream_names_nobody(&world, 2000);
    ck_assert_int_eq(role_deadline(&world.state), 2000 + GRACE_MS);
    stream_names(&world, 4499, "node-a");
    stream_names_nobody(&world, 4600);
    stream_names_nobody(&world, 5000); /* said again: does not start anew */
    world_tick(&world, 7099);
    world_expect(&world, "t=1000 no_primary -> replica(node-a) [stream]\n");
    world_tick(&world, 7100);
    world_expect(&world, "t=7100 replica(node-a) -> no_primary [stream]\n");
}
END_TEST

START_TEST(grace_is_for_no_primary_only)
{
    world_open_mounted(&world);
    stream_names(&world, 1000, "node-a");
    mount_failed(&world, 1100, MOUNT_UNREADABLE);
    world_expect(&world,
                 "t=1000 no_primary -> replica(node-a) [stream]\n"
                 "t=1100 replica(node-a) -> unknown [none]\n");
}
END_TEST

/* -- identity and reconnect (rule 6) -------------------------------------- */

static uint64_t epoch(void)
{
    return world.state.status.reconnect_epoch;
}

static bool pending(void)
{
    return world.state.status.reconnect_pending;
}

START_TEST(first_mount_asks_for_a_reconnect)
{
    open_with(MODE_AUTO, true, true);
    ck_assert(!pending());
    stream_says_primary(&world, 5);
    mount_primary(&world, 10);
    ck_assert(pending());
    ck_assert_uint_eq(epoch(), 1);
    world_expect(&world, "");
    reconnected(&world, 50);
    world_expect(&world, "t=50 unknown -> primary [stream]\n");
}
END_TEST

START_TEST(plain_directory_never_asks_for_a_reconnect)
{
    open_with(MODE_PLAIN, true, true);
    plain_sampled(&world, 10, NULL);
    stream_opened(&world, 20, "00000000000000AA");
    stream_says_primary(&world, 20);
    stream_down(&world, 30);
    stream_opened(&world, 40, "00000000000000BB");
    ck_assert(!pending());
    ck_assert_uint_eq(epoch(), 0);
}
END_TEST

START_TEST(plain_directory_turns_into_a_mount)
{
    open_with(MODE_AUTO, true, true);
    stream_down(&world, 5);
    plain_sampled(&world, 10, NULL);
    mount_primary(&world, 1000);
    reconnected(&world, 1100);
    world_expect(&world,
                 "t=10 unknown -> not_litefs [mount]\n"
                 "t=1000 not_litefs -> unknown [none]\n"
                 "t=1100 unknown -> primary [mount]\n");
}
END_TEST

START_TEST(older_epoch_does_nothing)
{
    world_open_mounted(&world);
    mount_primary(&world, 1000);
    world.mnt_id++;
    mount_primary(&world, 2000);
    uint64_t first = epoch();
    world.mnt_id++;
    mount_primary(&world, 2100);
    ck_assert_uint_eq(epoch(), first + 1);
    const struct role_input late = {.type = INPUT_RECONNECTED,
                                    .reconnected = first};
    world_input(&world, 2200, &late);
    ck_assert(pending());
    ck_assert_uint_eq(world.effects, 0);
    reconnected(&world, 2300);
    ck_assert(!pending());
    world_expect_role(&world, ROLE_PRIMARY);
}
END_TEST

/* mnt_id may be used again, or be 0 on an old kernel. */
START_TEST(other_device_asks_for_a_reconnect)
{
    world_open_mounted(&world);
    uint64_t before = epoch();
    const struct mount_sample sample = {
        .kind = MOUNT_LITEFS, .started_ms = 1000, .mnt_id = 40, .dev = 8};
    const struct role_input input = {.type = INPUT_MOUNT, .mount = sample};
    world_input(&world, 1000, &input);
    ck_assert_uint_eq(epoch(), before + 1);
}
END_TEST

START_TEST(other_litefs_id_asks_for_a_reconnect)
{
    world_open_mounted(&world);
    uint64_t before = epoch();
    stream_opened(&world, 1000, "00000000000000AA");
    stream_opened(&world, 2000, "");
    stream_opened(&world, 3000, "00000000000000AA");
    ck_assert_uint_eq(epoch(), before);
    stream_opened(&world, 4000, "00000000000000BB");
    ck_assert_uint_eq(epoch(), before + 1);
    ck_assert(world.effects & EFFECT_PROBE);
}
END_TEST

START_TEST(same_mount_unreadable_for_a_while_needs_no_reconnect)
{
    world_open_mounted(&world);
    uint64_t before = epoch();
    mount_failed(&world, 1000, MOUNT_UNREADABLE);
    mount_names_nobody(&world, 2000);
    probe_started(&world, 3000);
    world_tick(&world, 8000);
    mount_names_nobody(&world, 9000);
    ck_assert_uint_eq(epoch(), before);
}
END_TEST

/* -- publishing ----------------------------------------------------------- */

START_TEST(generation_grows_with_differences_only)
{
    world_open_mounted(&world);
    stream_names(&world, 1000, "node-a");
    mount_names(&world, 1010, "node-a");
    uint64_t generation = world.state.status.generation;
    int64_t since = world.state.status.since_ms;
    for (int64_t t = 1020; t < 3000; t += 100) {
        mount_names(&world, t, "node-a");
        stream_names(&world, t + 50, "node-a");
        ck_assert_uint_eq(world.effects, EFFECT_PROBE);
    }
    ck_assert_uint_eq(world.state.status.generation, generation);
    ck_assert_int_eq(world.state.status.since_ms, since);
    stream_names(&world, 4000, "node-b");
    ck_assert_uint_eq(world.state.status.generation, generation + 1);
    ck_assert_int_eq(world.state.status.since_ms, 4000);
}
END_TEST

START_TEST(long_hostname_is_kept_and_an_endless_one_is_cut)
{
    world_open_mounted(&world);
    struct role_input input = {.type = INPUT_STREAM_PRIMARY};
    memset(input.primary.hostname, 'a', sizeof input.primary.hostname);
    role_step(&world.state, &input, 1000);
    ck_assert_uint_eq(strlen(world.state.status.hostname), HOSTNAME_MAX);
}
END_TEST

START_TEST(every_value_has_a_name)
{
    for (int i = ROLE_UNKNOWN; i <= ROLE_NOT_LITEFS; i++)
        ck_assert_str_ne(role_name((enum role)i), "invalid");
    for (int i = SOURCE_NONE; i <= SOURCE_MANUAL; i++)
        ck_assert_str_ne(role_source_name((enum role_source)i), "invalid");
    for (int i = MOUNT_UNSEEN; i <= MOUNT_TIMEOUT; i++)
        ck_assert_str_ne(mount_kind_name((enum mount_kind)i), "invalid");
    for (int i = STREAM_UNSEEN; i <= STREAM_DOWN; i++)
        ck_assert_str_ne(stream_state_name((enum stream_state)i), "invalid");
    ck_assert_str_eq(role_name(ROLE_NOT_LITEFS), "not_litefs");
}
END_TEST

static void own_hostname(int64_t t, const char* hostname)
{
    struct role_input input = {.type = INPUT_OWN_HOSTNAME};
    snprintf(input.own_hostname, sizeof input.own_hostname, "%s", hostname);
    world_input(&world, t, &input);
}

/* It is told to the owner, but it is no other role and no other primary. */
START_TEST(own_hostname_changes_nothing_else)
{
    world_open_mounted(&world);
    stream_opened(&world, 1000, "00000000000000AA");
    stream_says_primary(&world, 1000);
    struct status before = world.state.status;
    uint64_t era = world.state.era;
    own_hostname(2000, "node-a");
    ck_assert_uint_eq(world.effects, EFFECT_CHANGED);
    ck_assert_str_eq(world.state.status.own_hostname, "node-a");
    ck_assert_uint_eq(world.state.status.generation, before.generation + 1);
    ck_assert_int_eq(world.state.status.role, before.role);
    ck_assert_str_eq(world.state.status.hostname, before.hostname);
    ck_assert_int_eq(world.state.status.since_ms, before.since_ms);
    ck_assert_uint_eq(world.state.era, era);
    own_hostname(3000, "node-a");
    ck_assert_uint_eq(world.effects, 0);
}
END_TEST

/* A replica is still called so, but another LiteFS may be called otherwise. */
START_TEST(own_hostname_lives_with_the_stream)
{
    world_open_mounted(&world);
    stream_opened(&world, 1000, "00000000000000AA");
    stream_says_primary(&world, 1000);
    own_hostname(1001, "node-a");
    stream_names(&world, 2000, "node-b");
    ck_assert_str_eq(world.state.status.own_hostname, "node-a");
    stream_down(&world, 3000);
    ck_assert_str_eq(world.state.status.own_hostname, "");
}
END_TEST

Suite* suite_role(void)
{
    const TTest* const tests[] = {
        required_accepts_nothing_but_a_mount,
        auto_waits_for_the_first_word_of_the_stream,
        auto_without_stream_is_decided_at_once,
        auto_is_unknown_once_a_litefs_answered,
        auto_ignores_a_server_without_litefs_id,
        auto_remembers_a_litefs_of_an_earlier_detector,
        auto_unreadable_file_decides_nothing,
        auto_manual_role,
        manual_role_means_nothing_on_a_mount,
        plain_file_and_stream_decide_together,
        plain_is_not_told_by_a_litefs_id,
        plain_needs_a_readable_absence_to_be_primary,
        plain_without_stream_absent_means_primary,
        sample_older_than_an_event_is_not_used,
        newer_file_beats_an_older_primary_event,
        file_beats_the_mode_of_the_same_sample,
        unreadable_file_and_no_mode_prove_nothing,
        nameless_file_keeps_the_name_of_the_stream,
        stream_alone_proves_nothing,
        mount_evidence_ends_a_second_after_the_stream,
        renewed_mount_evidence_outlives_the_stream,
        expired_evidence_stays_expired,
        expired_evidence_gives_no_older_event_its_word_back,
        without_poll_mount_evidence_lives_with_the_stream,
        without_stream_mount_evidence_lives_for_a_poll,
        without_stream_and_poll_a_mount_is_believed_for_a_moment,
        without_poll_a_plain_directory_is_left_to_inotify,
        with_poll_a_plain_directory_is_believed_for_a_poll,
        short_poll_does_not_shorten_a_plain_directorys_life,
        overdue_probe_ends_both_halves,
        overdue_probe_is_noticed_when_it_comes_back,
        probe_that_ends_without_a_sample_changes_nothing,
        overdue_probe_without_a_sample_asks_for_one,
        hanging_plain_directory_is_unknown,
        grace_starts_again_with_every_name,
        grace_is_for_no_primary_only,
        first_mount_asks_for_a_reconnect,
        plain_directory_never_asks_for_a_reconnect,
        plain_directory_turns_into_a_mount,
        older_epoch_does_nothing,
        other_device_asks_for_a_reconnect,
        other_litefs_id_asks_for_a_reconnect,
        same_mount_unreadable_for_a_while_needs_no_reconnect,
        generation_grows_with_differences_only,
        long_hostname_is_kept_and_an_endless_one_is_cut,
        own_hostname_changes_nothing_else,
        own_hostname_lives_with_the_stream,
        every_value_has_a_name,
    };
    Suite* suite = suite_create("role");
    TCase* tcase = tcase_create("rules");
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    return suite;
}
