#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "mount_thread.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct mount_directory* directories;

void mount_registry_lock(void)
{
    pthread_mutex_lock(&mutex);
}

void mount_registry_unlock(void)
{
    pthread_mutex_unlock(&mutex);
}

static struct mount_directory* find(const struct mount* mount)
{
    struct mount_directory* directory = directories;

    while (directory != NULL &&
           (strcmp(directory->mount.directory, mount->directory) != 0 ||
            strcmp(directory->mount.primary_path, mount->primary_path) != 0)) {
        directory = directory->next;
    }
    return directory;
}

/* Nobody ever joins it: it may be stuck in LiteFS for ever. It takes no
 * signals, which are the VM's business. */
static int start(struct mount_directory* directory)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all;
    sigset_t before;
    int rv = pthread_attr_init(&attr);

    if (rv != 0) {
        return -rv;
    }
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    rv = pthread_create(&thread, &attr, mount_thread_main, directory);
    if (rv == 0) {
        pthread_setname_np(thread, "litefs_mount");
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return rv == 0 ? 0 : -EAGAIN;
}

static int create(const struct mount* mount, const char* primary_name,
                  struct mount_directory** out)
{
    struct mount_directory* directory = calloc(1, sizeof *directory);
    int rv;

    if (directory == NULL) {
        return -ENOMEM;
    }
    directory->mount = *mount;
    rv = watch_open(&directory->watch, primary_name);
    if (rv != 0) {
        rv = rv == -ENAMETOOLONG ? rv : -EAGAIN;
        goto err_after_alloc;
    }
    rv = start(directory);
    if (rv != 0) {
        goto err_after_watch;
    }
    directory->next = directories;
    directories = directory;
    *out = directory;
    return 0;

err_after_watch:
    watch_close(&directory->watch);
err_after_alloc:
    free(directory);
    return rv;
}

int mount_registry_get(const char* path, const char* primary_name,
                       struct mount_directory** directory)
{
    struct mount mount;
    int rv = mount_init(&mount, path, primary_name);

    if (rv != 0) {
        return rv;
    }
    *directory = find(&mount);
    return *directory != NULL ? 0 : create(&mount, primary_name, directory);
}

void mount_registry_remove(struct mount_directory* directory)
{
    struct mount_directory** at = &directories;

    while (*at != directory) {
        at = &(*at)->next;
    }
    *at = directory->next;
}

unsigned mount_registry_count(void)
{
    unsigned count = 0;

    mount_registry_lock();
    for (struct mount_directory* d = directories; d != NULL; d = d->next) {
        count++;
    }
    mount_registry_unlock();
    return count;
}
