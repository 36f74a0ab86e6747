#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "clock.h"
#include "mount_fixture.h"
#include "watch.h"

enum { LIMIT_MS = 1000 };

static struct mount_fixture fixture;
static struct watch watch;

static void set_up(void)
{
    fixture_set_up(&fixture);
    ck_assert_int_eq(watch_open(&watch, ".primary"), 0);
    ck_assert_int_ge(watch.inotify_fd, 0);
    ck_assert_int_ge(watch.mountinfo_fd, 0);
    watch_arm(&watch, fixture.directory, MOUNT_PLAIN);
    ck_assert(watch_armed(&watch));
}

static void tear_down(void)
{
    watch_close(&watch);
    fixture_tear_down(&fixture);
}

/* Wait for these bits, whatever else comes; false after a second. */
static bool wait_for(unsigned bits)
{
    int64_t end = clock_now_ms() + LIMIT_MS;
    unsigned seen = 0;
    int64_t left;

    while ((seen & bits) != bits && (left = end - clock_now_ms()) > 0) {
        seen |= watch_wait(&watch, left);
    }
    return (seen & bits) == bits;
}

/* Nothing is queued: an event is queued before the call that made it is over,
 * so this needs no waiting. Others may mount something at any time. */
static bool is_quiet(void)
{
    return (watch_wait(&watch, 0) & ~(unsigned)WATCH_MOUNTS) == 0;
}

static void in_directory(char path[PATH_MAX], const char* name)
{
    ck_assert_int_lt(
        snprintf(path, PATH_MAX, "%.1024s/%s", fixture.directory, name),
        PATH_MAX);
}

START_TEST(nothing_happens_within_the_timeout)
{
    int64_t before = clock_now_ms();
    unsigned events;

    while ((events = watch_wait(&watch, 20)) == WATCH_MOUNTS) {
        before = clock_now_ms();
    }
    ck_assert_uint_eq(events, 0);
    ck_assert_int_ge(clock_now_ms() - before, 19);
}
END_TEST

static void* wake_main(void* arg)
{
    watch_wake(arg);
    return NULL;
}

START_TEST(another_thread_wakes_it)
{
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, wake_main, &watch), 0);
    ck_assert(wait_for(WATCH_WOKEN));
    pthread_join(thread, NULL);
    ck_assert(is_quiet());
}
END_TEST

START_TEST(a_wake_before_the_wait_is_not_lost)
{
    watch_wake(&watch);
    watch_wake(&watch);
    ck_assert(wait_for(WATCH_WOKEN));
    ck_assert(is_quiet());
}
END_TEST

START_TEST(the_file_is_seen_to_come_change_and_go)
{
    fixture_name_primary(&fixture, "node-a");
    ck_assert(wait_for(WATCH_FILE));
    ck_assert(is_quiet());
    fixture_name_primary(&fixture, "node-b");
    ck_assert(wait_for(WATCH_FILE));
    ck_assert(is_quiet());
    ck_assert_int_eq(unlink(fixture.primary), 0);
    ck_assert(wait_for(WATCH_FILE));
    ck_assert(is_quiet());
}
END_TEST

START_TEST(the_file_is_seen_to_be_renamed)
{
    char other[PATH_MAX];

    in_directory(other, "other");
    fixture_write(other, "node-a\n", 7);
    ck_assert(is_quiet());
    ck_assert_int_eq(rename(other, fixture.primary), 0);
    ck_assert(wait_for(WATCH_FILE));
    ck_assert_int_eq(rename(fixture.primary, other), 0);
    ck_assert(wait_for(WATCH_FILE));
}
END_TEST

START_TEST(other_files_do_not_matter)
{
    char other[PATH_MAX];

    in_directory(other, "app.db-journal");
    for (int i = 0; i < 1000; i++) {
        fixture_write(other, "x", 1);
        ck_assert_int_eq(unlink(other), 0);
    }
    ck_assert(is_quiet());
    fixture_name_primary(&fixture, "node-a");
    ck_assert(wait_for(WATCH_FILE));
}
END_TEST

/* The kernel drops what does not fit: then the file has to be looked at. */
START_TEST(an_overflow_counts_as_a_change)
{
    char names[2][PATH_MAX];
    FILE* file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
    int limit;

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%d", &limit), 1);
    fclose(file);
    in_directory(names[0], "one");
    in_directory(names[1], "two");
    fixture_write(names[0], "x", 1);
    /* Each rename is two events, and no two neighbours are equal. */
    for (int i = 0; i <= limit / 2; i++) {
        ck_assert_int_eq(rename(names[i % 2], names[(i + 1) % 2]), 0);
    }
    ck_assert(wait_for(WATCH_FILE));
}
END_TEST

START_TEST(a_directory_that_is_deleted_disarms_it)
{
    ck_assert_int_eq(rmdir(fixture.directory), 0);
    ck_assert(wait_for(WATCH_FILE));
    ck_assert(!watch_armed(&watch));

    watch_arm(&watch, fixture.directory, MOUNT_PLAIN);
    ck_assert(!watch_armed(&watch));
    ck_assert(is_quiet());

    ck_assert_int_eq(mkdir(fixture.directory, 0755), 0);
    watch_arm(&watch, fixture.directory, MOUNT_PLAIN);
    ck_assert(watch_armed(&watch));
    fixture_name_primary(&fixture, "node-a");
    ck_assert(wait_for(WATCH_FILE));
}
END_TEST

START_TEST(a_directory_that_is_moved_away_is_noticed)
{
    char moved[PATH_MAX];

    snprintf(moved, sizeof moved, "%s/moved", fixture.root);
    ck_assert_int_eq(rename(fixture.directory, moved), 0);
    ck_assert(wait_for(WATCH_FILE));
}
END_TEST

START_TEST(a_replaced_watch_is_silent)
{
    char other[PATH_MAX];

    fixture_name_primary(&fixture, "node-a");
    snprintf(other, sizeof other, "%s/other", fixture.root);
    ck_assert_int_eq(mkdir(other, 0755), 0);
    watch_arm(&watch, other, MOUNT_PLAIN);
    ck_assert(is_quiet() && is_quiet());
    ck_assert_int_eq(unlink(fixture.primary), 0);
    ck_assert(is_quiet());
    ck_assert(watch_armed(&watch));
}
END_TEST

START_TEST(other_kinds_are_not_watched)
{
    watch_arm(&watch, fixture.directory, MOUNT_DEAD);
    ck_assert(!watch_armed(&watch));
    fixture_name_primary(&fixture, "node-a");
    ck_assert(is_quiet());
}
END_TEST

/* Everything that SQLite does in a mount would wake a thread that has nothing
 * to learn from it. */
START_TEST(files_of_a_litefs_mount_are_not_watched)
{
    watch_arm(&watch, fixture.directory, MOUNT_LITEFS);
    ck_assert(watch_armed(&watch));
    fixture_name_primary(&fixture, "node-a");
    ck_assert(is_quiet());
}
END_TEST

START_TEST(mount_and_unmount_are_noticed)
{
    ck_assert_msg(fixture_unshare(), "no mount namespace: %s", strerror(errno));
    /* Opened again, because it belongs to the namespace that it was opened
     * in. */
    watch_close(&watch);
    ck_assert_int_eq(watch_open(&watch, ".primary"), 0);
    ck_assert_uint_eq(watch_wait(&watch, 0), 0);
    ck_assert_int_eq(mount("a", fixture.directory, "tmpfs", 0, NULL), 0);
    ck_assert(wait_for(WATCH_MOUNTS));
    ck_assert_uint_eq(watch_wait(&watch, 0), 0);

    watch_arm(&watch, fixture.directory, MOUNT_LITEFS);
    ck_assert(watch_armed(&watch));
    ck_assert_int_eq(umount(fixture.directory), 0);
    ck_assert(wait_for(WATCH_MOUNTS | WATCH_UNMOUNTED));
    ck_assert(!watch_armed(&watch));
}
END_TEST

START_TEST(a_long_name_is_refused)
{
    char name[NAME_MAX + 2] = {0};
    struct watch other;

    memset(name, 'x', NAME_MAX + 1);
    ck_assert_int_eq(watch_open(&other, name), -ENAMETOOLONG);
}
END_TEST

static void add_directory_tests(TCase* tcase)
{
    tcase_add_test(tcase, the_file_is_seen_to_come_change_and_go);
    tcase_add_test(tcase, the_file_is_seen_to_be_renamed);
    tcase_add_test(tcase, other_files_do_not_matter);
    tcase_add_test(tcase, an_overflow_counts_as_a_change);
    tcase_add_test(tcase, a_directory_that_is_deleted_disarms_it);
    tcase_add_test(tcase, a_directory_that_is_moved_away_is_noticed);
    tcase_add_test(tcase, a_replaced_watch_is_silent);
    tcase_add_test(tcase, other_kinds_are_not_watched);
    tcase_add_test(tcase, files_of_a_litefs_mount_are_not_watched);
}

Suite* suite_watch(void);
Suite* suite_watch(void)
{
    Suite* suite = suite_create("watch");
    TCase* tcase = tcase_create("watch");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, nothing_happens_within_the_timeout);
    tcase_add_test(tcase, another_thread_wakes_it);
    tcase_add_test(tcase, a_wake_before_the_wait_is_not_lost);
    add_directory_tests(tcase);
    tcase_add_test(tcase, mount_and_unmount_are_noticed);
    tcase_add_test(tcase, a_long_name_is_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}
