#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "database.h"
#include "database_fixture.h"

/* Nothing in a test takes as long as the first, or as little as the second. */
enum { LONG_MS = 4000, SHORT_MS = 50 };

static struct database_fixture fixture;
static struct database* database;
static struct failure failure;
static int pauses;
static int pauses_allowed; /* then the program is to end */

static bool pause_fn(int ms)
{
    struct timespec time = {.tv_nsec = ms * 1000000L};

    nanosleep(&time, NULL);
    return ++pauses > pauses_allowed;
}

static void set_up(void)
{
    database_fixture_set_up(&fixture);
    database = NULL;
    pauses = 0;
    pauses_allowed = 1000000;
}

static void tear_down(void)
{
    database_close(database);
    database_fixture_tear_down(&fixture);
}

static int open_path(const char* path, bool query_only, int64_t time_ms)
{
    return database_open(path, query_only, pause_fn, clock_now_ms() + time_ms,
                         &database, &failure);
}

static void open_it(bool query_only)
{
    ck_assert_int_eq(open_path(fixture.path, query_only, LONG_MS), 0);
}

static int run(const char* sql)
{
    return database_run(database, sql, NULL, &failure);
}

static void write_file(const char* bytes, size_t size)
{
    FILE* file = fopen(fixture.path, "we");

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

/* -- open ------------------------------------------------------------------ */

START_TEST(a_database_opens_and_closes)
{
    database_fixture_make(&fixture, _i != 0);
    open_it(false);
    ck_assert(!database_is_query_only(database));
    ck_assert_int_eq(run("INSERT INTO items VALUES ('a')"), 0);
    ck_assert_str_eq(database_fixture_value(&fixture, "SELECT name FROM items"),
                     "a");
}
END_TEST

/* As long as another connection of the same process has a lock, SQLite keeps
 * a descriptor back: so there is none here. */
START_TEST(no_descriptor_stays_open)
{
    int descriptors = open_descriptors();

    database_fixture_make(&fixture, _i != 0);
    sqlite3_close(fixture.other);
    fixture.other = NULL;
    open_it(false);
    ck_assert_int_eq(run("INSERT INTO items VALUES ('a')"), 0);
    ck_assert_int_gt(open_descriptors(), descriptors);
    database_close(database);
    database = NULL;
    ck_assert_int_eq(open_descriptors(), descriptors);
}
END_TEST

START_TEST(query_only_writes_nothing)
{
    database_fixture_make(&fixture, _i != 0);
    open_it(true);
    ck_assert(database_is_query_only(database));
    ck_assert_int_eq(run("INSERT INTO items VALUES ('a')"), FAILURE_READ_ONLY);
    ck_assert_int_eq(failure.extended, SQLITE_READONLY);
    ck_assert_int_eq(run("CREATE TABLE t (a)"), FAILURE_READ_ONLY);
    ck_assert_int_eq(run("SELECT * FROM items"), 0);
}
END_TEST

START_TEST(a_missing_file_is_not_made)
{
    char path[PATH_MAX];

    ck_assert_int_eq(open_path(fixture.path, false, LONG_MS), FAILURE_MISSING);
    ck_assert_int_eq(failure.extended, 0);
    ck_assert_int_eq(access(fixture.path, F_OK), -1);
    database_fixture_path(&fixture, "no/such/db", path);
    ck_assert_int_eq(open_path(path, true, LONG_MS), FAILURE_MISSING);
}
END_TEST

START_TEST(no_regular_file)
{
    ck_assert_int_eq(open_path(fixture.directory, false, LONG_MS),
                     FAILURE_NOT_A_FILE);
    ck_assert_str_eq(failure.text, "it is a directory");
    ck_assert_int_eq(open_path("/dev/null", false, LONG_MS),
                     FAILURE_NOT_A_FILE);
    ck_assert_int_eq(mkfifo(fixture.path, 0600), 0);
    ck_assert_int_eq(open_path(fixture.path, false, LONG_MS),
                     FAILURE_NOT_A_FILE);
}
END_TEST

START_TEST(a_file_that_is_no_database)
{
    char noise[4096];
    int descriptors = open_descriptors();

    memset(noise, 'x', sizeof noise);
    write_file(noise, sizeof noise);
    ck_assert_int_eq(open_path(fixture.path, _i != 0, LONG_MS),
                     FAILURE_NOT_A_DATABASE);
    ck_assert_int_eq(failure.extended, SQLITE_NOTADB);
    write_file("short", 5);
    ck_assert_int_eq(open_path(fixture.path, _i != 0, LONG_MS),
                     FAILURE_NOT_A_DATABASE);
    ck_assert_int_eq(open_descriptors(), descriptors);
}
END_TEST

/* For SQLite that is a database without tables. */
START_TEST(an_empty_file)
{
    write_file("", 0);
    open_it(false);
    ck_assert_int_eq(run("CREATE TABLE t (a)"), 0);
}
END_TEST

START_TEST(a_link_leads_to_the_same_database)
{
    char path[PATH_MAX];

    database_fixture_make(&fixture, true);
    database_fixture_path(&fixture, "link", path);
    ck_assert_int_eq(symlink("db", path), 0);
    ck_assert_int_eq(open_path(path, false, LONG_MS), 0);
    ck_assert_int_eq(run("INSERT INTO items VALUES ('a')"), 0);
    ck_assert_str_eq(database_fixture_value(&fixture, "SELECT name FROM items"),
                     "a");
    database_fixture_path(&fixture, "link-wal", path);
    ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

START_TEST(a_link_that_leads_nowhere)
{
    ck_assert_int_eq(symlink("nowhere", fixture.path), 0);
    ck_assert_int_eq(open_path(fixture.path, false, LONG_MS), FAILURE_MISSING);
    ck_assert_int_eq(unlink(fixture.path), 0);
    ck_assert_int_eq(symlink("db", fixture.path), 0); /* to itself */
    ck_assert_int_eq(open_path(fixture.path, false, LONG_MS),
                     FAILURE_CANNOT_OPEN);
}
END_TEST

START_TEST(a_damaged_database)
{
    char noise[2048];

    database_fixture_make(&fixture, false);
    memset(noise, 0xff, sizeof noise);
    FILE* file = fopen(fixture.path, "r+e");
    ck_assert_int_eq(fseek(file, 100, SEEK_SET), 0);
    ck_assert_uint_eq(fwrite(noise, 1, sizeof noise, file), sizeof noise);
    fclose(file);
    open_it(false);
    ck_assert_int_eq(run("SELECT * FROM items"), FAILURE_CORRUPT);
}
END_TEST

/* -- limits ---------------------------------------------------------------- */

START_TEST(a_locked_database_is_busy_at_the_deadline)
{
    int64_t before;

    database_fixture_make(&fixture, false);
    open_it(false);
    database_fixture_sql(&fixture, "BEGIN EXCLUSIVE");
    before = clock_now_ms();
    database_set_deadline(database, before + SHORT_MS);
    ck_assert_int_eq(run("SELECT * FROM items"), FAILURE_BUSY);
    ck_assert_int_eq(failure.extended, SQLITE_BUSY);
    ck_assert_int_ge(clock_now_ms() - before, SHORT_MS);
    ck_assert_int_lt(clock_now_ms() - before, LONG_MS / 2);
    database_fixture_sql(&fixture, "COMMIT");
    ck_assert_int_eq(run("SELECT * FROM items"), 0);
}
END_TEST

START_TEST(a_locked_database_does_not_open)
{
    database_fixture_make(&fixture, false);
    database_fixture_sql(&fixture, "BEGIN EXCLUSIVE");
    ck_assert_int_eq(open_path(fixture.path, _i != 0, SHORT_MS), FAILURE_BUSY);
}
END_TEST

/* In WAL mode a writer does not keep readers out. */
START_TEST(a_writer_in_wal_mode)
{
    database_fixture_make(&fixture, true);
    open_it(false);
    database_fixture_sql(&fixture, "BEGIN IMMEDIATE");
    database_set_deadline(database, clock_now_ms() + SHORT_MS);
    ck_assert_int_eq(run("SELECT * FROM items"), 0);
    ck_assert_int_eq(run("INSERT INTO items VALUES ('a')"), FAILURE_BUSY);
}
END_TEST

START_TEST(the_order_to_end_ends_a_wait)
{
    int64_t before;

    database_fixture_make(&fixture, false);
    open_it(false);
    database_fixture_sql(&fixture, "BEGIN EXCLUSIVE");
    pauses = 0;
    pauses_allowed = 3;
    before = clock_now_ms();
    ck_assert_int_eq(run("SELECT * FROM items"), FAILURE_STOPPED);
    ck_assert_int_eq(pauses, 4);
    ck_assert_int_lt(clock_now_ms() - before, LONG_MS / 2);
}
END_TEST

static const char* const endless =
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "
    "SELECT x FROM c";

START_TEST(a_statement_ends_at_the_deadline)
{
    database_fixture_make(&fixture, false);
    open_it(false);
    database_set_deadline(database, clock_now_ms() + SHORT_MS);
    ck_assert_int_eq(run(endless), FAILURE_TIMEOUT);
    ck_assert_int_eq(failure.extended, SQLITE_INTERRUPT);
    database_set_deadline(database, clock_now_ms() + LONG_MS);
    ck_assert_int_eq(run("SELECT * FROM items"), 0);
}
END_TEST

START_TEST(the_order_to_end_ends_a_statement)
{
    database_fixture_make(&fixture, false);
    open_it(false);
    pauses = 0;
    pauses_allowed = 10;
    ck_assert_int_eq(run(endless), FAILURE_STOPPED);
    ck_assert_int_eq(pauses, 11);
}
END_TEST

/* -- what stays as it is --------------------------------------------------- */

static off_t size_of(const char* path)
{
    struct stat st;

    return stat(path, &st) == 0 ? st.st_size : -1;
}

START_TEST(it_never_checkpoints)
{
    char wal[PATH_MAX];
    off_t size;

    database_fixture_make(&fixture, true);
    database_fixture_path(&fixture, "db-wal", wal);
    database_fixture_sql(&fixture, "PRAGMA wal_autocheckpoint = 0");
    database_fixture_sql(
        &fixture,
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c "
        "LIMIT 1500) INSERT INTO items SELECT randomblob(4000) FROM c");
    size = size_of(wal);
    ck_assert_int_gt(size, 1000 * 4096);
    open_it(false);
    ck_assert_int_eq(run("INSERT INTO items VALUES ('a')"), 0);
    ck_assert_int_gt(size_of(wal), size); /* appended to: not reset */
    /* Not even as the last one to close, which SQLite does by default. */
    size = size_of(wal);
    sqlite3_db_config(fixture.other, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_close(fixture.other);
    fixture.other = NULL;
    database_close(database);
    database = NULL;
    ck_assert_int_eq(size_of(wal), size);
}
END_TEST

START_TEST(nothing_is_locked_between_statements)
{
    database_fixture_make(&fixture, _i != 0);
    open_it(false);
    ck_assert_int_eq(run("SELECT * FROM items"), 0);
    database_fixture_sql(&fixture, "BEGIN EXCLUSIVE; COMMIT");
    ck_assert_int_eq(run("INSERT INTO items VALUES ('a')"), 0);
    database_fixture_sql(&fixture, "BEGIN EXCLUSIVE; COMMIT");
    ck_assert_int_eq(run("no SQL"), FAILURE_SQLITE);
    database_fixture_sql(&fixture, "BEGIN EXCLUSIVE; COMMIT");
}
END_TEST

static void add_open(TCase* tcase)
{
    tcase_add_loop_test(tcase, a_database_opens_and_closes, 0, 2);
    tcase_add_loop_test(tcase, no_descriptor_stays_open, 0, 2);
    tcase_add_loop_test(tcase, query_only_writes_nothing, 0, 2);
    tcase_add_test(tcase, a_missing_file_is_not_made);
    tcase_add_test(tcase, no_regular_file);
    tcase_add_loop_test(tcase, a_file_that_is_no_database, 0, 2);
    tcase_add_test(tcase, an_empty_file);
    tcase_add_test(tcase, a_link_leads_to_the_same_database);
    tcase_add_test(tcase, a_link_that_leads_nowhere);
    tcase_add_test(tcase, a_damaged_database);
}

Suite* suite_database(void);

Suite* suite_database(void)
{
    Suite* suite = suite_create("database");
    TCase* tcase = tcase_create("database");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    add_open(tcase);
    tcase_add_test(tcase, a_locked_database_is_busy_at_the_deadline);
    tcase_add_loop_test(tcase, a_locked_database_does_not_open, 0, 2);
    tcase_add_test(tcase, a_writer_in_wal_mode);
    tcase_add_test(tcase, the_order_to_end_ends_a_wait);
    tcase_add_test(tcase, a_statement_ends_at_the_deadline);
    tcase_add_test(tcase, the_order_to_end_ends_a_statement);
    tcase_add_test(tcase, it_never_checkpoints);
    tcase_add_loop_test(tcase, nothing_is_locked_between_statements, 0, 2);
    suite_add_tcase(suite, tcase);
    return suite;
}
