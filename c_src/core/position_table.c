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
    table->marks[at] = table->epoch;
    return at;
}

static bool put(struct position_table* table, int at,
                const struct db_position* position)
{
    struct db_position* slot = &table->slots[at];
    bool is_new = slot->db[0] == '\0';
    if (!is_new && slot->txid == position->txid &&
        slot->checksum == position->checksum)
        return false;
    *slot = *position;
    slot->db[DB_NAME_MAX] = '\0';
    return true;
}

bool position_table_event(struct position_table* table,
                          const struct db_position* position)
{
    int at = find_or_add(table, position->db);
    if (at < 0)
        return false;
    table->marks[at] = ++table->clock;
    return put(table, at, position);
}

bool position_table_read(struct position_table* table,
                         const struct db_position* position, uint64_t mark)
{
    if (position_table_mark(table, position->db) != mark)
        return false;
    int at = find_or_add(table, position->db);
    return at >= 0 && put(table, at, position);
}

uint64_t position_table_mark(const struct position_table* table, const char* db)
{
    int at = find(table, db);
    return at >= 0 ? table->marks[at] : table->epoch;
}

bool position_table_get(const struct position_table* table, const char* db,
                        struct position* position)
{
    int at = find(table, db);
    if (at < 0)
        return false;
    position->txid = table->slots[at].txid;
    position->checksum = table->slots[at].checksum;
    return true;
}

void position_table_forget(struct position_table* table)
{
    table->count = 0;
    table->epoch = ++table->clock;
}
