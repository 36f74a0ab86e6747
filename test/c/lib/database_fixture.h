/*
 * A real database under /tmp, with a second connection to it.
 */
#ifndef ECTO_LITEFS_DATABASE_FIXTURE_H
#define ECTO_LITEFS_DATABASE_FIXTURE_H

#include <limits.h>
#include <sqlite3.h>
#include <stdbool.h>

struct database_fixture {
    char directory[64];
    char path[PATH_MAX]; /* directory/db */
    sqlite3* other;      /* NULL until it is made */
};

/* The directory only. */
void database_fixture_set_up(struct database_fixture* fixture);
void database_fixture_tear_down(struct database_fixture* fixture);

/* A database with a table of somebody else, "items". */
void database_fixture_make(struct database_fixture* fixture, bool wal);

/* directory/name */
void database_fixture_path(const struct database_fixture* fixture,
                           const char* name, char path[PATH_MAX]);

/* On the second connection: it has to go well. */
void database_fixture_sql(struct database_fixture* fixture, const char* sql);

/* The first value of the first row, "" for NULL and for no row; the next call
 * overwrites it. */
const char* database_fixture_value(struct database_fixture* fixture,
                                   const char* sql);

/* How many descriptors this process has open. */
int open_descriptors(void);

#endif
