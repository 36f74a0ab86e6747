#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "database_fixture.h"
#include "request_terms.h"
#include "tracking.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

#define TABLE "_ecto_litefs_primary"

/* What 1.0 runs. */
#define CREATE_1_0                              \
    "CREATE TABLE IF NOT EXISTS " TABLE         \
    " (id INTEGER PRIMARY KEY CHECK (id = 1), " \
    "node_name TEXT NOT NULL, updated_at INTEGER NOT NULL)"
#define WRITE_1_0                   \
    "INSERT OR REPLACE INTO " TABLE \
    " (id, node_name, updated_at) VALUES (1, 'old@host', 1600000000)"
#define READ_1_0 "SELECT node_name FROM " TABLE " WHERE id = 1"

static struct database_fixture fixture;
static struct database* database;
static struct failure failure;
static struct row row;
static bool found;

static bool never(int ms)
{
    (void)ms;
    return false;
}

static void open_it(bool query_only)
{
    database_close(database);
    ck_assert_int_eq(database_open(fixture.path, query_only, never,
                                   clock_now_ms() + 4000, &database, &failure),
                     0);
}

static void set_up(void)
{
    database_fixture_set_up(&fixture);
    database_fixture_make(&fixture, true);
    database = NULL;
    open_it(false);
}

static void tear_down(void)
{
    database_close(database);
    database_fixture_tear_down(&fixture);
}

static int write_row(const struct row* written)
{
    return tracking_write(database, TABLE, written, &failure);
}

static int read_row(void)
{
    return tracking_read(database, TABLE, &row, &found, &failure);
}

static void check_row(const struct row* wanted)
{
    ck_assert_int_eq(read_row(), 0);
    ck_assert(found);
    ck_assert_str_eq(row.node, wanted->node);
    ck_assert_int_eq(row.updated_at, wanted->updated_at);
    ck_assert_str_eq(row.hostname, wanted->hostname);
    ck_assert_str_eq(row.term, wanted->term);
    ck_assert_int_eq(row.started_at, wanted->started_at);
    ck_assert_str_eq(row.version, wanted->version);
}

static void check_value(const char* sql, const char* wanted)
{
    ck_assert_str_eq(database_fixture_value(&fixture, sql), wanted);
}

/* -- our own --------------------------------------------------------------- */

START_TEST(what_is_written_is_read)
{
    struct row second = full_row;

    ck_assert_int_eq(write_row(&full_row), 0);
    check_row(&full_row);
    strcpy(second.node, "other@host");
    strcpy(second.term, "ffffffffffffffff");
    ck_assert_int_eq(write_row(&second), 0);
    check_row(&second);
    check_value("SELECT count(*) FROM " TABLE, "1");
}
END_TEST

START_TEST(what_is_not_known_is_null)
{
    struct row short_row = {.node = "a@b", .updated_at = 5};

    ck_assert_int_eq(write_row(&full_row), 0);
    ck_assert_int_eq(write_row(&short_row), 0);
    check_row(&short_row);
    check_value("SELECT count(*) FROM " TABLE
                " WHERE hostname IS NULL AND term IS NULL AND "
                "started_at IS NULL AND version IS NULL",
                "1");
}
END_TEST

START_TEST(no_table_and_no_row)
{
    ck_assert_int_eq(read_row(), 0);
    ck_assert(!found);
    ck_assert_int_eq(write_row(&full_row), 0);
    database_fixture_sql(&fixture, "DELETE FROM " TABLE);
    ck_assert_int_eq(read_row(), 0);
    ck_assert(!found);
}
END_TEST

/* What another connection changes is seen, although the schema is cached. */
START_TEST(the_table_comes_changes_and_goes)
{
    ck_assert_int_eq(read_row(), 0);
    ck_assert(!found);
    database_fixture_sql(&fixture, CREATE_1_0);
    database_fixture_sql(&fixture, WRITE_1_0);
    ck_assert_int_eq(read_row(), 0);
    ck_assert_str_eq(row.node, "old@host");
    database_fixture_sql(&fixture,
                         "ALTER TABLE " TABLE " ADD COLUMN term TEXT");
    database_fixture_sql(&fixture, "UPDATE " TABLE " SET term = '0'");
    ck_assert_int_eq(read_row(), 0);
    ck_assert_str_eq(row.term, "0");
    ck_assert_int_eq(write_row(&full_row), 0);
    check_row(&full_row);
    database_fixture_sql(&fixture, "DROP TABLE " TABLE);
    ck_assert_int_eq(read_row(), 0);
    ck_assert(!found);
    ck_assert_int_eq(write_row(&full_row), 0);
    check_row(&full_row);
}
END_TEST

START_TEST(any_identifier_is_a_table)
{
    static const char* const names[] = {"order", "Primary", "_1", "select"};

    ck_assert_int_eq(tracking_write(database, names[_i], &full_row, &failure),
                     0);
    ck_assert_int_eq(tracking_read(database, names[_i], &row, &found, &failure),
                     0);
    ck_assert(found);
}
END_TEST

/* -- 1.0 ------------------------------------------------------------------- */

START_TEST(the_row_of_1_0_is_read)
{
    struct row wanted = {.node = "old@host", .updated_at = 1600000000};

    database_fixture_sql(&fixture, CREATE_1_0);
    ck_assert_int_eq(read_row(), 0);
    ck_assert(!found);
    database_fixture_sql(&fixture, WRITE_1_0);
    check_row(&wanted);
    open_it(true);
    check_row(&wanted);
}
END_TEST

START_TEST(the_table_of_1_0_gets_columns)
{
    database_fixture_sql(&fixture, CREATE_1_0);
    database_fixture_sql(&fixture, WRITE_1_0);
    ck_assert_int_eq(write_row(&full_row), 0);
    check_row(&full_row);
    check_value(READ_1_0, full_row.node);
    check_value("SELECT count(*) FROM pragma_table_info('" TABLE "')", "7");
}
END_TEST

START_TEST(a_1_0_writes_into_our_table)
{
    struct row wanted = {.node = "old@host", .updated_at = 1600000000};

    ck_assert_int_eq(write_row(&full_row), 0);
    check_value(READ_1_0, full_row.node);
    database_fixture_sql(&fixture, CREATE_1_0);
    database_fixture_sql(&fixture, WRITE_1_0);
    check_row(&wanted);
    ck_assert_int_eq(write_row(&full_row), 0);
    check_row(&full_row);
}
END_TEST

/* -- on a replica ---------------------------------------------------------- */

START_TEST(query_only_changes_nothing)
{
    if (_i != 0) {
        database_fixture_sql(&fixture, CREATE_1_0);
    }
    open_it(true);
    ck_assert_int_eq(write_row(&full_row), FAILURE_READ_ONLY);
    ck_assert_int_eq(read_row(), 0);
    ck_assert(!found);
    check_value("SELECT count(*) FROM pragma_table_info('" TABLE "')",
                _i != 0 ? "3" : "0");
}
END_TEST

/* -- what is not ours ------------------------------------------------------ */

START_TEST(the_table_of_somebody_else)
{
    static const char* const tables[] = {
        "CREATE TABLE " TABLE " (id INTEGER PRIMARY KEY, name TEXT)",
        "CREATE TABLE " TABLE " (node_name TEXT, updated_at INTEGER)",
        "CREATE TABLE " TABLE " (id INTEGER PRIMARY KEY, node_name TEXT)",
    };

    database_fixture_sql(&fixture, tables[_i]);
    ck_assert_int_eq(write_row(&full_row), FAILURE_NOT_OUR_TABLE);
    check_value("SELECT count(*) FROM pragma_table_info('" TABLE "')", "2");
    if (_i == 1) { /* without an id it cannot be asked at all */
        ck_assert_int_eq(read_row(), FAILURE_NOT_OUR_TABLE);
    }
}
END_TEST

START_TEST(a_name_that_sqlite_keeps_for_itself)
{
    ck_assert_int_eq(tracking_write(database, "sqlite_x", &full_row, &failure),
                     FAILURE_SQLITE);
    ck_assert_int_eq(
        tracking_read(database, "sqlite_x", &row, &found, &failure), 0);
    ck_assert(!found);
}
END_TEST

/* SQLite has types for values, not for columns. */
static const struct {
    const char* values;
    int rv;
} strange[] = {
    {"(1, x'00', 5, NULL, NULL, NULL, NULL)", FAILURE_BAD_ROW},
    {"(1, 'a' || char(0) || 'b', 5, NULL, NULL, NULL, NULL)", FAILURE_BAD_ROW},
    {"(1, '', 5, NULL, NULL, NULL, NULL)", FAILURE_BAD_ROW},
    {"(1, hex(zeroblob(511)), 5, NULL, NULL, NULL, NULL)", FAILURE_BAD_ROW},
    {"(1, 'a@b', 'yesterday', NULL, NULL, NULL, NULL)", 0},
    {"(1, 'a@b', -5, x'61', x'62', 'now', 1.5)", 0},
    {"(1, 'a@b', 5.5, NULL, hex(zeroblob(9)), -1, hex(zeroblob(32)))", 0},
    {"(1, 'a@b', NULL, hex(zeroblob(128)), NULL, 0, '')", 0},
};

START_TEST(values_of_other_types)
{
    char sql[256];

    database_fixture_sql(
        &fixture, "CREATE TABLE " TABLE
                  " (id INTEGER PRIMARY KEY, node_name, updated_at, hostname,"
                  " term, started_at, version)");
    sqlite3_snprintf(sizeof sql, sql, "INSERT INTO " TABLE " VALUES %s",
                     strange[_i].values);
    database_fixture_sql(&fixture, sql);
    ck_assert_int_eq(read_row(), strange[_i].rv);
    ck_assert(found);
    if (strange[_i].rv == 0) {
        const struct row only_a_node = {.node = "a@b"};

        check_row(&only_a_node);
    }
}
END_TEST

Suite* suite_tracking(void);

Suite* suite_tracking(void)
{
    Suite* suite = suite_create("tracking");
    TCase* tcase = tcase_create("tracking");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, what_is_written_is_read);
    tcase_add_test(tcase, what_is_not_known_is_null);
    tcase_add_test(tcase, no_table_and_no_row);
    tcase_add_test(tcase, the_table_comes_changes_and_goes);
    tcase_add_loop_test(tcase, any_identifier_is_a_table, 0, 4);
    tcase_add_test(tcase, the_row_of_1_0_is_read);
    tcase_add_test(tcase, the_table_of_1_0_gets_columns);
    tcase_add_test(tcase, a_1_0_writes_into_our_table);
    tcase_add_loop_test(tcase, query_only_changes_nothing, 0, 2);
    tcase_add_loop_test(tcase, the_table_of_somebody_else, 0, 3);
    tcase_add_test(tcase, a_name_that_sqlite_keeps_for_itself);
    tcase_add_loop_test(tcase, values_of_other_types, 0, COUNT(strange));
    suite_add_tcase(suite, tcase);
    return suite;
}
