#include "mount_schedule.h"

enum { BURST_LOOKS = 4 };

int64_t mount_schedule_interval(int64_t poll_interval_ms,
                                const struct status* status)
{
    if (poll_interval_ms == 0) {
        return status->mount == MOUNT_LITEFS && status->stream != STREAM_UP
                   ? SCHEDULE_DOWN_MS
                   : 0;
    }
    if (status->stream != STREAM_UP && poll_interval_ms > SCHEDULE_DOWN_MS) {
        return SCHEDULE_DOWN_MS;
    }
    return poll_interval_ms;
}

static void plan(struct mount_schedule* schedule, int64_t at_ms)
{
    /* A later wish never puts off an earlier one. */
    if (schedule->planned_ms == 0 || at_ms < schedule->planned_ms) {
        schedule->planned_ms = at_ms;
    }
}

void mount_schedule_hint(struct mount_schedule* schedule, int64_t now_ms)
{
    plan(schedule, now_ms + SCHEDULE_SPACING_MS);
    schedule->bursts_left = BURST_LOOKS - 1;
}

void mount_schedule_soon(struct mount_schedule* schedule, int64_t now_ms)
{
    plan(schedule, now_ms);
}

void mount_schedule_looked(struct mount_schedule* schedule, int64_t now_ms)
{
    bool planned = schedule->planned_ms != 0 && schedule->planned_ms <= now_ms;

    schedule->looked_ms = now_ms;
    if (!planned) {
        return;
    }
    schedule->planned_ms = 0;
    if (schedule->bursts_left > 0) {
        int step = BURST_LOOKS - schedule->bursts_left;

        schedule->planned_ms = now_ms + ((int64_t)SCHEDULE_SPACING_MS << step);
        schedule->bursts_left--;
    }
}

int64_t mount_schedule_due(const struct mount_schedule* schedule,
                           int64_t interval_ms)
{
    int64_t due = SCHEDULE_NEVER;
    int64_t spaced = schedule->looked_ms + SCHEDULE_SPACING_MS;

    if (schedule->planned_ms != 0) {
        due = schedule->planned_ms;
    }
    if (interval_ms > 0 && schedule->looked_ms + interval_ms < due) {
        due = schedule->looked_ms + interval_ms;
    }
    return schedule->looked_ms != 0 && due < spaced ? spaced : due;
}
