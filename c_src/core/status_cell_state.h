/* Between status_cell.c and status_cell_positions.c. Nobody else includes
 * this. */
#ifndef ECTO_LITEFS_STATUS_CELL_STATE_H
#define ECTO_LITEFS_STATUS_CELL_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "status_cell.h"

struct status_cell {
    pthread_mutex_t mutex; /* guards all down to `shut` */
    struct role_state state;
    struct position_table positions;
    bool changed;    /* something that the owner was not hinted about */
    bool hinted;     /* a hint is out and status_cell_take() was not called */
    bool subscribed; /* somebody wants to hear of positions */
    bool moves_due;  /* ... of the next change of one */
    bool shut;
    void (*wake)(void* ctx); /* of who keeps the deadlines; NULL: nobody */
    void* wake_ctx;
    int64_t alarm_ms; /* the next time at which it looks by itself */

    /* Written by whoever holds the mutex, read by every thread without it:
     * deadline << 3 | role. Both in one word, so that no reader can pair a
     * role with the deadline of another one. Relaxed is enough: a reader
     * follows no pointer and reads no other memory because of it, and a
     * single atomic never goes back, so whoever was told of a post by any
     * other means sees that post's word or a later one. */
    _Atomic uint64_t word;

    atomic_uint references;
    struct status_cell_hooks hooks; /* never changes */
};

#endif
