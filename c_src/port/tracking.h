/*
 * The table of one row that 1.0 made, with the columns that it did not have.
 *
 * `table` is an identifier (request.h). The functions return 0, or a negative
 * failure_code and fill `failure`.
 */
#ifndef ECTO_LITEFS_TRACKING_H
#define ECTO_LITEFS_TRACKING_H

#include <stdbool.h>

#include "database.h"
#include "row.h"

/* Makes `row` the row of the table, in one statement. Before it makes the
 * table, or the columns that are missing: each is a statement of its own, and
 * harmless by itself. A table that has not the columns of 1.0 is somebody
 * else's and stays as it is. */
int tracking_write(struct database* database, const char* table,
                   const struct row* row, struct failure* failure);

/* `found` is false where there is no table, or no row in it. What this library
 * would not have written counts as not there, column by column. */
int tracking_read(struct database* database, const char* table, struct row* row,
                  bool* found, struct failure* failure);

#endif
