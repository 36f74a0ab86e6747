#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "cell_fixture.h"
#include "clock.h"
#include "mount_fixture.h"
#include "mount_thread.h"

enum { LIMIT_MS = 3000, PROBE_TIMEOUT_MS = 150, NO_TIMER = 0 };

static struct mount_fixture directory;
static struct cell_fixture cell;
static struct mount_source* source;
static struct check_answers answers;

static void cell_set_up(struct cell_fixture* fixture, enum mount_mode mode,
                        int64_t poll_interval_ms)
{
    struct status_cell_hooks hooks = cell_fixture_hooks(fixture);
    struct role_config config = {
        .mode = mode,
        .poll_enabled = poll_interval_ms > 0,
        .poll_interval_ms = poll_interval_ms,
        .grace_ms = 2500,
        .probe_timeout_ms = PROBE_TIMEOUT_MS,
    };

    cell_fixture_init(fixture);
    ck_assert_int_eq(status_cell_open(&config, &hooks, &fixture->cell), 0);
}

static struct mount_source* attach(struct cell_fixture* fixture,
                                   int64_t poll_interval_ms)
{
    struct mount_source_config config = {
        .directory = directory.directory,
        .primary_name = ".primary",
        .poll_interval_ms = poll_interval_ms,
    };
    struct mount_source* attached = NULL;

    ck_assert_int_eq(mount_source_attach(&config, fixture->cell, &attached), 0);
    return attached;
}

static void set_up(void)
{
    fixture_set_up(&directory);
    fault_install();
    check_answers_init(&answers);
}

static void tear_down(void)
{
    fixture_tear_down(&directory);
}

/* Most tests: one cell, attached, and its first sample is there. */
static void open_one(int64_t poll_interval_ms)
{
    cell_set_up(&cell, MODE_AUTO, poll_interval_ms);
    source = attach(&cell, poll_interval_ms);
    ck_assert_int_ge(cell_wait(&cell, settled_is, true, LIMIT_MS), 0);
}

/* Detached and unreferenced, the thread ends by itself and with it the last
 * reference to the cell. */
static void close_one(void)
{
    mount_source_detach(source);
    status_cell_unref(cell.cell);
    ck_assert(cell_wait_freed(&cell, LIMIT_MS));
}

static bool is_ours(const char* task)
{
    char path[300];
    char name[32] = "";
    FILE* file;

    snprintf(path, sizeof path, "/proc/self/task/%s/comm", task);
    file = fopen(path, "re");
    if (file == NULL) {
        return false; /* it has ended */
    }
    if (fgets(name, sizeof name, file) == NULL) {
        name[0] = '\0';
    }
    fclose(file);
    return strcmp(name, "litefs_mount\n") == 0;
}

/* By name, because sanitizers have threads of their own. */
static unsigned thread_count(void)
{
    DIR* tasks = opendir("/proc/self/task");
    unsigned count = 0;
    struct dirent* task;

    while ((task = readdir(tasks)) != NULL) {
        count += task->d_name[0] != '.' && is_ours(task->d_name);
    }
    closedir(tasks);
    return count;
}

/* No condition variable tells of another thread's end or of a call that it
 * makes, so these are polled, until they come true or the time is over. */
static bool eventually(bool (*predicate)(unsigned), unsigned wanted)
{
    int64_t end = clock_now_ms() + LIMIT_MS;
    const struct timespec pause = {.tv_nsec = 1000000};

    while (!predicate(wanted)) {
        if (clock_now_ms() > end) {
            return false;
        }
        nanosleep(&pause, NULL);
    }
    return true;
}

static bool registry_count_is(unsigned wanted)
{
    return mount_registry_count() == wanted;
}

static bool thread_count_is(unsigned wanted)
{
    return thread_count() == wanted;
}

static bool looks_are(unsigned wanted)
{
    return fault_count(CALL_ROOT_STATX) >= wanted;
}

static bool mount_is_timeout(unsigned unused)
{
    struct status status;

    (void)unused;
    status_cell_snapshot(cell.cell, &status);
    return status.mount == MOUNT_TIMEOUT;
}

static bool hostname_ends_with(const struct status* status, int wanted)
{
    size_t length = strlen(status->hostname);

    return length > 0 && status->hostname[length - 1] == wanted;
}

/* ------------------------------------------------------------ looking */

START_TEST(attaching_looks_at_once)
{
    cell_set_up(&cell, MODE_AUTO, NO_TIMER);
    source = attach(&cell, NO_TIMER);
    ck_assert_int_ge(cell_wait(&cell, settled_is, true, LIMIT_MS), 0);
    ck_assert_int_eq(cell.status.role, ROLE_NOT_LITEFS);
    ck_assert_int_eq(cell.status.mount, MOUNT_PLAIN);
    close_one();
}
END_TEST

START_TEST(a_name_that_does_not_fit_is_refused)
{
    char path[PATH_MAX + 1];
    struct mount_source_config config = {.directory = path,
                                         .primary_name = ".primary"};

    memset(path, 'x', sizeof path);
    path[0] = '/';
    path[PATH_MAX] = '\0';
    cell_set_up(&cell, MODE_AUTO, NO_TIMER);
    ck_assert_int_eq(mount_source_attach(&config, cell.cell, &source),
                     -ENAMETOOLONG);
    ck_assert_uint_eq(mount_registry_count(), 0);
    status_cell_unref(cell.cell);
    ck_assert(cell.freed);
}
END_TEST

/* Without a timer only inotify can tell. */
START_TEST(the_file_is_noticed_within_a_second)
{
    int64_t appeared;
    int64_t changed;
    int64_t gone;

    open_one(NO_TIMER);
    fixture_name_primary(&directory, "node-a");
    appeared = cell_wait(&cell, role_is, ROLE_REPLICA, 1000);
    ck_assert_int_ge(appeared, 0);
    fixture_name_primary(&directory, "node-b");
    changed = cell_wait(&cell, hostname_ends_with, 'b', 1000);
    ck_assert_int_ge(changed, 0);
    ck_assert_int_eq(unlink(directory.primary), 0);
    gone = cell_wait(&cell, role_is, ROLE_NOT_LITEFS, 1000);
    ck_assert_int_ge(gone, 0);
    if (getenv("MEASURE") != NULL) {
        printf(
            "noticed after: appeared %lld ms, changed %lld ms, gone %lld "
            "ms\n",
            (long long)appeared, (long long)changed, (long long)gone);
    }
    close_one();
}
END_TEST

START_TEST(a_directory_that_appears_is_watched_from_then_on)
{
    ck_assert_int_eq(rmdir(directory.directory), 0);
    open_one(100);
    ck_assert_int_eq(cell.status.mount, MOUNT_MISSING);
    ck_assert_int_eq(cell.status.role, ROLE_NOT_LITEFS);
    ck_assert_int_eq(mkdir(directory.directory, 0755), 0);
    ck_assert_int_ge(cell_wait(&cell, mount_is, MOUNT_PLAIN, LIMIT_MS), 0);
    fixture_name_primary(&directory, "node-a");
    ck_assert_int_ge(cell_wait(&cell, role_is, ROLE_REPLICA, 1000), 0);
    ck_assert_int_eq(unlink(directory.primary), 0);
    ck_assert_int_eq(rmdir(directory.directory), 0);
    ck_assert_int_ge(cell_wait(&cell, mount_is, MOUNT_MISSING, 1000), 0);
    close_one();
}
END_TEST

static const struct {
    int err;
    enum mount_kind kind;
} FAILURES[] = {{ENOTCONN, MOUNT_DEAD}, {EACCES, MOUNT_UNREADABLE}};

START_TEST(a_directory_that_fails_is_unknown_until_it_heals)
{
    open_one(100);
    fault_inject(CALL_ROOT_STATX, FAILURES[_i].err);
    ck_assert_int_ge(
        cell_wait(&cell, mount_is, (int)FAILURES[_i].kind, LIMIT_MS), 0);
    ck_assert_int_eq(cell.status.role, ROLE_UNKNOWN);
    fault_inject(CALL_ROOT_STATX, 0);
    ck_assert_int_ge(cell_wait(&cell, role_is, ROLE_NOT_LITEFS, LIMIT_MS), 0);
    close_one();
}
END_TEST

START_TEST(a_mount_that_covers_the_directory_is_noticed)
{
    ck_assert_msg(fixture_unshare(), "no mount namespace: %s", strerror(errno));
    fixture_name_primary(&directory, "node-a");
    open_one(NO_TIMER);
    ck_assert_int_eq(cell.status.role, ROLE_REPLICA);
    ck_assert_int_eq(mount("a", directory.directory, "tmpfs", 0, NULL), 0);
    ck_assert_int_ge(cell_wait(&cell, role_is, ROLE_NOT_LITEFS, 1000), 0);
    /* The watch is on the new directory, not on the hidden one. */
    fixture_name_primary(&directory, "node-b");
    ck_assert_int_ge(cell_wait(&cell, hostname_ends_with, 'b', 1000), 0);
    ck_assert_int_eq(umount(directory.directory), 0);
    ck_assert_int_ge(cell_wait(&cell, hostname_ends_with, 'a', 1000), 0);
    close_one();
}
END_TEST

START_TEST(a_hint_gives_a_burst_of_four_looks)
{
    unsigned before;

    open_one(NO_TIMER);
    before = fault_count(CALL_ROOT_STATX);
    mount_source_hint(source);
    ck_assert(eventually(looks_are, before + 4));
    close_one();
    ck_assert_uint_eq(fault_count(CALL_ROOT_STATX), before + 4);
}
END_TEST

START_TEST(the_timer_looks_again_and_again)
{
    open_one(60);
    ck_assert(eventually(looks_are, fault_count(CALL_ROOT_STATX) + 5));
    close_one();
}
END_TEST

/* ------------------------------------------------------------- checks */

START_TEST(a_check_tells_what_is_there_now)
{
    open_one(NO_TIMER);
    ck_assert_int_eq(mount_source_check(source, NULL, check_done, &answers), 0);
    ck_assert(check_wait(&answers, 1, LIMIT_MS));
    ck_assert_uint_eq(answers.of_role[ROLE_NOT_LITEFS], 1);
    fixture_name_primary(&directory, "node-a");
    ck_assert_int_eq(mount_source_check(source, NULL, check_done, &answers), 0);
    ck_assert(check_wait(&answers, 2, LIMIT_MS));
    ck_assert_uint_eq(answers.of_role[ROLE_REPLICA], 1);
    close_one();
    ck_assert_uint_eq(answers.count, 2);
}
END_TEST

/* A probe that began before the request proves nothing for it. */
START_TEST(waiting_checks_share_one_probe_that_begins_after_them)
{
    cell_set_up(&cell, MODE_AUTO, NO_TIMER);
    fault_block(CALL_ROOT_STATX);
    source = attach(&cell, NO_TIMER);
    ck_assert(fault_wait_blocked(LIMIT_MS));
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(mount_source_check(source, NULL, check_done, &answers),
                         0);
    }
    fault_release();
    ck_assert(check_wait(&answers, 100, LIMIT_MS));
    ck_assert_uint_eq(answers.of_role[ROLE_NOT_LITEFS], 100);
    ck_assert_uint_eq(fault_count(CALL_ROOT_STATX), 2);
    close_one();
}
END_TEST

START_TEST(too_many_checks_are_refused_and_detaching_answers_the_rest)
{
    open_one(NO_TIMER);
    fault_block(CALL_ROOT_STATX);
    mount_source_hint(source);
    ck_assert(fault_wait_blocked(LIMIT_MS));
    for (int i = 0; i < 4096; i++) {
        ck_assert_int_eq(mount_source_check(source, NULL, check_done, &answers),
                         0);
    }
    ck_assert_int_eq(mount_source_check(source, NULL, check_done, &answers),
                     -EAGAIN);
    mount_source_detach(source);
    ck_assert_uint_eq(answers.count, 4096);
    ck_assert_uint_eq(answers.of_role[ROLE_UNKNOWN], 4096);
    fault_release();
    status_cell_unref(cell.cell);
    ck_assert(cell_wait_freed(&cell, LIMIT_MS));
    ck_assert_uint_eq(answers.count, 4096);
}
END_TEST

START_TEST(a_check_says_primary_only_without_the_file)
{
    cell_set_up(&cell, MODE_PLAIN, NO_TIMER);
    source = attach(&cell, NO_TIMER);
    ck_assert_int_ge(cell_wait(&cell, role_is, ROLE_PRIMARY, LIMIT_MS), 0);
    ck_assert_int_eq(mount_source_check(source, NULL, check_done, &answers), 0);
    ck_assert(check_wait(&answers, 1, LIMIT_MS));
    ck_assert_uint_eq(answers.of_role[ROLE_PRIMARY], 1);
    fault_inject(CALL_PRIMARY_STAT, EIO);
    ck_assert_int_eq(mount_source_check(source, NULL, check_done, &answers), 0);
    ck_assert(check_wait(&answers, 2, LIMIT_MS));
    ck_assert_uint_eq(answers.of_role[ROLE_PRIMARY], 1);
    close_one();
}
END_TEST

/* ------------------------------------------------------------ threads */

START_TEST(cells_of_one_directory_share_a_thread)
{
    struct cell_fixture other;
    struct mount_source* other_source;

    open_one(NO_TIMER);
    cell_set_up(&other, MODE_AUTO, NO_TIMER);
    other_source = attach(&other, NO_TIMER);
    ck_assert_uint_eq(mount_registry_count(), 1);
    ck_assert_int_ge(cell_wait(&other, settled_is, true, LIMIT_MS), 0);
    fixture_name_primary(&directory, "node-a");
    ck_assert_int_ge(cell_wait(&cell, role_is, ROLE_REPLICA, LIMIT_MS), 0);
    ck_assert_int_ge(cell_wait(&other, role_is, ROLE_REPLICA, LIMIT_MS), 0);

    mount_source_detach(other_source);
    status_cell_unref(other.cell);
    ck_assert(cell_wait_freed(&other, LIMIT_MS));
    ck_assert_uint_eq(mount_registry_count(), 1);
    ck_assert_int_eq(unlink(directory.primary), 0);
    ck_assert_int_ge(cell_wait(&cell, role_is, ROLE_NOT_LITEFS, LIMIT_MS), 0);
    close_one();
}
END_TEST

START_TEST(the_thread_ends_when_nothing_is_attached)
{
    open_one(NO_TIMER);
    ck_assert_uint_eq(thread_count(), 1);
    ck_assert_uint_eq(mount_registry_count(), 1);
    close_one();
    ck_assert(eventually(registry_count_is, 0));
    ck_assert(eventually(thread_count_is, 0));
    /* And the next attachment begins anew. */
    open_one(NO_TIMER);
    close_one();
    ck_assert(eventually(thread_count_is, 0));
}
END_TEST

START_TEST(a_hang_is_seen_by_readers_while_the_thread_is_stuck)
{
    open_one(NO_TIMER);
    fault_block(CALL_ROOT_STATX);
    mount_source_hint(source);
    ck_assert(fault_wait_blocked(LIMIT_MS));
    ck_assert(eventually(mount_is_timeout, 0));
    ck_assert_int_eq(status_cell_role(cell.cell), ROLE_UNKNOWN);
    fault_release();
    ck_assert_int_ge(cell_wait(&cell, role_is, ROLE_NOT_LITEFS, LIMIT_MS), 0);
    close_one();
}
END_TEST

/* A supervisor that restarts again and again over a hung LiteFS. */
START_TEST(a_stuck_thread_is_used_again)
{
    int64_t started;

    open_one(NO_TIMER);
    fault_block(CALL_ROOT_STATX);
    mount_source_hint(source);
    ck_assert(fault_wait_blocked(LIMIT_MS));
    mount_source_detach(source);
    status_cell_unref(cell.cell);

    started = clock_now_ms();
    for (int i = 0; i < 100; i++) {
        struct cell_fixture other;

        cell_set_up(&other, MODE_AUTO, NO_TIMER);
        mount_source_detach(attach(&other, NO_TIMER));
        status_cell_unref(other.cell);
        ck_assert(other.freed);
        ck_assert_uint_eq(mount_registry_count(), 1);
    }
    ck_assert_int_lt(clock_now_ms() - started, 1000);
    ck_assert_uint_eq(thread_count(), 1);

    cell_set_up(&cell, MODE_AUTO, NO_TIMER);
    source = attach(&cell, NO_TIMER);
    ck_assert(eventually(mount_is_timeout, 0));
    fault_release();
    ck_assert_int_ge(cell_wait(&cell, role_is, ROLE_NOT_LITEFS, LIMIT_MS), 0);
    close_one();
    ck_assert(eventually(thread_count_is, 0));
}
END_TEST

struct racer {
    pthread_t thread;
    struct cell_fixture cell;
};

static void* racer_main(void* arg)
{
    struct racer* racer = arg;

    for (int i = 0; i < 50; i++) {
        struct check_answers own;
        struct mount_source* attached;

        check_answers_init(&own);
        attached = attach(&racer->cell, 60);
        mount_source_hint(attached);
        ck_assert_int_eq(mount_source_check(attached, NULL, check_done, &own),
                         0);
        if (i % 2 == 0) {
            ck_assert(check_wait(&own, 1, LIMIT_MS));
        }
        mount_source_detach(attached);
        ck_assert(check_wait(&own, 1, LIMIT_MS));
        ck_assert_uint_eq(own.count, 1);
    }
    return NULL;
}

/* The thread ends and begins in every possible moment. */
START_TEST(attach_check_and_detach_may_race)
{
    struct racer racers[4];

    for (int i = 0; i < 4; i++) {
        cell_set_up(&racers[i].cell, MODE_AUTO, 60);
        ck_assert_int_eq(
            pthread_create(&racers[i].thread, NULL, racer_main, &racers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(racers[i].thread, NULL);
        status_cell_unref(racers[i].cell.cell);
        ck_assert(cell_wait_freed(&racers[i].cell, LIMIT_MS));
    }
    ck_assert(eventually(registry_count_is, 0));
}
END_TEST

static TCase* look_tests(void)
{
    TCase* tcase = tcase_create("looking");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, attaching_looks_at_once);
    tcase_add_test(tcase, a_name_that_does_not_fit_is_refused);
    tcase_add_test(tcase, the_file_is_noticed_within_a_second);
    tcase_add_test(tcase, a_directory_that_appears_is_watched_from_then_on);
    tcase_add_loop_test(tcase, a_directory_that_fails_is_unknown_until_it_heals,
                        0, 2);
    tcase_add_test(tcase, a_mount_that_covers_the_directory_is_noticed);
    tcase_add_test(tcase, a_hint_gives_a_burst_of_four_looks);
    tcase_add_test(tcase, the_timer_looks_again_and_again);
    return tcase;
}

static TCase* check_tests(void)
{
    TCase* tcase = tcase_create("checks");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_check_tells_what_is_there_now);
    tcase_add_test(tcase,
                   waiting_checks_share_one_probe_that_begins_after_them);
    tcase_add_test(tcase,
                   too_many_checks_are_refused_and_detaching_answers_the_rest);
    tcase_add_test(tcase, a_check_says_primary_only_without_the_file);
    return tcase;
}

static TCase* thread_tests(void)
{
    TCase* tcase = tcase_create("threads");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, cells_of_one_directory_share_a_thread);
    tcase_add_test(tcase, the_thread_ends_when_nothing_is_attached);
    tcase_add_test(tcase, a_hang_is_seen_by_readers_while_the_thread_is_stuck);
    tcase_add_test(tcase, a_stuck_thread_is_used_again);
    tcase_add_test(tcase, attach_check_and_detach_may_race);
    return tcase;
}

Suite* suite_mount_source(void);
Suite* suite_mount_source(void)
{
    Suite* suite = suite_create("mount_source");

    suite_add_tcase(suite, look_tests());
    suite_add_tcase(suite, check_tests());
    suite_add_tcase(suite, thread_tests());
    return suite;
}
