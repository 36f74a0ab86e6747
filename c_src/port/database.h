/*
 * One connection to SQLite, and the limits under which its statements run.
 *
 * Nothing here holds a transaction longer than a statement, or a lock after
 * it. While a statement runs, or waits for a lock, the deadline and `pause`
 * are asked again and again; a system call that hangs asks nobody.
 *
 * The functions return 0, or a negative failure_code and fill `failure`.
 * FAILURE_STOPPED means that `pause` said so.
 */
#ifndef ECTO_LITEFS_DATABASE_H
#define ECTO_LITEFS_DATABASE_H

#include <stdbool.h>
#include <stdint.h>

#include "failure.h"

struct sqlite3_stmt;
struct database;

/* Waits for `ms`, 0: only looks. True: the program is to end. */
typedef bool (*database_pause_fn)(int ms);

/* Once, before all else. */
int database_init(void);

/*
 * Opens the database at `path`, an absolute one. It is never made, and it has
 * to be one: the first page is read. Symbolic links are followed, as the
 * Repo's own connections do. With `query_only` SQLite refuses all writes. On
 * success database_close() is owed.
 */
int database_open(const char* path, bool query_only, database_pause_fn pause,
                  int64_t deadline_ms, struct database** database,
                  struct failure* failure);

/* NULL is fine. Never checkpoints: that is the business of the Repo's own
 * connections. */
void database_close(struct database* database);

/* The statements from here on end by then, in monotonic milliseconds. */
void database_set_deadline(struct database* database, int64_t deadline_ms);

bool database_is_query_only(const struct database* database);

/* `format` is one of sqlite3_mprintf() and has the table's name as its only
 * argument, any number of times ("%w" in an identifier, "%q" in a string).
 * On success sqlite3_finalize() is owed, soon: it ends the transaction. */
int database_prepare(struct database* database, const char* format,
                     const char* table, struct sqlite3_stmt** statement,
                     struct failure* failure);

/* 1: a row. 0: the end; not to be called again. Negative: a failure. */
int database_step(struct database* database, struct sqlite3_stmt* statement,
                  struct failure* failure);

/* All of it, for a statement whose rows nobody wants. */
int database_run(struct database* database, const char* format,
                 const char* table, struct failure* failure);

#endif
