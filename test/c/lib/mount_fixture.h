/*
 * A real directory under /tmp, and faults in the calls that look at it.
 */
#ifndef ECTO_LITEFS_MOUNT_FIXTURE_H
#define ECTO_LITEFS_MOUNT_FIXTURE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "mount_call.h"

struct mount_fixture {
    char root[64];            /* made by mkdtemp, removed by tear-down */
    char directory[PATH_MAX]; /* root/data */
    char primary[PATH_MAX];   /* root/data/.primary */
};

void fixture_set_up(struct mount_fixture* fixture);
void fixture_tear_down(struct mount_fixture* fixture);
void fixture_write(const char* path, const char* content, size_t size);
void fixture_name_primary(struct mount_fixture* fixture, const char* hostname);

/* Give the test a mount namespace of its own. False where that is not
 * permitted. */
bool fixture_unshare(void);

/* From now on `call` fails with `err` (0 heals it). */
void fault_inject(enum mount_call call, int err);
/* From now on `call` blocks, until fault_release(). */
void fault_block(enum mount_call call);
void fault_release(void);
/* Wait until a thread is blocked in it; false after `limit_ms`. */
bool fault_wait_blocked(int64_t limit_ms);
/* How often `call` was made since fault_install(). */
unsigned fault_count(enum mount_call call);
void fault_install(void);

#endif
