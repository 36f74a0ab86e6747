/* Monotonic milliseconds (CLOCK_MONOTONIC), never 0. */
#ifndef ECTO_LITEFS_CLOCK_H
#define ECTO_LITEFS_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

int64_t clock_now_ms(void);

/* clock_now_ms() >= time_ms, four times cheaper while that is far away. */
bool clock_has_reached(int64_t time_ms);

#endif
