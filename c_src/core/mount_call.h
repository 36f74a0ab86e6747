/*
 * The system calls that look at the directory, each with a label.
 *
 * All of them can fail, and on a hung LiteFS all of them can block for ever.
 * The labels let a test say which one fails, with what, or blocks.
 */
#ifndef ECTO_LITEFS_MOUNT_CALL_H
#define ECTO_LITEFS_MOUNT_CALL_H

#include <stddef.h>
#include <sys/stat.h>
#include <sys/statfs.h>

enum mount_call {
    CALL_ROOT_STATX = 0,
    CALL_ROOT_STATFS,
    CALL_MOUNTINFO_OPEN,
    CALL_PRIMARY_STAT,
    CALL_PRIMARY_OPEN,
    CALL_PRIMARY_READ,
    CALL_LAG_OPEN,
    CALL_LAG_READ,
    CALL_POSITION_OPEN,
    CALL_POSITION_READ,
    CALL_POSITION_CLOSE,
    MOUNT_CALLS,
};

/* All give 0 (or a descriptor, or a size), or a negative errno. Descriptors
 * are close-on-exec, and open() does not wait for a FIFO's writer. */
int mount_call_statx(enum mount_call call, const char* path, unsigned mask,
                     struct statx* result);
int mount_call_statfs(enum mount_call call, const char* path,
                      struct statfs* result);
int mount_call_open(enum mount_call call, const char* path);

/* Open, read up to `size` bytes from the start, close. */
int mount_call_read_file(enum mount_call open_call, enum mount_call read_call,
                         const char* path, char* buffer, size_t size);

/* One read of up to `size` bytes from the start of an open file: to read on
 * until the end would ask LiteFS once more. */
int mount_call_pread(enum mount_call call, int fd, char* buffer, size_t size);

/* Closed in any case; but it asks LiteFS, so it may block as well. */
void mount_call_close(enum mount_call call, int fd);

/* For tests only: asked before every call; what it returns, if not 0, is the
 * errno to fail with instead. It may block. NULL takes it away. */
typedef int (*mount_fault_fn)(enum mount_call call);
void mount_fault_set(mount_fault_fn fault);

#endif
