/*
 * The one place where both sources meet: the core's only shared mutex.
 *
 * Sources post inputs; the cell runs role_step() under its mutex, publishes
 * the whole status, unlocks, and then gives at most one outstanding "changed"
 * hint. The mutex is a leaf: nothing else is locked and nothing blocks while
 * it is held. Readers copy a snapshot; the role alone, with the time until
 * which it holds, is one atomic word.
 *
 * A cell is reference-counted because a thread that hangs in a FUSE call may
 * outlive the detector that started it.
 */
#ifndef ECTO_LITEFS_STATUS_CELL_H
#define ECTO_LITEFS_STATUS_CELL_H

#include "position_table.h"
#include "role.h"

struct status_cell;

/* Called without the mutex. `changed` must not block; it is called from any
 * thread that posts or reads, because a reader may be the one that meets a
 * deadline. `moved` says that a position has changed, under the same terms
 * but only from threads that post positions, and only to who subscribed.
 * `free` runs once, when the last reference is gone, in the thread that gave
 * it up. All get `ctx`; all may be NULL. */
struct status_cell_hooks {
    void (*changed)(void* ctx);
    void (*moved)(void* ctx);
    void (*free)(void* ctx);
    void* ctx;
};

/* 0 and a cell with one reference, or -ENOMEM. The cell owns hooks->ctx from
 * a successful return on. */
int status_cell_open(const struct role_config* config,
                     const struct status_cell_hooks* hooks,
                     struct status_cell** cell);
struct status_cell* status_cell_ref(struct status_cell* cell);
void status_cell_unref(struct status_cell* cell);

/* After this every reader sees ROLE_UNKNOWN for good and no position, inputs
 * are dropped and no new hint is given. One that another thread has just
 * decided to give may still arrive; `ctx` lives as long as that thread's
 * reference. */
void status_cell_shut(struct status_cell* cell);

/* Run one input through the step at clock_now_ms(). Returns the effects
 * (enum role_effect); EFFECT_CHANGED was already hinted. `status_out` may be
 * NULL; else it gets the status right after this very step. */
unsigned status_cell_post(struct status_cell* cell,
                          const struct role_input* input,
                          struct status* status_out);

/* Positions, as position_table.h keeps them: of an event, and of a read with
 * the mark that was taken before it began. Nothing is known any more when the
 * stream has come or gone, because it does not tell what was missed. */
void status_cell_post_position(struct status_cell* cell,
                               const struct db_position* position);
uint64_t status_cell_position_mark(struct status_cell* cell, const char* db);
void status_cell_post_read(struct status_cell* cell,
                           const struct db_position* position, uint64_t mark);

/* Another number when positions were forgotten. */
uint64_t status_cell_position_epoch(struct status_cell* cell);

/* Wait-free while nothing is due: one atomic load and a look at the clock.
 * When a deadline has passed it runs the tick first, so a reader never sees a
 * role whose proof has run out, even when every thread of ours hangs; what
 * such a tick changes is hinted too. */
enum role status_cell_role(struct status_cell* cell);

/* Copies of the whole status; same guarantee about deadlines. */
void status_cell_snapshot(struct status_cell* cell, struct status* status);
/* The same for the owner of the hint: the next change gives a new hint. */
void status_cell_take(struct status_cell* cell, struct status* status);
/* The newest position of one database; false where none is known, and without
 * a stream where it was read longer ago than POSITION_FRESH_MS. `era` gets
 * role_state.era of the same moment in both cases: whatever was said of a
 * primary before that position is counted in it. */
bool status_cell_position(struct status_cell* cell, const char* db,
                          struct position* position, uint64_t* era);
/* Of all; how many were copied, at the most POSITIONS_MAX. */
int status_cell_positions(struct status_cell* cell,
                          struct db_position* positions);

/* From now on a change of a position is hinted, once: hooks->moved. */
void status_cell_subscribe(struct status_cell* cell);
/* status_cell_positions() for who subscribed: the next change gives a new
 * hint. */
int status_cell_take_positions(struct status_cell* cell,
                               struct db_position* positions);

/* When the next tick is due in clock_now_ms() terms, 0 for never. */
int64_t status_cell_deadline(struct status_cell* cell);

/* One thread keeps the deadlines that pass while another one hangs. It asks
 * before each wait, which it wants to last until `until_ms`, how long it may
 * be; `wake` is called when a deadline has come nearer than that, from any
 * thread and with the mutex, and never after status_cell_keep(cell, NULL, NULL)
 * has returned. A deadline that comes near and goes away again a thousand
 * times a second, as that of a check does, wakes once in the time that it is
 * away. */
void status_cell_keep(struct status_cell* cell, void (*wake)(void* ctx),
                      void* ctx);
int64_t status_cell_sleep(struct status_cell* cell, int64_t until_ms);

#endif
