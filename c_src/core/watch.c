#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdalign.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "mountinfo.h"

enum {
    PLAIN_MASK = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
                 IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR,
    /* IN_UNMOUNT always comes, but an empty mask is refused; a mount's root
     * is never deleted. */
    LITEFS_MASK = IN_DELETE_SELF | IN_ONLYDIR,
};

int watch_open(struct watch* watch, const char* name)
{
    size_t length = strlen(name);

    *watch = (struct watch){-1, -1, -1, -1, ""};
    if (length >= sizeof watch->name) {
        return -ENAMETOOLONG;
    }
    memcpy(watch->name, name, length + 1);
    watch->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (watch->wake_fd < 0) {
        return -errno;
    }
    watch->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    watch->mountinfo_fd = open(MOUNTINFO_PATH, O_RDONLY | O_CLOEXEC);
    return 0;
}

static void close_if_open(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

void watch_close(struct watch* watch)
{
    close_if_open(watch->wake_fd);
    close_if_open(watch->inotify_fd);
    close_if_open(watch->mountinfo_fd);
    *watch = (struct watch){-1, -1, -1, -1, ""};
}

void watch_wake(struct watch* watch)
{
    uint64_t one = 1;

    /* EAGAIN means that the counter is full, so the wake-up is there. */
    while (write(watch->wake_fd, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

void watch_arm(struct watch* watch, const char* directory, enum mount_kind kind)
{
    if (watch->inotify_fd < 0) {
        return;
    }
    if (watch->wd >= 0) {
        inotify_rm_watch(watch->inotify_fd, watch->wd);
        watch->wd = -1;
    }
    if (kind == MOUNT_PLAIN || kind == MOUNT_LITEFS) {
        watch->wd =
            inotify_add_watch(watch->inotify_fd, directory,
                              kind == MOUNT_PLAIN ? PLAIN_MASK : LITEFS_MASK);
    }
}

bool watch_armed(const struct watch* watch)
{
    return watch->wd >= 0;
}

static unsigned event_bits(struct watch* watch,
                           const struct inotify_event* event)
{
    unsigned bits = 0;

    if (event->mask & IN_Q_OVERFLOW) {
        return WATCH_FILE;
    }
    /* Left over from a watch that was replaced. */
    if (event->wd != watch->wd) {
        return 0;
    }
    if (event->mask & IN_IGNORED) {
        watch->wd = -1;
        bits |= WATCH_FILE;
    }
    if (event->mask & IN_UNMOUNT) {
        bits |= WATCH_UNMOUNTED;
    }
    if (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF)) {
        bits |= WATCH_FILE;
    }
    /* Whatever else happens in the directory, SQLite does it, often. */
    if (event->len > 0 && strcmp(event->name, watch->name) == 0) {
        bits |= WATCH_FILE;
    }
    return bits;
}

static unsigned drain_inotify(struct watch* watch)
{
    alignas(struct inotify_event) char buffer[4096];
    unsigned bits = 0;

    for (;;) {
        ssize_t got = read(watch->inotify_fd, buffer, sizeof buffer);
        const char* at = buffer;

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return bits;
        }
        while (at < buffer + got) {
            const struct inotify_event* event = (const void*)at;

            bits |= event_bits(watch, event);
            at += sizeof *event + event->len;
        }
    }
}

static void drain_wake(struct watch* watch)
{
    uint64_t count;

    while (read(watch->wake_fd, &count, sizeof count) < 0 && errno == EINTR) {
    }
}

unsigned watch_wait(struct watch* watch, int64_t timeout_ms)
{
    struct pollfd fds[] = {
        {.fd = watch->wake_fd, .events = POLLIN},
        {.fd = watch->inotify_fd, .events = POLLIN},
        /* It is always readable; the priority bit says that it changed. */
        {.fd = watch->mountinfo_fd, .events = POLLPRI},
    };
    struct timespec timeout = {.tv_sec = timeout_ms / 1000,
                               .tv_nsec = timeout_ms % 1000 * 1000000};
    unsigned bits = 0;

    if (ppoll(fds, 3, timeout_ms < 0 ? NULL : &timeout, NULL) <= 0) {
        return 0;
    }
    if (fds[0].revents != 0) {
        drain_wake(watch);
        bits |= WATCH_WOKEN;
    }
    if (fds[1].revents != 0) {
        bits |= drain_inotify(watch);
    }
    if (fds[2].revents != 0) {
        bits |= WATCH_MOUNTS;
    }
    return bits;
}
