/* Monotonic milliseconds (CLOCK_MONOTONIC), never 0. */
#ifndef ECTO_LITEFS_CLOCK_H
#define ECTO_LITEFS_CLOCK_H

#include <stdint.h>

int64_t clock_now_ms(void);

#endif
