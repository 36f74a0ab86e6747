/*
 * When to look at the directory next: pure, in monotonic milliseconds.
 */
#ifndef ECTO_LITEFS_MOUNT_SCHEDULE_H
#define ECTO_LITEFS_MOUNT_SCHEDULE_H

#include <stdint.h>

#include "status.h"

enum {
    /* Between two looks of our own: a LOOKUP may meet a lease change inside
     * LiteFS, so there are at most 20 a second. */
    SCHEDULE_SPACING_MS = 50,
    SCHEDULE_DOWN_MS = 1000, /* the poll interval while no stream helps */
};

#define SCHEDULE_NEVER INT64_MAX

/* All zero: nothing was looked at, nothing is planned. */
struct mount_schedule {
    int64_t looked_ms;  /* start of the last look, 0 for none */
    int64_t planned_ms; /* an extra look, 0 for none */
    int bursts_left;    /* extra looks that follow the planned one */
};

/* How often a directory is looked at for one cell; 0 for never. Even with
 * polling disabled (0) a LiteFS mount is looked at while its stream is down or
 * switched off too: nothing else would tell of a lost lease. */
int64_t mount_schedule_interval(int64_t poll_interval_ms,
                                const struct status* status);

/* Something may be about to change: look after 50, 100, 200, 400 ms. The
 * first look waits, because LiteFS tells a change while it is making it. */
void mount_schedule_hint(struct mount_schedule* schedule, int64_t now_ms);

/* Something has changed: look at once. */
void mount_schedule_soon(struct mount_schedule* schedule, int64_t now_ms);

/* A look begins. */
void mount_schedule_looked(struct mount_schedule* schedule, int64_t now_ms);

/* When the next look is due, with the shortest interval of all cells. */
int64_t mount_schedule_due(const struct mount_schedule* schedule,
                           int64_t interval_ms);

#endif
