#include "clock.h"

#include <time.h>

/* The kernel moves its coarse clock with every tick, so that it is up to 10 ms
 * behind the other one. A few ticks may be late. */
enum { COARSE_BEHIND_MS = 100 };

static int64_t read_ms(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_now_ms(void)
{
    int64_t ms = read_ms(CLOCK_MONOTONIC);
    /* 0 means "never" in deadlines, so the first millisecond is skipped. */
    return ms > 0 ? ms : 1;
}

bool clock_has_reached(int64_t time_ms)
{
    if (read_ms(CLOCK_MONOTONIC_COARSE) + COARSE_BEHIND_MS < time_ms)
        return false;
    return clock_now_ms() >= time_ms;
}
