#include <string.h>

#include "clock.h"
#include "status_cell_state.h"

/* Ends what pthread_mutex_lock() began; a hint once for each time that the
 * subscriber has looked. */
static void unlock_moved(struct status_cell* cell, bool moved)
{
    bool hint = moved && cell->moves_due;
    if (hint)
        cell->moves_due = false;
    pthread_mutex_unlock(&cell->mutex);

    if (hint && cell->hooks.moved)
        cell->hooks.moved(cell->hooks.ctx);
}

void status_cell_post_position(struct status_cell* cell,
                               const struct db_position* position)
{
    pthread_mutex_lock(&cell->mutex);
    unlock_moved(cell,
                 !cell->shut && position_table_event(&cell->positions, position,
                                                     clock_now_ms()));
}

uint64_t status_cell_position_mark(struct status_cell* cell, const char* db)
{
    pthread_mutex_lock(&cell->mutex);
    uint64_t mark = position_table_mark(&cell->positions, db);
    pthread_mutex_unlock(&cell->mutex);
    return mark;
}

void status_cell_post_read(struct status_cell* cell,
                           const struct db_position* position, uint64_t mark)
{
    pthread_mutex_lock(&cell->mutex);
    unlock_moved(cell,
                 !cell->shut && position_table_read(&cell->positions, position,
                                                    mark, clock_now_ms()));
}

uint64_t status_cell_position_epoch(struct status_cell* cell)
{
    pthread_mutex_lock(&cell->mutex);
    uint64_t epoch = cell->positions.epoch;
    pthread_mutex_unlock(&cell->mutex);
    return epoch;
}

bool status_cell_position(struct status_cell* cell, const char* db,
                          struct position* position, uint64_t* era)
{
    pthread_mutex_lock(&cell->mutex);
    int64_t since_ms = cell->state.status.stream == STREAM_UP
                           ? INT64_MIN
                           : clock_now_ms() - POSITION_FRESH_MS;
    bool known = position_table_get(&cell->positions, db, since_ms, position);
    *era = cell->state.era;
    pthread_mutex_unlock(&cell->mutex);
    return known;
}

static int copy_positions(struct status_cell* cell,
                          struct db_position* positions, bool take)
{
    pthread_mutex_lock(&cell->mutex);
    int count = cell->positions.count;
    memcpy(positions, cell->positions.slots, (size_t)count * sizeof *positions);
    if (take)
        cell->moves_due = cell->subscribed && !cell->shut;
    pthread_mutex_unlock(&cell->mutex);
    return count;
}

int status_cell_positions(struct status_cell* cell,
                          struct db_position* positions)
{
    return copy_positions(cell, positions, false);
}

int status_cell_take_positions(struct status_cell* cell,
                               struct db_position* positions)
{
    return copy_positions(cell, positions, true);
}

void status_cell_subscribe(struct status_cell* cell)
{
    pthread_mutex_lock(&cell->mutex);
    cell->subscribed = true;
    cell->moves_due = !cell->shut;
    pthread_mutex_unlock(&cell->mutex);
}
