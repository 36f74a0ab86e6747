/*
 * /proc/self/mountinfo: who mounted what.
 */
#ifndef ECTO_LITEFS_MOUNTINFO_H
#define ECTO_LITEFS_MOUNTINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MOUNTINFO_PATH "/proc/self/mountinfo"

struct mountinfo_key {
    bool has_id; /* kernels before 5.8 do not tell: then go by device */
    uint64_t mnt_id;
    unsigned major;
    unsigned minor;
};

/* If `line` describes the mount `key`, write its source ("litefs",
 * "/dev/sda1") with octal escapes undone and return true. A source that does
 * not fit is cut. */
bool mountinfo_match(const char* line, const struct mountinfo_key* key,
                     char* source, size_t size);

/* 0, -ENOENT when no such mount is listed, or a negative errno. Of several
 * mounts of one device the last one, which is on top, counts. */
int mountinfo_source(const struct mountinfo_key* key, char* source,
                     size_t size);

#endif
