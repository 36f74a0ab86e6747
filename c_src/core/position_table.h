/*
 * The newest position of each database, from events and from reads.
 *
 * Pure; the cell's mutex guards it. LiteFS sends events in its own order, so
 * an event always counts, also one that goes backward, as after a snapshot. A
 * read of `<db>-pos` has no place in that order. It counts only if no event
 * of its database has come since it began: who reads takes a mark first.
 *
 * More than POSITIONS_MAX databases: an event of one that came later is not
 * kept. Who reads one wants to know it, and the one takes its place that has
 * had no event for the longest time.
 */
#ifndef ECTO_LITEFS_POSITION_TABLE_H
#define ECTO_LITEFS_POSITION_TABLE_H

#include "position.h"
#include "status.h"

/* Without a stream what was read longer ago than this is of the past: nothing
 * tells that another history has come since. Who waits has it read each 10 ms.
 */
enum { POSITION_FRESH_MS = 50 };

/* A copy of the name; "", of which nothing is ever known, of one that is too
 * long. */
void db_name_copy(char to[DB_NAME_MAX + 1], const char* db);

/* All zero: nothing is known. */
struct position_table {
    struct db_position slots[POSITIONS_MAX];
    uint64_t marks[POSITIONS_MAX]; /* the clock at the last event of each */
    int64_t heard_ms[POSITIONS_MAX];
    int count;
    uint64_t clock;  /* counts the events and the times it forgot */
    uint64_t epoch;  /* the clock when it forgot last */
    uint64_t others; /* the clock at the last event of one that is not kept */
};

/* Both: true when what is known has changed, or was not fresh. */
bool position_table_event(struct position_table* table,
                          const struct db_position* position, int64_t now_ms);
bool position_table_read(struct position_table* table,
                         const struct db_position* position, uint64_t mark,
                         int64_t now_ms);

/* For a read that is about to begin. */
uint64_t position_table_mark(const struct position_table* table,
                             const char* db);

/* What was heard or read at `since_ms` or later. */
bool position_table_get(const struct position_table* table, const char* db,
                        int64_t since_ms, struct position* position);

/* Events may have been missed, among them that of a snapshot that went
 * backward: what is known is worth nothing, and no mark of before holds. */
void position_table_forget(struct position_table* table);

#endif
