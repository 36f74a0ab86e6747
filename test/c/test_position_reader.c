/* `<db>-pos`, in a plain directory with faults, and as LiteFS serves it. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "clock.h"
#include "fuse_stub.h"
#include "mount_fixture.h"
#include "mount_schedule.h"
#include "position_reader.h"

#define SEVEN "0000000000000007/00000000000000aa\n"
#define EIGHT "0000000000000008/00000000000000bb\n"

static struct mount_fixture directory;
static struct position_reader reader;
static struct position position;
static struct fuse_stub stub;

static void set_up(void)
{
    fixture_set_up(&directory);
    fault_install();
    memset(&reader, 0, sizeof reader);
    memset(&position, 0, sizeof position);
}

static void tear_down(void)
{
    position_reader_close(&reader, 0);
    fixture_tear_down(&directory);
}

static int read_position(const char* db)
{
    return position_reader_read(&reader, directory.directory, db, &position);
}

static void write_position(const char* db, const char* text, size_t size)
{
    char path[PATH_MAX + 64];

    snprintf(path, sizeof path, "%s/%s-pos", directory.directory, db);
    fixture_write(path, text, size);
}

/* How many are open, by what the owner is told of them. */
static bool is_open(void)
{
    return position_reader_due(&reader, 0) != SCHEDULE_NEVER;
}

static void wait_until(int64_t time_ms)
{
    while (clock_now_ms() < time_ms) {
        usleep(1000);
    }
}

/* ------------------------------------------------- in a plain directory */

START_TEST(a_position_is_read_from_its_file)
{
    write_position("app.db", SEVEN, POSITION_SIZE);
    ck_assert_int_eq(read_position("app.db"), 0);
    ck_assert_uint_eq(position.txid, 7);
    ck_assert_uint_eq(position.checksum, 0xaa);
    write_position("app.db", EIGHT, POSITION_SIZE);
    ck_assert_int_eq(read_position("app.db"), 0);
    ck_assert_uint_eq(position.txid, 8);
    ck_assert_uint_eq(fault_count(CALL_POSITION_OPEN), 1);
}
END_TEST

static const char* const BAD_NAMES[] = {"", "../x", "/etc/x"};

START_TEST(a_position_stays_inside_the_directory)
{
    ck_assert_int_eq(read_position(BAD_NAMES[_i]), -EINVAL);
    ck_assert_uint_eq(fault_count(CALL_POSITION_OPEN), 0);
}
END_TEST

START_TEST(a_name_that_is_too_long_is_none)
{
    char db[DB_NAME_MAX + 2] = {0};

    memset(db, 'x', DB_NAME_MAX + 1);
    ck_assert_int_eq(read_position(db), -EINVAL);
    db[DB_NAME_MAX] = '\0';
    write_position(db, SEVEN, POSITION_SIZE);
    ck_assert_int_eq(read_position(db), 0);
}
END_TEST

START_TEST(a_content_that_is_none_is_not_kept_open)
{
    write_position("app.db", SEVEN, POSITION_SIZE - 1);
    ck_assert_int_eq(read_position("app.db"), -EBADMSG);
    ck_assert(!is_open());
    write_position("app.db", SEVEN, POSITION_SIZE);
    ck_assert_int_eq(read_position("app.db"), 0);
    ck_assert(is_open());
}
END_TEST

START_TEST(a_missing_file_is_not_looked_up_again_and_again)
{
    int64_t started = clock_now_ms();

    while (clock_now_ms() < started + 3 * POSITION_MISSING_MS) {
        ck_assert_int_eq(read_position("app.db"), -ENOENT);
    }
    ck_assert_uint_le(fault_count(CALL_POSITION_OPEN), 4);
    ck_assert(!is_open());
    write_position("app.db", SEVEN, POSITION_SIZE);
    wait_until(clock_now_ms() + POSITION_MISSING_MS);
    ck_assert_int_eq(read_position("app.db"), 0);
}
END_TEST

START_TEST(a_kept_descriptor_that_fails_is_opened_anew)
{
    write_position("app.db", SEVEN, POSITION_SIZE);
    ck_assert_int_eq(read_position("app.db"), 0);
    /* A later file in its place, as after a restore; the old one is empty. */
    write_position("app.db", "", 0);
    ck_assert_int_eq(read_position("app.db"), -EBADMSG);
    ck_assert_uint_eq(fault_count(CALL_POSITION_OPEN), 2);
    ck_assert(!is_open());
}
END_TEST

static const int DEATHS[] = {ENOTCONN, ECONNABORTED};

START_TEST(death_closes_all)
{
    write_position("a", SEVEN, POSITION_SIZE);
    write_position("b", SEVEN, POSITION_SIZE);
    ck_assert_int_eq(read_position("a"), 0);
    ck_assert_int_eq(read_position("b"), 0);
    fault_inject(CALL_POSITION_READ, DEATHS[_i]);
    ck_assert_int_eq(read_position("a"), -DEATHS[_i]);
    ck_assert(!is_open());
    ck_assert_uint_eq(fault_count(CALL_POSITION_CLOSE), 2);
    ck_assert_uint_eq(fault_count(CALL_POSITION_OPEN), 2);
}
END_TEST

START_TEST(another_error_closes_only_its_own)
{
    write_position("a", SEVEN, POSITION_SIZE);
    ck_assert_int_eq(read_position("a"), 0);
    fault_inject(CALL_POSITION_OPEN, EACCES);
    ck_assert_int_eq(read_position("b"), -EACCES);
    ck_assert(is_open());
    fault_inject(CALL_POSITION_READ, EIO);
    ck_assert_int_eq(read_position("a"), -EACCES);
    ck_assert(!is_open());
}
END_TEST

START_TEST(what_nobody_asks_for_is_closed)
{
    int64_t last;

    write_position("a", SEVEN, POSITION_SIZE);
    write_position("b", SEVEN, POSITION_SIZE);
    read_position("a");
    wait_until(clock_now_ms() + 2);
    last = clock_now_ms();
    read_position("b");
    ck_assert_int_lt(position_reader_due(&reader, POSITION_KEEP_MS),
                     last + POSITION_KEEP_MS);
    position_reader_close(&reader, POSITION_KEEP_MS);
    ck_assert_uint_eq(fault_count(CALL_POSITION_CLOSE), 0);
    wait_until(position_reader_due(&reader, POSITION_KEEP_MS));
    position_reader_close(&reader, POSITION_KEEP_MS);
    ck_assert_uint_ge(fault_count(CALL_POSITION_CLOSE), 1);
    wait_until(last + 2 + POSITION_KEEP_MS);
    position_reader_close(&reader, POSITION_KEEP_MS);
    ck_assert_uint_eq(fault_count(CALL_POSITION_CLOSE), 2);
    ck_assert_int_eq(position_reader_due(&reader, POSITION_KEEP_MS),
                     SCHEDULE_NEVER);
}
END_TEST

/* None is open twice, and none too many. */
START_TEST(of_too_many_databases_the_oldest_is_closed)
{
    char db[16];

    for (int i = 0; i < POSITIONS_MAX + 3; i++) {
        snprintf(db, sizeof db, "%d", i);
        write_position(db, SEVEN, POSITION_SIZE);
        ck_assert_int_eq(read_position(db), 0);
        ck_assert_int_eq(read_position(db), 0);
        wait_until(clock_now_ms() + 1);
    }
    ck_assert_uint_eq(fault_count(CALL_POSITION_OPEN), POSITIONS_MAX + 3);
    ck_assert_uint_eq(fault_count(CALL_POSITION_CLOSE), 3);
    read_position("3");
    ck_assert_uint_eq(fault_count(CALL_POSITION_OPEN), POSITIONS_MAX + 3);
    position_reader_close(&reader, 0);
    ck_assert_uint_eq(fault_count(CALL_POSITION_CLOSE), POSITIONS_MAX + 3);
}
END_TEST

/* ------------------------------------------------------ as LiteFS does */

static void mount_set_up(void)
{
    set_up();
    ck_assert_msg(fixture_unshare(), "no mount namespace: %s", strerror(errno));
    fuse_stub_start(&stub, directory.directory, "litefs");
    fuse_stub_set_position(&stub, "app.db", SEVEN);
}

static void mount_tear_down(void)
{
    position_reader_close(&reader, 0);
    fuse_stub_die(&stub);
    tear_down();
}

START_TEST(a_kept_descriptor_follows_the_position)
{
    ck_assert_int_eq(read_position("app.db"), 0);
    ck_assert_uint_eq(position.txid, 7);
    fuse_stub_set_position(&stub, "app.db", EIGHT);
    ck_assert_int_eq(read_position("app.db"), 0);
    ck_assert_uint_eq(position.txid, 8);
    ck_assert_uint_eq(position.checksum, 0xbb);
    ck_assert_int_eq(fuse_stub_open_files(&stub), 1);
}
END_TEST

/* The point of asking for more than there is. */
START_TEST(litefs_is_asked_each_time_and_once)
{
    unsigned before;

    ck_assert_int_eq(read_position("app.db"), 0);
    before = fuse_stub_requests(&stub);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(read_position("app.db"), 0);
    }
    ck_assert_uint_eq(fuse_stub_requests(&stub), before + 10);
}
END_TEST

/* And one when it is closed, which the stub spares us. */
START_TEST(a_fresh_descriptor_takes_two_round_trips)
{
    unsigned before;

    ck_assert_int_eq(read_position("app.db"), 0);
    position_reader_close(&reader, 0);
    while (fuse_stub_open_files(&stub) > 0) {
        usleep(1000); /* the release is not waited for */
    }
    before = fuse_stub_requests(&stub);
    ck_assert_int_eq(read_position("app.db"), 0);
    ck_assert_uint_eq(fuse_stub_requests(&stub), before + 2);
}
END_TEST

START_TEST(a_dead_litefs_is_noticed_by_a_kept_descriptor)
{
    ck_assert_int_eq(read_position("app.db"), 0);
    ck_assert_int_ne(umount(directory.directory), 0);
    fuse_stub_die(&stub);
    ck_assert_int_eq(read_position("app.db"), -ENOTCONN);
    ck_assert(!is_open());
    /* Nothing of ours keeps the next one from taking its place. */
    ck_assert_int_eq(umount(directory.directory), 0);
    fuse_stub_start(&stub, directory.directory, "litefs");
}
END_TEST

START_TEST(a_position_file_that_went_is_not_remembered)
{
    ck_assert_int_eq(read_position("app.db"), 0);
    fuse_stub_set_position(&stub, "app.db", NULL);
    ck_assert_int_ne(read_position("app.db"), 0);
    ck_assert(!is_open());
}
END_TEST

static TCase* plain_tests(void)
{
    TCase* tcase = tcase_create("plain");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_position_is_read_from_its_file);
    tcase_add_loop_test(tcase, a_position_stays_inside_the_directory, 0,
                        (int)(sizeof BAD_NAMES / sizeof *BAD_NAMES));
    tcase_add_test(tcase, a_name_that_is_too_long_is_none);
    tcase_add_test(tcase, a_content_that_is_none_is_not_kept_open);
    tcase_add_test(tcase, a_missing_file_is_not_looked_up_again_and_again);
    tcase_add_test(tcase, a_kept_descriptor_that_fails_is_opened_anew);
    tcase_add_loop_test(tcase, death_closes_all, 0, 2);
    tcase_add_test(tcase, another_error_closes_only_its_own);
    tcase_add_test(tcase, what_nobody_asks_for_is_closed);
    tcase_add_test(tcase, of_too_many_databases_the_oldest_is_closed);
    return tcase;
}

static TCase* mount_tests(void)
{
    TCase* tcase = tcase_create("mount");

    tcase_add_checked_fixture(tcase, mount_set_up, mount_tear_down);
    tcase_add_test(tcase, a_kept_descriptor_follows_the_position);
    tcase_add_test(tcase, litefs_is_asked_each_time_and_once);
    tcase_add_test(tcase, a_fresh_descriptor_takes_two_round_trips);
    tcase_add_test(tcase, a_dead_litefs_is_noticed_by_a_kept_descriptor);
    tcase_add_test(tcase, a_position_file_that_went_is_not_remembered);
    return tcase;
}

Suite* suite_position_reader(void);
Suite* suite_position_reader(void)
{
    Suite* suite = suite_create("position_reader");

    suite_add_tcase(suite, plain_tests());
    if (fuse_stub_possible()) {
        suite_add_tcase(suite, mount_tests());
    }
    return suite;
}
