#include "position_table.h"

#include <string.h>

void db_name_copy(char to[DB_NAME_MAX + 1], const char* db)
{
    size_t length = strlen(db);
    if (length > DB_NAME_MAX)
        length = 0;
    memcpy(to, db, length);
    to[length] = '\0';
}

/* -1 where nothing is known of it. */
static int find(const struct position_table* table, const char* db)
{
    for (int i = 0; i < table->count; i++)
        if (strncmp(table->slots[i].db, db, DB_NAME_MAX) == 0)
            return i;
    return -1;
}

/* -1 where there is no room for one more. */
static int find_or_add(struct position_table* table, const char* db)
{
    int at = find(table, db);
    if (at >= 0 || table->count == POSITIONS_MAX)
        return at;
    at = table->count++;
    table->slots[at] = (struct db_position){.txid = 0};
    table->marks[at] = table->others;
    return at;
}

/* The one that goes is one of the others from now on: what was read of it, or
 * of them, before its last event must not count. */
static int make_room(struct position_table* table)
{
    int oldest = 0;
    for (int i = 1; i < POSITIONS_MAX; i++)
        if (table->marks[i] < table->marks[oldest])
            oldest = i;
    table->others = ++table->clock;
    table->slots[oldest] = (struct db_position){.txid = 0};
    table->marks[oldest] = table->others;
    return oldest;
}

static bool put(struct position_table* table, int at,
                const struct db_position* position, int64_t now_ms)
{
    struct db_position* slot = &table->slots[at];
    bool is_new = slot->db[0] == '\0';
    bool was_fresh = table->heard_ms[at] >= now_ms - POSITION_FRESH_MS;
    table->heard_ms[at] = now_ms;
    if (!is_new && slot->txid == position->txid &&
        slot->checksum == position->checksum)
        return !was_fresh;
    *slot = *position;
    slot->db[DB_NAME_MAX] = '\0';
    return true;
}

bool position_table_event(struct position_table* table,
                          const struct db_position* position, int64_t now_ms)
{
    int at = find_or_add(table, position->db);
    uint64_t clock = ++table->clock;
    if (at < 0) {
        table->others = clock;
        return false;
    }
    table->marks[at] = clock;
    return put(table, at, position, now_ms);
}

bool position_table_read(struct position_table* table,
                         const struct db_position* position, uint64_t mark,
                         int64_t now_ms)
{
    if (position_table_mark(table, position->db) != mark)
        return false;
    int at = find_or_add(table, position->db);
    return put(table, at >= 0 ? at : make_room(table), position, now_ms);
}

uint64_t position_table_mark(const struct position_table* table, const char* db)
{
    int at = find(table, db);
    return at >= 0 ? table->marks[at] : table->others;
}

bool position_table_get(const struct position_table* table, const char* db,
                        int64_t since_ms, struct position* position)
{
    int at = find(table, db);
    if (at < 0 || table->heard_ms[at] < since_ms)
        return false;
    position->txid = table->slots[at].txid;
    position->checksum = table->slots[at].checksum;
    return true;
}

void position_table_forget(struct position_table* table)
{
    table->count = 0;
    table->epoch = table->others = ++table->clock;
}
