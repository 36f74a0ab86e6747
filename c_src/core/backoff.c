#include "backoff.h"

void backoff_init(struct backoff* backoff)
{
    backoff->next_ms = BACKOFF_FIRST_MS;
}

int64_t backoff_next(struct backoff* backoff, int64_t good_ms, uint32_t random)
{
    if (good_ms >= BACKOFF_GOOD_MS)
        backoff_init(backoff);
    int64_t wait_ms = backoff->next_ms;
    backoff->next_ms = wait_ms * 2;
    if (backoff->next_ms > BACKOFF_MAX_MS)
        backoff->next_ms = BACKOFF_MAX_MS;
    return wait_ms - random % (wait_ms / 4 + 1);
}
