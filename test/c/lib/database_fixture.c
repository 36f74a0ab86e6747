#include "database_fixture.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void database_fixture_set_up(struct database_fixture* fixture)
{
    memset(fixture, 0, sizeof *fixture);
    strcpy(fixture->directory, "/tmp/ecto_litefs_test_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(fixture->directory));
    database_fixture_path(fixture, "db", fixture->path);
}

void database_fixture_path(const struct database_fixture* fixture,
                           const char* name, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/%s", fixture->directory, name);
}

void database_fixture_tear_down(struct database_fixture* fixture)
{
    DIR* directory;
    struct dirent* entry;
    char path[PATH_MAX];

    sqlite3_close(fixture->other);
    directory = opendir(fixture->directory);
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        database_fixture_path(fixture, entry->d_name, path);
        remove(path); /* "." and ".." stay */
    }
    closedir(directory);
    rmdir(fixture->directory);
}

void database_fixture_make(struct database_fixture* fixture, bool wal)
{
    ck_assert_int_eq(sqlite3_open(fixture->path, &fixture->other), SQLITE_OK);
    if (wal) {
        database_fixture_sql(fixture, "PRAGMA journal_mode = wal");
    }
    database_fixture_sql(fixture, "CREATE TABLE items (name TEXT)");
}

void database_fixture_sql(struct database_fixture* fixture, const char* sql)
{
    char* message = NULL;
    int rv = sqlite3_exec(fixture->other, sql, NULL, NULL, &message);

    ck_assert_msg(rv == SQLITE_OK, "%s: %s", sql, message ? message : "?");
}

const char* database_fixture_value(struct database_fixture* fixture,
                                   const char* sql)
{
    static char value[4096];
    sqlite3_stmt* statement;

    value[0] = '\0';
    ck_assert_msg(sqlite3_prepare_v2(fixture->other, sql, -1, &statement,
                                     NULL) == SQLITE_OK,
                  "%s: %s", sql, sqlite3_errmsg(fixture->other));
    if (sqlite3_step(statement) == SQLITE_ROW &&
        sqlite3_column_text(statement, 0) != NULL) {
        snprintf(value, sizeof value, "%s",
                 (const char*)sqlite3_column_text(statement, 0));
    }
    sqlite3_finalize(statement);
    return value;
}

int open_descriptors(void)
{
    DIR* directory = opendir("/proc/self/fd");
    int count = 0;

    ck_assert_ptr_nonnull(directory);
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count;
}
