#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cell_fixture.h"
#include "clock.h"
#include "detector.h"
#include "mount_fixture.h"
#include "mount_thread.h"

enum { LIMIT_MS = 3000 };

static struct mount_fixture directory;
static struct cell_fixture owner;
static struct detector* detector;
static struct check_answers answers;

static int64_t poll_interval_ms;

static int try_open(const char* primary_file, const char* events_url,
                    enum mount_mode mode)
{
    struct status_cell_hooks hooks = cell_fixture_hooks(&owner);
    struct detector_config config = {
        .primary_file = primary_file,
        .events_url = events_url,
        .poll_interval_ms = poll_interval_ms,
        .mode = mode,
    };

    return detector_open(&config, &hooks, &detector);
}

static void open_mode(enum mount_mode mode, const char* events_url)
{
    ck_assert_int_eq(try_open(directory.primary, events_url, mode), 0);
    owner.cell = detector_cell(detector);
}

static void set_up(void)
{
    poll_interval_ms = 5000;
    fixture_set_up(&directory);
    fault_install();
    cell_fixture_init(&owner);
    check_answers_init(&answers);
}

static void tear_down(void)
{
    fixture_tear_down(&directory);
}

static void close_detector(void)
{
    detector_close(detector);
    ck_assert(cell_wait_freed(&owner, LIMIT_MS));
}

START_TEST(without_litefs_it_is_not_litefs)
{
    open_mode(MODE_AUTO, NULL);
    ck_assert_int_ge(cell_wait(&owner, settled_is, true, LIMIT_MS), 0);
    ck_assert_int_eq(owner.status.role, ROLE_NOT_LITEFS);
    ck_assert_int_eq(owner.status.stream, STREAM_OFF);
    fixture_name_primary(&directory, "node-a");
    ck_assert_int_ge(cell_wait(&owner, role_is, ROLE_REPLICA, LIMIT_MS), 0);
    ck_assert_str_eq(owner.status.hostname, "node-a");
    close_detector();
}
END_TEST

/* Added to the time of day, and put into a word with the role. */
START_TEST(an_endless_poll_interval_does_not_overflow)
{
    poll_interval_ms = INT64_MAX;
    open_mode(MODE_AUTO, NULL);
    ck_assert_int_ge(cell_wait(&owner, role_is, ROLE_NOT_LITEFS, LIMIT_MS), 0);
    ck_assert_int_gt(status_cell_deadline(owner.cell),
                     clock_now_ms() + 3600 * 1000);
    close_detector();
}
END_TEST

START_TEST(a_refused_stream_is_no_litefs_either)
{
    /* Nothing listens on port 1. */
    open_mode(MODE_AUTO, "http://127.0.0.1:1/events");
    ck_assert_int_ge(cell_wait(&owner, role_is, ROLE_NOT_LITEFS, LIMIT_MS), 0);
    ck_assert_int_eq(owner.status.stream, STREAM_DOWN);
    close_detector();
}
END_TEST

START_TEST(where_a_mount_is_required_a_directory_is_unknown)
{
    open_mode(MODE_REQUIRED, NULL);
    ck_assert_int_ge(cell_wait(&owner, settled_is, true, LIMIT_MS), 0);
    ck_assert_int_eq(owner.status.role, ROLE_UNKNOWN);
    ck_assert_int_eq(detector_set_manual(detector, MANUAL_PRIMARY), -EPERM);
    close_detector();
}
END_TEST

START_TEST(a_role_can_be_set_by_hand)
{
    open_mode(MODE_AUTO, NULL);
    ck_assert_int_eq(detector_set_manual(detector, MANUAL_REPLICA), 0);
    ck_assert_int_ge(cell_wait(&owner, role_is, ROLE_REPLICA, LIMIT_MS), 0);
    ck_assert_int_eq(owner.status.source, SOURCE_MANUAL);
    ck_assert_int_eq(detector_set_manual(detector, MANUAL_PRIMARY), 0);
    ck_assert_int_ge(cell_wait(&owner, role_is, ROLE_PRIMARY, LIMIT_MS), 0);
    ck_assert_int_eq(detector_set_manual(detector, MANUAL_NONE), 0);
    ck_assert_int_ge(cell_wait(&owner, role_is, ROLE_NOT_LITEFS, LIMIT_MS), 0);
    close_detector();
}
END_TEST

START_TEST(no_role_can_be_set_where_litefs_was_seen)
{
    struct status_cell_hooks hooks = cell_fixture_hooks(&owner);
    struct detector_config config = {
        .primary_file = directory.primary,
        .poll_interval_ms = 5000,
        .litefs_seen = true,
    };

    ck_assert_int_eq(detector_open(&config, &hooks, &detector), 0);
    ck_assert_int_eq(detector_set_manual(detector, MANUAL_PRIMARY), -EPERM);
    close_detector();
}
END_TEST

START_TEST(a_check_is_answered)
{
    open_mode(MODE_AUTO, NULL);
    ck_assert_int_eq(detector_check(detector, NULL, check_done, &answers), 0);
    ck_assert(check_wait(&answers, 1, LIMIT_MS));
    ck_assert_uint_eq(answers.of_role[ROLE_NOT_LITEFS], 1);
    close_detector();
}
END_TEST

START_TEST(a_hint_reaches_the_mount)
{
    open_mode(MODE_AUTO, NULL);
    ck_assert_int_ge(cell_wait(&owner, settled_is, true, LIMIT_MS), 0);
    fault_inject(CALL_ROOT_STATX, EACCES);
    detector_hint(detector);
    /* Long before the next poll. */
    ck_assert_int_ge(cell_wait(&owner, mount_is, MOUNT_UNREADABLE, 900), 0);
    close_detector();
}
END_TEST

START_TEST(closing_does_not_wait_for_the_mount)
{
    open_mode(MODE_AUTO, "http://127.0.0.1:1/events");
    ck_assert_int_ge(cell_wait(&owner, settled_is, true, LIMIT_MS), 0);
    fault_block(CALL_ROOT_STATX);
    detector_hint(detector);
    ck_assert(fault_wait_blocked(LIMIT_MS));
    ck_assert_int_eq(detector_check(detector, NULL, check_done, &answers), 0);
    status_cell_ref(owner.cell);
    detector_close(detector);
    ck_assert_uint_eq(answers.of_role[ROLE_UNKNOWN], 1);
    ck_assert_int_eq(status_cell_role(owner.cell), ROLE_UNKNOWN);
    status_cell_unref(owner.cell);
    fault_release();
    ck_assert(cell_wait_freed(&owner, LIMIT_MS));
}
END_TEST

static const struct {
    const char* file;
    const char* url;
} WRONG[] = {
    {NULL, NULL},
    {"", NULL},
    {"litefs/.primary", NULL},
    {"/litefs/", NULL},
    {"/litefs/.", NULL},
    {"/litefs/..", NULL},
    {"/litefs/.primary", "no scheme://"},
};

START_TEST(what_makes_no_sense_is_refused_and_leaves_nothing)
{
    ck_assert_int_eq(try_open(WRONG[_i].file, WRONG[_i].url, MODE_AUTO),
                     -EINVAL);
    ck_assert_uint_eq(mount_registry_count(), 0);
    /* The context is still the caller's. */
    ck_assert(!owner.freed);
}
END_TEST

START_TEST(a_path_that_is_too_long_is_refused)
{
    char path[PATH_MAX + 32];

    memset(path, 'x', sizeof path);
    path[0] = '/';
    strcpy(path + PATH_MAX, "/.primary");
    ck_assert_int_eq(try_open(path, "http://127.0.0.1:1/events", MODE_AUTO),
                     -EINVAL);
    ck_assert(!owner.freed);
}
END_TEST

START_TEST(spellings_of_one_directory_share_a_thread)
{
    char path[PATH_MAX + 16];
    struct cell_fixture second_owner;
    struct status_cell_hooks hooks = cell_fixture_hooks(&second_owner);
    struct detector_config config = {.primary_file = path};
    struct detector* second;

    open_mode(MODE_AUTO, NULL);
    cell_fixture_init(&second_owner);
    snprintf(path, sizeof path, "%s//.primary", directory.directory);
    ck_assert_int_eq(detector_open(&config, &hooks, &second), 0);
    ck_assert_uint_eq(mount_registry_count(), 1);
    detector_close(second);
    ck_assert(cell_wait_freed(&second_owner, LIMIT_MS));
    close_detector();
}
END_TEST

START_TEST(the_root_directory_is_a_directory)
{
    ck_assert_int_eq(try_open("/.no-such-primary", NULL, MODE_AUTO), 0);
    owner.cell = detector_cell(detector);
    ck_assert_int_ge(cell_wait(&owner, role_is, ROLE_NOT_LITEFS, LIMIT_MS), 0);
    ck_assert_int_eq(owner.status.mount, MOUNT_PLAIN);
    close_detector();
}
END_TEST

Suite* suite_detector(void);
Suite* suite_detector(void)
{
    Suite* suite = suite_create("detector");
    TCase* tcase = tcase_create("detector");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, without_litefs_it_is_not_litefs);
    tcase_add_test(tcase, an_endless_poll_interval_does_not_overflow);
    tcase_add_test(tcase, a_refused_stream_is_no_litefs_either);
    tcase_add_test(tcase, where_a_mount_is_required_a_directory_is_unknown);
    tcase_add_test(tcase, a_role_can_be_set_by_hand);
    tcase_add_test(tcase, no_role_can_be_set_where_litefs_was_seen);
    tcase_add_test(tcase, a_check_is_answered);
    tcase_add_test(tcase, a_hint_reaches_the_mount);
    tcase_add_test(tcase, closing_does_not_wait_for_the_mount);
    tcase_add_loop_test(tcase,
                        what_makes_no_sense_is_refused_and_leaves_nothing, 0,
                        (int)(sizeof WRONG / sizeof *WRONG));
    tcase_add_test(tcase, a_path_that_is_too_long_is_refused);
    tcase_add_test(tcase, spellings_of_one_directory_share_a_thread);
    tcase_add_test(tcase, the_root_directory_is_a_directory);
    suite_add_tcase(suite, tcase);
    return suite;
}
