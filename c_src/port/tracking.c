#include "tracking.h"

#include <assert.h>
#include <sqlite3.h>
#include <stddef.h>
#include <string.h>

enum column {
    COLUMN_ID,
    COLUMN_NODE,
    COLUMN_UPDATED_AT,
    COLUMN_HOSTNAME,
    COLUMN_TERM,
    COLUMN_STARTED_AT,
    COLUMN_VERSION,
    COLUMNS,
};

/* 1.0 had the first three. It writes them with INSERT OR REPLACE, so that the
 * others have to bear NULL. */
enum {
    COLUMNS_OF_1_0 = 1 << COLUMN_ID | 1 << COLUMN_NODE | 1 << COLUMN_UPDATED_AT
};

static const struct {
    const char* name;
    const char* add;
} columns[COLUMNS] = {
    [COLUMN_ID] = {"id", NULL},
    [COLUMN_NODE] = {"node_name", NULL},
    [COLUMN_UPDATED_AT] = {"updated_at", NULL},
    [COLUMN_HOSTNAME] = {"hostname",
                         "ALTER TABLE \"%w\" ADD COLUMN hostname TEXT"},
    [COLUMN_TERM] = {"term", "ALTER TABLE \"%w\" ADD COLUMN term TEXT"},
    [COLUMN_STARTED_AT] = {"started_at",
                           "ALTER TABLE \"%w\" ADD COLUMN started_at INTEGER"},
    [COLUMN_VERSION] = {"version",
                        "ALTER TABLE \"%w\" ADD COLUMN version TEXT"},
};

static const char create_sql[] =
    "CREATE TABLE IF NOT EXISTS \"%w\" ("
    "id INTEGER PRIMARY KEY CHECK (id = 1), "
    "node_name TEXT NOT NULL, "
    "updated_at INTEGER NOT NULL, "
    "hostname TEXT, term TEXT, started_at INTEGER, version TEXT)";

static const char write_sql[] =
    "INSERT OR REPLACE INTO \"%w\" (id, node_name, updated_at, hostname, term, "
    "started_at, version) VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)";

/* -- which columns there are ----------------------------------------------- */

/* The column of that name, or COLUMNS. */
static enum column column_of(const char* name)
{
    enum column column = COLUMN_ID;

    while (column < COLUMNS && strcmp(columns[column].name, name) != 0) {
        column++;
    }
    return column;
}

/* One bit for each column of ours that the table has; 0 where there is no
 * table. */
static int look(struct database* database, const char* table, unsigned* found,
                struct failure* failure)
{
    sqlite3_stmt* statement;
    int rv =
        database_prepare(database, "SELECT name FROM pragma_table_info('%q')",
                         table, &statement, failure);

    *found = 0;
    if (rv != 0) {
        return rv;
    }
    while ((rv = database_step(database, statement, failure)) > 0) {
        const char* name = (const char*)sqlite3_column_text(statement, 0);

        *found |= 1U << (name != NULL ? column_of(name) : COLUMNS);
    }
    sqlite3_finalize(statement);
    return rv;
}

static bool is_ours(unsigned found)
{
    return (found & COLUMNS_OF_1_0) == COLUMNS_OF_1_0;
}

static int not_ours(struct failure* failure)
{
    return failure_set(failure, FAILURE_NOT_OUR_TABLE, 0,
                       "the table has not the columns id, node_name and "
                       "updated_at");
}

/* -- writing --------------------------------------------------------------- */

/* What is there already is left alone: LiteFS would ship each change. */
static int make_table(struct database* database, const char* table,
                      struct failure* failure)
{
    unsigned found;
    int rv = look(database, table, &found, failure);

    if (rv != 0) {
        return rv;
    }
    if (found == 0) {
        return database_run(database, create_sql, table, failure);
    }
    if (!is_ours(found)) {
        return not_ours(failure);
    }
    for (int i = COLUMN_HOSTNAME; i < COLUMNS && rv == 0; i++) {
        if (!(found & 1U << i)) {
            rv = database_run(database, columns[i].add, table, failure);
        }
    }
    return rv;
}

/* "" is NULL. The text lives as long as the statement. */
static void bind_text(sqlite3_stmt* statement, int at, const char* text)
{
    if (text[0] != '\0') {
        sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
    }
}

static void bind_row(sqlite3_stmt* statement, const struct row* row)
{
    bind_text(statement, 1, row->node);
    sqlite3_bind_int64(statement, 2, row->updated_at);
    bind_text(statement, 3, row->hostname);
    bind_text(statement, 4, row->term);
    if (row->started_at != 0) {
        sqlite3_bind_int64(statement, 5, row->started_at);
    }
    bind_text(statement, 6, row->version);
}

int tracking_write(struct database* database, const char* table,
                   const struct row* row, struct failure* failure)
{
    sqlite3_stmt* statement;
    int rv;

    if (database_is_query_only(database)) {
        return failure_set(failure, FAILURE_READ_ONLY, 0,
                           "the database is open for queries only");
    }
    rv = make_table(database, table, failure);
    if (rv != 0) {
        return rv;
    }
    rv = database_prepare(database, write_sql, table, &statement, failure);
    if (rv != 0) {
        return rv;
    }
    bind_row(statement, row);
    rv = database_step(database, statement, failure);
    assert(rv <= 0);
    sqlite3_finalize(statement);
    return rv;
}

/* -- reading --------------------------------------------------------------- */

/* What is no text of up to `max` bytes counts as "". */
static void get_text(sqlite3_stmt* statement, int at, size_t max, char* text)
{
    const unsigned char* value;
    size_t size;

    if (sqlite3_column_type(statement, at) != SQLITE_TEXT) {
        return;
    }
    value = sqlite3_column_text(statement, at);
    size = (size_t)sqlite3_column_bytes(statement, at);
    if (value != NULL && size <= max && memchr(value, 0, size) == NULL) {
        memcpy(text, value, size);
        text[size] = '\0';
    }
}

/* What is no integer, or is negative, counts as 0. */
static void get_time(sqlite3_stmt* statement, int at, int64_t* time)
{
    if (sqlite3_column_type(statement, at) == SQLITE_INTEGER &&
        sqlite3_column_int64(statement, at) > 0) {
        *time = sqlite3_column_int64(statement, at);
    }
}

static void get_column(sqlite3_stmt* statement, int at, struct row* row)
{
    switch (column_of(sqlite3_column_name(statement, at))) {
    case COLUMN_NODE:
        get_text(statement, at, ROW_NODE_MAX, row->node);
        break;
    case COLUMN_UPDATED_AT:
        get_time(statement, at, &row->updated_at);
        break;
    case COLUMN_HOSTNAME:
        get_text(statement, at, ROW_HOSTNAME_MAX, row->hostname);
        break;
    case COLUMN_TERM:
        get_text(statement, at, ROW_TERM_SIZE, row->term);
        break;
    case COLUMN_STARTED_AT:
        get_time(statement, at, &row->started_at);
        break;
    case COLUMN_VERSION:
        get_text(statement, at, ROW_VERSION_MAX, row->version);
        break;
    default:
        break;
    }
}

/* 1 and the row, 0 for none, or a failure. */
static int select_row(struct database* database, const char* table,
                      struct row* row, struct failure* failure)
{
    sqlite3_stmt* statement;
    /* By name, so that a table of 1.0 needs no other statement. */
    int rv = database_prepare(database, "SELECT * FROM \"%w\" WHERE id = 1",
                              table, &statement, failure);

    if (rv != 0) {
        return rv;
    }
    memset(row, 0, sizeof *row);
    rv = database_step(database, statement, failure);
    for (int i = 0; rv > 0 && i < sqlite3_column_count(statement); i++) {
        get_column(statement, i, row);
    }
    sqlite3_finalize(statement);
    return rv;
}

/* Whether the SELECT failed because there is nothing to select from. */
static int no_select(struct database* database, const char* table,
                     struct failure* failure)
{
    struct failure of_select = *failure;
    unsigned found;
    int rv = look(database, table, &found, failure);

    if (rv != 0) {
        return rv; /* it says more than the lack of a table */
    }
    if (is_ours(found)) {
        *failure = of_select;
        return of_select.code;
    }
    return found == 0 ? 0 : not_ours(failure);
}

int tracking_read(struct database* database, const char* table, struct row* row,
                  bool* found, struct failure* failure)
{
    int rv = select_row(database, table, row, failure);

    *found = rv > 0;
    if (rv == FAILURE_SQLITE) {
        return no_select(database, table, failure);
    }
    if (rv > 0 && row->node[0] == '\0') {
        return failure_set(failure, FAILURE_BAD_ROW, 0,
                           "the row has no node_name");
    }
    return rv > 0 ? 0 : rv;
}
