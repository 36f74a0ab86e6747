#include "clock.h"

#include <time.h>

int64_t clock_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    /* 0 means "never" in deadlines, so the first millisecond is skipped. */
    return ms > 0 ? ms : 1;
}
