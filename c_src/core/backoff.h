/*
 * How long to wait before the next attempt.
 *
 * 50 ms, then twice as long each time, up to 1 s; each wait is shortened at
 * random by up to a quarter, so that many nodes do not knock in step. Pure:
 * time and randomness come from outside. Only a connection that was good for
 * BACKOFF_GOOD_MS brings the first wait back, so a server that answers well
 * and hangs up at once is not asked more often than one that refuses.
 */
#ifndef ECTO_LITEFS_BACKOFF_H
#define ECTO_LITEFS_BACKOFF_H

#include <stdint.h>

enum {
    BACKOFF_FIRST_MS = 50,
    BACKOFF_MAX_MS = 1000,
    BACKOFF_GOOD_MS = 5000,
};

struct backoff {
    int64_t next_ms;
};

void backoff_init(struct backoff* backoff);

/* The wait after a connection that was good for `good_ms` (0 = never).
 * `random` is any number; the same one gives the same wait. */
int64_t backoff_next(struct backoff* backoff, int64_t good_ms, uint32_t random);

#endif
