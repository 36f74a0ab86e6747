#include "mount_fixture.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t fault_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t fault_changed = PTHREAD_COND_INITIALIZER;
static int fault_errno[MOUNT_CALLS];
static unsigned fault_calls[MOUNT_CALLS];
static bool fault_blocks[MOUNT_CALLS];
static unsigned fault_blocked;

void fixture_set_up(struct mount_fixture* fixture)
{
    memset(fixture, 0, sizeof *fixture);
    strcpy(fixture->root, "/tmp/ecto_litefs_test_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(fixture->root));
    snprintf(fixture->directory, PATH_MAX, "%s/data", fixture->root);
    snprintf(fixture->primary, PATH_MAX, "%s/data/.primary", fixture->root);
    ck_assert_int_eq(mkdir(fixture->directory, 0755), 0);
}

static int remove_entry(const char* path, const struct stat* st, int type,
                        struct FTW* ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void fixture_tear_down(struct mount_fixture* fixture)
{
    while (umount2(fixture->directory, MNT_DETACH) == 0) {
    }
    nftw(fixture->root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

void fixture_write(const char* path, const char* content, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, content, size), (ssize_t)size);
    close(fd);
}

void fixture_name_primary(struct mount_fixture* fixture, const char* hostname)
{
    char line[512];
    int length = snprintf(line, sizeof line, "%s\n", hostname);

    fixture_write(fixture->primary, line, (size_t)length);
}

bool fixture_unshare(void)
{
    return unshare(CLONE_NEWNS) == 0 &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static int fault_hook(enum mount_call call)
{
    int err;

    pthread_mutex_lock(&fault_mutex);
    fault_calls[call]++;
    if (fault_blocks[call]) {
        fault_blocked++;
        pthread_cond_broadcast(&fault_changed);
        while (fault_blocks[call]) {
            pthread_cond_wait(&fault_changed, &fault_mutex);
        }
        fault_blocked--;
    }
    err = fault_errno[call];
    pthread_mutex_unlock(&fault_mutex);
    return err;
}

void fault_install(void)
{
    pthread_mutex_lock(&fault_mutex);
    memset(fault_errno, 0, sizeof fault_errno);
    memset(fault_calls, 0, sizeof fault_calls);
    memset(fault_blocks, 0, sizeof fault_blocks);
    pthread_mutex_unlock(&fault_mutex);
    mount_fault_set(fault_hook);
}

void fault_inject(enum mount_call call, int err)
{
    pthread_mutex_lock(&fault_mutex);
    fault_errno[call] = err;
    pthread_mutex_unlock(&fault_mutex);
}

void fault_block(enum mount_call call)
{
    pthread_mutex_lock(&fault_mutex);
    fault_blocks[call] = true;
    pthread_mutex_unlock(&fault_mutex);
}

void fault_release(void)
{
    pthread_mutex_lock(&fault_mutex);
    memset(fault_blocks, 0, sizeof fault_blocks);
    pthread_cond_broadcast(&fault_changed);
    pthread_mutex_unlock(&fault_mutex);
}

bool fault_wait_blocked(int64_t limit_ms)
{
    struct timespec until;
    int rv = 0;
    bool blocked;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += limit_ms / 1000;
    pthread_mutex_lock(&fault_mutex);
    while (fault_blocked == 0 && rv != ETIMEDOUT) {
        rv = pthread_cond_timedwait(&fault_changed, &fault_mutex, &until);
    }
    blocked = fault_blocked > 0;
    pthread_mutex_unlock(&fault_mutex);
    return blocked;
}

unsigned fault_count(enum mount_call call)
{
    unsigned count;

    pthread_mutex_lock(&fault_mutex);
    count = fault_calls[call];
    pthread_mutex_unlock(&fault_mutex);
    return count;
}
