/*
 * What the mount thread waits for, in one ppoll(): a wake-up from another
 * thread, inotify events of the directory, and changes of the mount table.
 *
 * LiteFS tells inotify nothing about `.primary`, so on its mount only the
 * unmount is watched. A watch on a directory gets nothing from a mount that
 * covers it: the mount table tells that.
 */
#ifndef ECTO_LITEFS_WATCH_H
#define ECTO_LITEFS_WATCH_H

#include <limits.h>
#include <stdint.h>

#include "status.h"

struct watch {
    int wake_fd;
    int inotify_fd;   /* -1 where inotify has run out: then timers serve */
    int mountinfo_fd; /* -1 without /proc */
    int wd;           /* -1 while nothing is armed */
    char name[NAME_MAX + 1];
};

enum watch_event {
    WATCH_WOKEN = 1u << 0,
    WATCH_FILE = 1u << 1,      /* the file, or the directory itself, changed */
    WATCH_UNMOUNTED = 1u << 2, /* what was armed is unmounted */
    WATCH_MOUNTS = 1u << 3,    /* something was mounted or unmounted */
};

/* `name` is the file that matters. 0, -ENAMETOOLONG, or the negative errno
 * of eventfd(): only that one is needed. */
int watch_open(struct watch* watch, const char* name);
void watch_close(struct watch* watch);

/* From any thread, never blocks; several wakes may be seen as one. */
void watch_wake(struct watch* watch);

/* Watch what is at `directory` now, and nothing else any more. MOUNT_PLAIN
 * and MOUNT_LITEFS are watched, any other kind disarms. Resolves the path,
 * so it may block like every call on a mount. */
void watch_arm(struct watch* watch, const char* directory,
               enum mount_kind kind);
bool watch_armed(const struct watch* watch);

/* Wait for `timeout_ms` at the longest (-1: no limit). A set of watch_event
 * bits, 0 when the time is over. */
unsigned watch_wait(struct watch* watch, int64_t timeout_ms);

#endif
