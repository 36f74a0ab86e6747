#include "fuse_stub.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    NODE_ROOT = 1,
    NODE_PRIMARY,
    NODE_LAG,
    NODE_POSITION,
    CACHE_SECONDS = 60
};

bool fuse_stub_possible(void)
{
    return geteuid() == 0 && access("/dev/fuse", R_OK | W_OK) == 0;
}

static void reply(struct fuse_stub* stub, uint64_t unique, int err,
                  const void* data, size_t size)
{
    struct fuse_out_header header = {
        .len = (uint32_t)(sizeof header + size),
        .error = -err,
        .unique = unique,
    };
    struct iovec parts[] = {{&header, sizeof header}, {(void*)data, size}};

    /* ENOENT: the caller was interrupted and does not wait any more. */
    if (writev(stub->device_fd, parts, size > 0 ? 2 : 1) < 0 &&
        errno != ENOENT) {
        perror("fuse_stub");
    }
}

static bool is_position(uint64_t node)
{
    return node >= NODE_POSITION && node < NODE_POSITION + FUSE_STUB_DBS;
}

/* The content of a node, NULL where it does not exist now. */
static const char* content_of(struct fuse_stub* stub, uint64_t node)
{
    if (is_position(node)) {
        const char* content = stub->positions[node - NODE_POSITION].content;

        return content[0] != '\0' ? content : NULL;
    }
    switch (node) {
    case NODE_PRIMARY:
        return stub->has_primary_file ? stub->primary_file : NULL;
    case NODE_LAG:
        return stub->lag;
    default:
        return NULL;
    }
}

static bool attr_of(struct fuse_stub* stub, uint64_t node,
                    struct fuse_attr* attr)
{
    const char* content = content_of(stub, node);

    *attr = (struct fuse_attr){.ino = node, .nlink = 1};
    if (node == NODE_ROOT) {
        attr->mode = S_IFDIR | (stub->primary ? 0777 : 0555);
        return true;
    }
    attr->mode = S_IFREG | 0444;
    attr->size = content != NULL ? strlen(content) : 0;
    return content != NULL;
}

static void on_init(struct fuse_stub* stub, uint64_t unique)
{
    struct fuse_init_out out = {
        .major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096};

    reply(stub, unique, 0, &out, sizeof out);
}

static void on_getattr(struct fuse_stub* stub, uint64_t unique, uint64_t node)
{
    struct fuse_attr_out out = {.attr_valid =
                                    node == NODE_ROOT ? CACHE_SECONDS : 0};

    if (attr_of(stub, node, &out.attr)) {
        reply(stub, unique, 0, &out, sizeof out);
    } else {
        reply(stub, unique, ENOENT, NULL, 0);
    }
}

/* 0 where there is none. */
static uint64_t node_of(struct fuse_stub* stub, const char* name)
{
    for (int i = 0; i < FUSE_STUB_DBS; i++) {
        if (strcmp(name, stub->positions[i].name) == 0) {
            return (uint64_t)(NODE_POSITION + i);
        }
    }
    return strcmp(name, ".primary") == 0 ? NODE_PRIMARY
           : strcmp(name, ".lag") == 0   ? NODE_LAG
                                         : 0;
}

static void on_lookup(struct fuse_stub* stub, uint64_t unique, const char* name)
{
    struct fuse_entry_out out = {.entry_valid = CACHE_SECONDS};

    stub->lookups++;
    out.nodeid = node_of(stub, name);
    if (out.nodeid != 0 && attr_of(stub, out.nodeid, &out.attr)) {
        reply(stub, unique, 0, &out, sizeof out);
    } else {
        reply(stub, unique, ENOENT, NULL, 0);
    }
}

static void on_read(struct fuse_stub* stub, uint64_t unique, uint64_t node,
                    const struct fuse_read_in* in)
{
    const char* content = content_of(stub, node);
    size_t size = content != NULL ? strlen(content) : 0;

    if (content == NULL) {
        reply(stub, unique, ENOENT, NULL, 0);
    } else if (in->offset >= size) {
        reply(stub, unique, 0, NULL, 0);
    } else {
        size -= in->offset;
        reply(stub, unique, 0, content + in->offset,
              size < in->size ? size : in->size);
    }
}

static void on_request(struct fuse_stub* stub, const struct fuse_in_header* in)
{
    static const struct fuse_open_out opened;
    static const struct fuse_statfs_out statfs;

    switch (in->opcode) {
    case FUSE_INIT:
        on_init(stub, in->unique);
        break;
    case FUSE_GETATTR:
        on_getattr(stub, in->unique, in->nodeid);
        break;
    case FUSE_LOOKUP:
        on_lookup(stub, in->unique, (const char*)(in + 1));
        break;
    case FUSE_OPEN:
        /* Like LiteFS: also for a file that is gone. */
        stub->open_files++;
        reply(stub, in->unique, 0, &opened, sizeof opened);
        break;
    case FUSE_READ:
        on_read(stub, in->unique, in->nodeid,
                (const struct fuse_read_in*)(const void*)(in + 1));
        break;
    case FUSE_STATFS:
        reply(stub, in->unique, 0, &statfs, sizeof statfs);
        break;
    case FUSE_RELEASE:
        stub->open_files--;
        reply(stub, in->unique, 0, NULL, 0);
        break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        break; /* want no answer */
    default:
        reply(stub, in->unique, ENOSYS, NULL, 0);
    }
}

static bool is_frozen(const struct fuse_stub* stub,
                      const struct fuse_in_header* in)
{
    return stub->frozen || (stub->position_frozen && is_position(in->nodeid));
}

static void* stub_main(void* arg)
{
    struct fuse_stub* stub = arg;
    alignas(struct fuse_in_header) char buffer[16384];
    struct pollfd fds[] = {{.fd = stub->device_fd, .events = POLLIN},
                           {.fd = stub->stop_fd, .events = POLLIN}};

    while (poll(fds, 2, -1) > 0 && fds[1].revents == 0) {
        ssize_t got = read(stub->device_fd, buffer, sizeof buffer);

        if (got < 0 && errno == ENODEV) {
            break; /* unmounted */
        }
        if (got < 0) {
            continue;
        }
        pthread_mutex_lock(&stub->mutex);
        while (is_frozen(stub, (const void*)buffer)) {
            pthread_cond_wait(&stub->thawed, &stub->mutex);
        }
        stub->requests++;
        on_request(stub, (const void*)buffer);
        pthread_mutex_unlock(&stub->mutex);
    }
    return NULL;
}

/* The first FLUSH is answered with ENOSYS, and after that the kernel sends
 * none. LiteFS takes them; but a process that ends with a descriptor open on
 * a file system of its own would wait for its own answer, for ever. */
static void end_flushes(struct fuse_stub* stub, const char* directory)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/.flush", directory);
    strcpy(stub->positions[0].name, ".flush");
    strcpy(stub->positions[0].content, "x");
    close(open(path, O_RDONLY | O_CLOEXEC));
    while (fuse_stub_open_files(stub) != 0) {
        sched_yield();
    }
    pthread_mutex_lock(&stub->mutex);
    memset(&stub->positions[0], 0, sizeof stub->positions[0]);
    stub->lookups = 0;
    stub->requests = 0;
    pthread_mutex_unlock(&stub->mutex);
}

void fuse_stub_start(struct fuse_stub* stub, const char* directory,
                     const char* source)
{
    char options[128];

    memset(stub, 0, sizeof *stub);
    pthread_mutex_init(&stub->mutex, NULL);
    pthread_cond_init(&stub->thawed, NULL);
    strcpy(stub->lag, "+000000000\n");
    stub->device_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    ck_assert_int_ge(stub->device_fd, 0);
    stub->stop_fd = eventfd(0, EFD_CLOEXEC);
    snprintf(options, sizeof options,
             "fd=%d,rootmode=40000,user_id=0,group_id=0", stub->device_fd);
    ck_assert_msg(
        mount(source, directory, "fuse", MS_NOSUID | MS_NODEV, options) == 0,
        "mount: %s", strerror(errno));
    ck_assert_int_eq(pthread_create(&stub->thread, NULL, stub_main, stub), 0);
    end_flushes(stub, directory);
}

void fuse_stub_die(struct fuse_stub* stub)
{
    fuse_stub_freeze(stub, false);
    fuse_stub_freeze_positions(stub, false);
    eventfd_write(stub->stop_fd, 1);
    pthread_join(stub->thread, NULL);
    close(stub->device_fd);
    close(stub->stop_fd);
}

void fuse_stub_set_primary(struct fuse_stub* stub, bool primary)
{
    pthread_mutex_lock(&stub->mutex);
    stub->primary = primary;
    pthread_mutex_unlock(&stub->mutex);
}

void fuse_stub_name_primary(struct fuse_stub* stub, const char* content)
{
    pthread_mutex_lock(&stub->mutex);
    stub->has_primary_file = content != NULL;
    snprintf(stub->primary_file, sizeof stub->primary_file, "%s",
             content != NULL ? content : "");
    pthread_mutex_unlock(&stub->mutex);
}

void fuse_stub_set_lag(struct fuse_stub* stub, const char* content)
{
    pthread_mutex_lock(&stub->mutex);
    snprintf(stub->lag, sizeof stub->lag, "%s", content);
    pthread_mutex_unlock(&stub->mutex);
}

/* The kernel may wait for a read that is under way, so the mutex, without
 * which that is not answered, must be free. */
static void invalidate(struct fuse_stub* stub, uint64_t node)
{
    struct fuse_notify_inval_inode_out out = {.ino = node};

    reply(stub, 0, -FUSE_NOTIFY_INVAL_INODE, &out, sizeof out);
}

void fuse_stub_set_position(struct fuse_stub* stub, const char* db,
                            const char* content)
{
    char name[64];
    int at = 0;

    snprintf(name, sizeof name, "%s-pos", db);
    pthread_mutex_lock(&stub->mutex);
    while (stub->positions[at].name[0] != '\0' &&
           strcmp(stub->positions[at].name, name) != 0) {
        at++;
        ck_assert_int_lt(at, FUSE_STUB_DBS);
    }
    strcpy(stub->positions[at].name, name);
    snprintf(stub->positions[at].content, sizeof stub->positions[at].content,
             "%s", content != NULL ? content : "");
    pthread_mutex_unlock(&stub->mutex);
    invalidate(stub, (uint64_t)(NODE_POSITION + at));
}

void fuse_stub_freeze(struct fuse_stub* stub, bool frozen)
{
    pthread_mutex_lock(&stub->mutex);
    stub->frozen = frozen;
    pthread_cond_broadcast(&stub->thawed);
    pthread_mutex_unlock(&stub->mutex);
}

void fuse_stub_freeze_positions(struct fuse_stub* stub, bool frozen)
{
    pthread_mutex_lock(&stub->mutex);
    stub->position_frozen = frozen;
    pthread_cond_broadcast(&stub->thawed);
    pthread_mutex_unlock(&stub->mutex);
}

unsigned fuse_stub_lookups(struct fuse_stub* stub)
{
    unsigned lookups;

    pthread_mutex_lock(&stub->mutex);
    lookups = stub->lookups;
    pthread_mutex_unlock(&stub->mutex);
    return lookups;
}

unsigned fuse_stub_requests(struct fuse_stub* stub)
{
    unsigned requests;

    pthread_mutex_lock(&stub->mutex);
    requests = stub->requests;
    pthread_mutex_unlock(&stub->mutex);
    return requests;
}

int fuse_stub_open_files(struct fuse_stub* stub)
{
    int open_files;

    pthread_mutex_lock(&stub->mutex);
    open_files = stub->open_files;
    pthread_mutex_unlock(&stub->mutex);
    return open_files;
}
