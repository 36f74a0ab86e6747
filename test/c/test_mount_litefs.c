/* The directory as LiteFS serves it, by the stub: what statx() and `.primary`
 * say while the kernel caches what LiteFS told it to cache. */
#include <check.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "cell_fixture.h"
#include "clock.h"
#include "fuse_stub.h"
#include "mount.h"
#include "mount_fixture.h"

enum { LIMIT_MS = 4000, PROBE_TIMEOUT_MS = 300 };

static struct mount_fixture directory;
static struct fuse_stub stub;
static struct mount look;
static struct mount_sample sample;
static struct cell_fixture cell;
static struct mount_source* source;
static struct check_answers answers;

static void set_up(void)
{
    fixture_set_up(&directory);
    fault_install();
    ck_assert_msg(fixture_unshare(), "no mount namespace: %s", strerror(errno));
    fuse_stub_start(&stub, directory.directory, "litefs");
    ck_assert_int_eq(mount_init(&look, directory.directory, ".primary"), 0);
    check_answers_init(&answers);
}

static void tear_down(void)
{
    fuse_stub_die(&stub);
    fixture_tear_down(&directory);
}

static bool look_once(void)
{
    bool changed = mount_identify(&look, &sample);

    mount_read(&look, &sample);
    return changed;
}

/* ------------------------------------------------------------- one look */

START_TEST(a_litefs_mount_is_recognized)
{
    ck_assert(look_once());
    ck_assert_int_eq(sample.kind, MOUNT_LITEFS);
    ck_assert_uint_ne(sample.mnt_id, 0);
    ck_assert_uint_ne(sample.dev, 0);
    ck_assert(!sample.root_writable);
    ck_assert_int_eq(sample.primary_file, PRIMARY_FILE_ABSENT);
    ck_assert_int_eq(sample.lag_ms, 0);
    ck_assert(!look_once());
}
END_TEST

START_TEST(another_fuse_mount_is_plain)
{
    ck_assert_int_eq(umount(directory.directory), 0);
    fuse_stub_die(&stub);
    fuse_stub_start(&stub, directory.directory, "sshfs");
    fuse_stub_set_primary(&stub, true);
    look_once();
    ck_assert_int_eq(sample.kind, MOUNT_PLAIN);
    ck_assert(!sample.root_writable);
}
END_TEST

START_TEST(a_mount_that_nobody_can_name_is_unreadable)
{
    fault_inject(CALL_MOUNTINFO_OPEN, EMFILE);
    look_once();
    ck_assert_int_eq(sample.kind, MOUNT_UNREADABLE);
    ck_assert_int_eq(sample.err, EMFILE);
    fault_inject(CALL_MOUNTINFO_OPEN, 0);
    look_once();
    ck_assert_int_eq(sample.kind, MOUNT_LITEFS);
}
END_TEST

START_TEST(the_mode_of_the_root_is_fresh)
{
    for (int i = 0; i < 6; i++) {
        fuse_stub_set_primary(&stub, i % 2 == 1);
        look_once();
        ck_assert_int_eq(sample.root_writable, i % 2 == 1);
    }
}
END_TEST

START_TEST(a_primary_is_asked_for_no_file)
{
    fuse_stub_set_primary(&stub, true);
    for (int i = 0; i < 100; i++) {
        look_once();
        ck_assert(sample.root_writable);
        ck_assert_int_eq(sample.primary_file, PRIMARY_FILE_ABSENT);
        ck_assert_int_eq(sample.lag_ms, 0);
    }
    ck_assert_uint_eq(fuse_stub_lookups(&stub), 0);
}
END_TEST

START_TEST(the_primary_is_named_as_long_as_litefs_does)
{
    fuse_stub_name_primary(&stub, "node-a\n");
    look_once();
    ck_assert_int_eq(sample.primary_file, PRIMARY_FILE_PRESENT);
    ck_assert_str_eq(sample.hostname, "node-a");
    fuse_stub_name_primary(&stub, "node-bb\n");
    look_once();
    ck_assert_str_eq(sample.hostname, "node-bb");
    /* The kernel still has the name in its cache. */
    fuse_stub_name_primary(&stub, NULL);
    look_once();
    ck_assert_int_eq(sample.primary_file, PRIMARY_FILE_ABSENT);
    ck_assert_str_eq(sample.hostname, "");
}
END_TEST

static const struct {
    const char* text;
    int64_t lag;
} LAGS[] = {
    {"+000000000\n", 0},
    {"+000001234\n", 1234},
    {"-000000042\n", -42},
    {"+2147483647", 2147483647}, /* not synced: no room for the newline */
    {"", LAG_UNKNOWN},
    {"+\n", LAG_UNKNOWN},
    {"0000000000\n", LAG_UNKNOWN},
    {"+00000000x\n", LAG_UNKNOWN},
    {"+ 00000001\n", LAG_UNKNOWN},
};
enum { LAG_COUNT = sizeof LAGS / sizeof *LAGS };

START_TEST(the_lag_is_read)
{
    fuse_stub_set_lag(&stub, LAGS[_i].text);
    look_once();
    ck_assert_int_eq(sample.kind, MOUNT_LITEFS);
    ck_assert_int_eq(sample.lag_ms, LAGS[_i].lag);
}
END_TEST

START_TEST(a_daemon_that_died_leaves_a_dead_mount)
{
    struct fuse_stub next;
    struct mount_identity before;

    fuse_stub_set_primary(&stub, true);
    look_once();
    before = look.identity;
    fuse_stub_die(&stub);
    ck_assert(look_once());
    ck_assert_int_eq(sample.kind, MOUNT_DEAD);
    ck_assert_int_eq(sample.err, ENOTCONN);
    ck_assert(!sample.root_writable);

    /* Restarted, it stacks its mount on the dead one. */
    ck_assert_int_eq(umount2(directory.directory, MNT_DETACH), 0);
    fuse_stub_start(&next, directory.directory, "litefs");
    ck_assert(look_once());
    ck_assert_int_eq(sample.kind, MOUNT_LITEFS);
    ck_assert_uint_ne(look.identity.mnt_id, before.mnt_id);
    fuse_stub_die(&next);
    fuse_stub_start(&stub, directory.directory, "litefs");
}
END_TEST

/* -------------------------------------------------------- with its thread */

static void open_source(int64_t poll_interval_ms)
{
    struct status_cell_hooks hooks = cell_fixture_hooks(&cell);
    struct role_config role = {
        .poll_enabled = poll_interval_ms > 0,
        .poll_interval_ms = poll_interval_ms,
        .grace_ms = 2500,
        .probe_timeout_ms = PROBE_TIMEOUT_MS,
    };
    struct mount_source_config config = {
        .directory = directory.directory,
        .primary_name = ".primary",
        .poll_interval_ms = poll_interval_ms,
    };

    cell_fixture_init(&cell);
    ck_assert_int_eq(status_cell_open(&role, &hooks, &cell.cell), 0);
    ck_assert_int_eq(mount_source_attach(&config, cell.cell, &source), 0);
}

static void close_source(void)
{
    mount_source_detach(source);
    status_cell_unref(cell.cell);
    ck_assert(cell_wait_freed(&cell, LIMIT_MS));
}

static bool reconnect_is(const struct status* status, int wanted)
{
    return status->reconnect_pending == (wanted != 0);
}

/* What the Repo's owner does when it sees a mount for the first time. */
static void reconnect(void)
{
    struct role_input input = {.type = INPUT_RECONNECTED};

    ck_assert_int_ge(cell_wait(&cell, reconnect_is, true, LIMIT_MS), 0);
    input.reconnected = cell.status.reconnect_epoch;
    status_cell_post(cell.cell, &input, NULL);
}

static enum role check_now(void)
{
    struct check_answers own;

    check_answers_init(&own);
    ck_assert_int_eq(mount_source_check(source, NULL, check_done, &own), 0);
    ck_assert(check_wait(&own, 1, LIMIT_MS));
    for (enum role role = ROLE_UNKNOWN; role < ROLE_NOT_LITEFS; role++) {
        if (own.of_role[role] > 0) {
            return role;
        }
    }
    return ROLE_NOT_LITEFS;
}

START_TEST(the_role_follows_the_mount)
{
    fuse_stub_set_primary(&stub, true);
    open_source(100);
    reconnect();
    ck_assert_int_ge(cell_wait(&cell, role_is, ROLE_PRIMARY, LIMIT_MS), 0);
    fuse_stub_set_primary(&stub, false);
    fuse_stub_name_primary(&stub, "node-b\n");
    ck_assert_int_ge(cell_wait(&cell, role_is, ROLE_REPLICA, LIMIT_MS), 0);
    ck_assert_str_eq(cell.status.hostname, "node-b");
    close_source();
}
END_TEST

/* The poll is far away: only the check can know. */
START_TEST(a_check_sees_a_lost_lease_at_once)
{
    fuse_stub_set_primary(&stub, true);
    open_source(60000);
    reconnect();
    ck_assert_int_eq(check_now(), ROLE_PRIMARY);
    for (int i = 0; i < 10; i++) {
        fuse_stub_set_primary(&stub, false);
        ck_assert_int_eq(check_now(), ROLE_NO_PRIMARY);
        fuse_stub_set_primary(&stub, true);
        ck_assert_int_eq(check_now(), ROLE_PRIMARY);
    }
    close_source();
}
END_TEST

START_TEST(checks_on_the_primary_look_up_nothing)
{
    fuse_stub_set_primary(&stub, true);
    open_source(1000);
    reconnect();
    for (int i = 0; i < 1000; i++) {
        ck_assert_int_eq(check_now(), ROLE_PRIMARY);
    }
    ck_assert_uint_eq(fuse_stub_lookups(&stub), 0);
    close_source();
}
END_TEST

/* A missing file is looked up every time that it is asked for. */
START_TEST(checks_on_a_replica_look_up_next_to_nothing)
{
    int64_t started = clock_now_ms();
    unsigned seconds;

    open_source(60000);
    reconnect();
    for (int i = 0; i < 1000; i++) {
        ck_assert_int_eq(check_now(), ROLE_NO_PRIMARY);
    }
    seconds = (unsigned)((clock_now_ms() - started) / 1000);
    /* The first look, which also looks up `.lag`, and then one each second,
     * by the timer or by a check. */
    ck_assert_uint_le(fuse_stub_lookups(&stub), 2 + 2 * (seconds + 1));
    close_source();
}
END_TEST

/* A sample that began before the event says nothing about what came after
 * it: the check has to wait for another one. */
START_TEST(a_check_that_meets_an_event_looks_again)
{
    struct role_input event = {.type = INPUT_STREAM_PRIMARY,
                               .primary = {.hostname = "node-b"}};
    unsigned looks;

    fuse_stub_set_primary(&stub, true);
    open_source(60000);
    reconnect();
    ck_assert_int_eq(check_now(), ROLE_PRIMARY);
    fault_block(CALL_ROOT_STATX);
    ck_assert_int_eq(mount_source_check(source, NULL, check_done, &answers), 0);
    ck_assert(fault_wait_blocked(LIMIT_MS));
    looks = fault_count(CALL_ROOT_STATX);
    status_cell_post(cell.cell, &event, NULL);
    fuse_stub_set_primary(&stub, false);
    fault_release();
    ck_assert(check_wait(&answers, 1, LIMIT_MS));
    ck_assert_uint_ge(fault_count(CALL_ROOT_STATX), looks + 1);
    ck_assert_uint_eq(answers.of_role[ROLE_REPLICA], 1);
    close_source();
}
END_TEST

static bool is_node_b(const struct status* status, int unused)
{
    (void)unused;
    return strcmp(status->hostname, "node-b") == 0;
}

/* What a check remembers of `.primary` must not beat the newer event. */
START_TEST(a_check_does_not_bring_back_an_old_name)
{
    struct role_input event = {.type = INPUT_STREAM_PRIMARY,
                               .primary = {.hostname = "node-b"}};

    fuse_stub_name_primary(&stub, "node-a\n");
    open_source(60000);
    reconnect();
    ck_assert_int_eq(check_now(), ROLE_REPLICA);
    ck_assert_int_eq(check_now(), ROLE_REPLICA);
    fuse_stub_name_primary(&stub, "node-b\n");
    status_cell_post(cell.cell, &event, NULL);
    /* In the event's own millisecond a sample would not count anyway. */
    for (int64_t at = clock_now_ms(); clock_now_ms() <= at + 1;) {
        sched_yield();
    }
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(check_now(), ROLE_REPLICA);
        ck_assert_int_ge(cell_wait(&cell, is_node_b, 0, 0), 0);
    }
    close_source();
}
END_TEST

START_TEST(a_frozen_litefs_is_a_timeout_and_then_itself_again)
{
    fuse_stub_set_primary(&stub, true);
    open_source(100);
    reconnect();
    ck_assert_int_ge(cell_wait(&cell, role_is, ROLE_PRIMARY, LIMIT_MS), 0);
    fuse_stub_freeze(&stub, true);
    /* No thread of ours can tell: the reader's own look at the clock does. */
    while (status_cell_role(cell.cell) == ROLE_PRIMARY) {
        sched_yield();
    }
    ck_assert_int_eq(status_cell_role(cell.cell), ROLE_UNKNOWN);
    fuse_stub_freeze(&stub, false);
    ck_assert_int_ge(cell_wait(&cell, role_is, ROLE_PRIMARY, LIMIT_MS), 0);
    close_source();
}
END_TEST

START_TEST(a_dead_litefs_and_its_successor_are_noticed)
{
    uint64_t epoch;

    fuse_stub_set_primary(&stub, true);
    open_source(100);
    reconnect();
    ck_assert_int_ge(cell_wait(&cell, role_is, ROLE_PRIMARY, LIMIT_MS), 0);
    epoch = cell.status.reconnect_epoch;
    fuse_stub_die(&stub);
    ck_assert_int_ge(cell_wait(&cell, mount_is, MOUNT_DEAD, LIMIT_MS), 0);
    ck_assert_int_eq(cell.status.role, ROLE_UNKNOWN);
    fuse_stub_start(&stub, directory.directory, "litefs");
    fuse_stub_set_primary(&stub, true);
    reconnect();
    ck_assert_uint_gt(cell.status.reconnect_epoch, epoch);
    ck_assert_int_ge(cell_wait(&cell, role_is, ROLE_PRIMARY, LIMIT_MS), 0);
    close_source();
}
END_TEST

/* LiteFS's clean stop would fail with EBUSY. */
START_TEST(the_mount_is_not_kept_busy)
{
    open_source(60000);
    reconnect();
    ck_assert_int_ge(cell_wait(&cell, role_is, ROLE_NO_PRIMARY, LIMIT_MS), 0);
    ck_assert_int_eq(check_now(), ROLE_NO_PRIMARY);
    ck_assert_int_eq(umount(directory.directory), 0);
    ck_assert_int_ge(cell_wait(&cell, mount_is, MOUNT_PLAIN, 1000), 0);
    /* Once LiteFS, never plain again. */
    ck_assert_int_eq(cell.status.role, ROLE_UNKNOWN);
    close_source();
}
END_TEST

static TCase* look_tests(void)
{
    TCase* tcase = tcase_create("looks");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_litefs_mount_is_recognized);
    tcase_add_test(tcase, another_fuse_mount_is_plain);
    tcase_add_test(tcase, a_mount_that_nobody_can_name_is_unreadable);
    tcase_add_test(tcase, the_mode_of_the_root_is_fresh);
    tcase_add_test(tcase, a_primary_is_asked_for_no_file);
    tcase_add_test(tcase, the_primary_is_named_as_long_as_litefs_does);
    tcase_add_loop_test(tcase, the_lag_is_read, 0, LAG_COUNT);
    tcase_add_test(tcase, a_daemon_that_died_leaves_a_dead_mount);
    return tcase;
}

static TCase* source_tests(void)
{
    TCase* tcase = tcase_create("source");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, the_role_follows_the_mount);
    tcase_add_test(tcase, a_check_sees_a_lost_lease_at_once);
    tcase_add_test(tcase, checks_on_the_primary_look_up_nothing);
    tcase_add_test(tcase, checks_on_a_replica_look_up_next_to_nothing);
    tcase_add_test(tcase, a_check_that_meets_an_event_looks_again);
    tcase_add_test(tcase, a_check_does_not_bring_back_an_old_name);
    tcase_add_test(tcase, a_frozen_litefs_is_a_timeout_and_then_itself_again);
    tcase_add_test(tcase, a_dead_litefs_and_its_successor_are_noticed);
    tcase_add_test(tcase, the_mount_is_not_kept_busy);
    return tcase;
}

Suite* suite_mount_litefs(void);
Suite* suite_mount_litefs(void)
{
    Suite* suite = suite_create("mount_litefs");

    if (!fuse_stub_possible()) {
        printf("mount_litefs: skipped, /dev/fuse cannot be used here\n");
        return suite;
    }
    suite_add_tcase(suite, look_tests());
    suite_add_tcase(suite, source_tests());
    return suite;
}
