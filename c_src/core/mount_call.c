#include "mount_call.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

/* Set by tests before their threads look; atomic because a thread that a test
 * left behind may still read it. */
static _Atomic(mount_fault_fn) fault_hook;

void mount_fault_set(mount_fault_fn fault)
{
    atomic_store(&fault_hook, fault);
}

static int fault(enum mount_call call)
{
    mount_fault_fn hook =
        atomic_load_explicit(&fault_hook, memory_order_acquire);

    return hook == NULL ? 0 : -hook(call);
}

int mount_call_statx(enum mount_call call, const char* path, unsigned mask,
                     struct statx* result)
{
    int rv = fault(call);

    if (rv != 0) {
        return rv;
    }
    /* Without FORCE_SYNC the kernel answers from attributes that may be a
     * minute old. */
    rv = statx(AT_FDCWD, path, AT_STATX_FORCE_SYNC, mask, result);
    return rv == 0 ? 0 : -errno;
}

int mount_call_statfs(enum mount_call call, const char* path,
                      struct statfs* result)
{
    int rv = fault(call);

    if (rv != 0) {
        return rv;
    }
    rv = statfs(path, result);
    return rv == 0 ? 0 : -errno;
}

int mount_call_open(enum mount_call call, const char* path)
{
    int rv = fault(call);

    if (rv != 0) {
        return rv;
    }
    rv = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    return rv >= 0 ? rv : -errno;
}

int mount_call_pread(enum mount_call call, int fd, char* buffer, size_t size)
{
    int rv = fault(call);
    ssize_t got;

    if (rv != 0) {
        return rv;
    }
    do {
        got = pread(fd, buffer, size, 0);
    } while (got < 0 && errno == EINTR);
    return got >= 0 ? (int)got : -errno;
}

void mount_call_close(enum mount_call call, int fd)
{
    (void)fault(call);
    close(fd);
}

static int read_all(enum mount_call call, int fd, char* buffer, size_t size)
{
    size_t used = 0;

    while (used < size) {
        int rv = fault(call);
        ssize_t got;

        if (rv != 0) {
            return rv;
        }
        got = read(fd, buffer + used, size - used);
        if (got < 0 && errno != EINTR) {
            return -errno;
        }
        if (got == 0) {
            break;
        }
        used += got > 0 ? (size_t)got : 0;
    }
    return (int)used;
}

int mount_call_read_file(enum mount_call open_call, enum mount_call read_call,
                         const char* path, char* buffer, size_t size)
{
    int fd = mount_call_open(open_call, path);
    int rv;

    if (fd < 0) {
        return fd;
    }
    rv = read_all(read_call, fd, buffer, size);
    close(fd);
    return rv;
}
