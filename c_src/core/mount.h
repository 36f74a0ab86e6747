/*
 * One look at the directory, with system calls that may block for ever.
 *
 * A look has two halves, so that the caller can place its watch between them
 * and miss nothing: mount_identify() asks what the directory is, mount_read()
 * what its files say. Nothing stays open afterwards: a kept descriptor would
 * stop LiteFS from unmounting, and a restarted one from mounting.
 */
#ifndef ECTO_LITEFS_MOUNT_H
#define ECTO_LITEFS_MOUNT_H

#include <limits.h>

#include "role.h"

struct mount_identity {
    uint64_t mnt_id;
    uint64_t dev;
    uint64_t ino;
};

struct mount {
    char directory[PATH_MAX];
    char primary_path[PATH_MAX];
    enum mount_kind kind; /* what the identity was found to be */
    struct mount_identity identity;
    uint64_t unmounts; /* part of the identity: kernels reuse both numbers */
};

/* 0 or -ENAMETOOLONG. */
int mount_init(struct mount* mount, const char* directory,
               const char* primary_name);

/* First half: starts `sample` and fills kind, identity, root_writable, err.
 * True when the directory is not what it was at the last look. */
bool mount_identify(struct mount* mount, struct mount_sample* sample);

/*
 * Second half: `.primary` and `.lag`. On a LiteFS mount whose root says
 * "primary" neither is looked up: `.primary` cannot be there and the lag is
 * 0, and a LOOKUP at the moment of a lease change can deadlock LiteFS.
 */
void mount_read(const struct mount* mount, struct mount_sample* sample);

/* The file system that was looked at is unmounted: whatever is there now is
 * another one, even if the kernel gave it the same numbers. */
void mount_forget(struct mount* mount);

/* "directory/name" and the suffix after it. 0 or -ENAMETOOLONG. */
int mount_path(char path[PATH_MAX], const char* directory, const char* name,
               const char* suffix);

#endif
