#include "database.h"

#include <assert.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "clock.h"

/* SQLite's own waits for a lock grow to 100 ms; a row is not that patient. */
enum { BUSY_PAUSE_MS = 10, STEPS_BETWEEN_LOOKS = 1000 };

struct database {
    sqlite3* db;
    bool query_only;
    database_pause_fn pause;
    int64_t deadline_ms; /* of the request that runs */
    bool stopped;        /* pause() has said so */
};

/* -- failures -------------------------------------------------------------- */

static enum failure_code code_of(const struct database* database, int extended)
{
    switch (extended & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return database->stopped ? FAILURE_STOPPED : FAILURE_BUSY;
    case SQLITE_INTERRUPT:
        return database->stopped ? FAILURE_STOPPED : FAILURE_TIMEOUT;
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return FAILURE_CANNOT_OPEN;
    case SQLITE_NOTADB:
        return FAILURE_NOT_A_DATABASE;
    case SQLITE_CORRUPT:
        return FAILURE_CORRUPT;
    case SQLITE_READONLY:
        return FAILURE_READ_ONLY;
    case SQLITE_IOERR:
        return FAILURE_IO_ERROR;
    case SQLITE_FULL:
        return FAILURE_FULL;
    case SQLITE_NOMEM:
        return FAILURE_NO_MEMORY;
    default:
        return FAILURE_SQLITE;
    }
}

/* What SQLite said last. */
static int fail(const struct database* database, struct failure* failure)
{
    int extended = sqlite3_extended_errcode(database->db);

    return failure_set(failure, code_of(database, extended), extended,
                       sqlite3_errmsg(database->db));
}

/* -- while a statement runs ------------------------------------------------ */

/* Called while a lock is waited for; 0 gives up. */
static int on_busy(void* ctx, int count)
{
    struct database* database = ctx;
    int64_t left = database->deadline_ms - clock_now_ms();

    (void)count;
    if (left <= 0) {
        return 0;
    }
    database->stopped =
        database->pause(left < BUSY_PAUSE_MS ? (int)left : BUSY_PAUSE_MS);
    return !database->stopped;
}

/* Called between steps of a statement; not 0 interrupts it. */
static int on_progress(void* ctx)
{
    struct database* database = ctx;

    database->stopped = database->pause(0);
    return database->stopped || clock_has_reached(database->deadline_ms);
}

int database_prepare(struct database* database, const char* format,
                     const char* table, sqlite3_stmt** statement,
                     struct failure* failure)
{
    char* sql = sqlite3_mprintf(format, table);
    int rv;

    *statement = NULL;
    if (sql == NULL) {
        return failure_set(failure, FAILURE_NO_MEMORY, SQLITE_NOMEM,
                           "the system gives no more memory");
    }
    rv = sqlite3_prepare_v2(database->db, sql, -1, statement, NULL);
    sqlite3_free(sql);
    return rv == SQLITE_OK ? 0 : fail(database, failure);
}

int database_step(struct database* database, sqlite3_stmt* statement,
                  struct failure* failure)
{
    switch (sqlite3_step(statement)) {
    case SQLITE_ROW:
        return 1;
    case SQLITE_DONE:
        return 0;
    default:
        return fail(database, failure);
    }
}

int database_run(struct database* database, const char* format,
                 const char* table, struct failure* failure)
{
    sqlite3_stmt* statement;
    int rv = database_prepare(database, format, table, &statement, failure);

    if (rv != 0) {
        return rv;
    }
    do {
        rv = database_step(database, statement, failure);
    } while (rv > 0);
    sqlite3_finalize(statement);
    assert(sqlite3_get_autocommit(database->db));
    return rv;
}

/* -- open and close -------------------------------------------------------- */

/* What SQLite takes in advance, for statements and for pages, would be most of
 * what this program has for itself. One row does as well without. */
int database_init(void)
{
    bool done =
        sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) == SQLITE_OK &&
        sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0) == SQLITE_OK;

    return done ? 0 : FAILURE_SQLITE;
}

/* SQLite would call a directory "unable to open", and would wait for a pipe. */
static int check_file(const char* path, struct failure* failure)
{
    struct stat st;

    if (stat(path, &st) != 0) {
        bool missing = errno == ENOENT || errno == ENOTDIR;
        char text[64];

        snprintf(text, sizeof text, "%m");
        return failure_set(
            failure, missing ? FAILURE_MISSING : FAILURE_CANNOT_OPEN, 0, text);
    }
    return S_ISREG(st.st_mode)
               ? 0
               : failure_set(failure, FAILURE_NOT_A_FILE, 0,
                             S_ISDIR(st.st_mode) ? "it is a directory"
                                                 : "it is not a regular file");
}

static int set_up(struct database* database, struct failure* failure)
{
    sqlite3_extended_result_codes(database->db, 1);
    sqlite3_busy_handler(database->db, on_busy, database);
    sqlite3_progress_handler(database->db, STEPS_BETWEEN_LOOKS, on_progress,
                             database);
    /* What the Repo has written is the Repo's to checkpoint, after a commit
     * of ours too. */
    sqlite3_db_config(database->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_wal_autocheckpoint(database->db, 0);
    if (database->query_only) {
        return database_run(database, "PRAGMA query_only = 1", NULL, failure);
    }
    /* It falls back to reading by itself, where it may not write. */
    if (sqlite3_db_readonly(database->db, "main") == 1) {
        return failure_set(failure, FAILURE_READ_ONLY, 0,
                           "the file may only be read");
    }
    return 0;
}

static int open_database(struct database* database, const char* path,
                         struct failure* failure)
{
    enum { FLAGS = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX };
    int rv = sqlite3_open_v2(path, &database->db, FLAGS, NULL);

    if (rv != SQLITE_OK) {
        return database->db != NULL
                   ? fail(database, failure)
                   : failure_set(failure, FAILURE_NO_MEMORY, rv,
                                 "the system gives no more memory");
    }
    rv = set_up(database, failure);
    /* Until something is read SQLite does not look at the file. */
    return rv == 0
               ? database_run(database, "PRAGMA schema_version", NULL, failure)
               : rv;
}

int database_open(const char* path, bool query_only, database_pause_fn pause,
                  int64_t deadline_ms, struct database** database,
                  struct failure* failure)
{
    struct database* opened;
    int rv = check_file(path, failure);

    if (rv != 0) {
        return rv;
    }
    opened = calloc(1, sizeof *opened);
    if (opened == NULL) {
        return failure_set(failure, FAILURE_NO_MEMORY, 0,
                           "the system gives no more memory");
    }
    opened->query_only = query_only;
    opened->pause = pause;
    opened->deadline_ms = deadline_ms;
    rv = open_database(opened, path, failure);
    if (rv != 0) {
        database_close(opened);
        return rv;
    }
    *database = opened;
    return 0;
}

void database_close(struct database* database)
{
    int rv;

    if (database == NULL) {
        return;
    }
    rv = sqlite3_close(database->db);
    assert(rv == SQLITE_OK); /* or a statement was not finalized */
    (void)rv;
    free(database);
}

void database_set_deadline(struct database* database, int64_t deadline_ms)
{
    database->deadline_ms = deadline_ms;
}

bool database_is_query_only(const struct database* database)
{
    return database->query_only;
}
