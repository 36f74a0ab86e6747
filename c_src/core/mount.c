#include "mount.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "clock.h"
#include "mount_call.h"
#include "mountinfo.h"

/* Since Linux 6.8: a number that is never given to a second mount. */
#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x00004000U
#endif

enum {
    FUSE_MAGIC = 0x65735546,
    LITEFS_ROOT_INO = 1,
    ROOT_MODE_PRIMARY = 0777,
    LAG_SIZE = 11, /* what LiteFS reports, newline included where it fits */
};

static const unsigned ROOT_MASK =
    STATX_TYPE | STATX_MODE | STATX_INO | STATX_MNT_ID | STATX_MNT_ID_UNIQUE;

int mount_path(char path[PATH_MAX], const char* directory, const char* name,
               const char* suffix)
{
    const char* slash = directory[strlen(directory) - 1] == '/' ? "" : "/";
    int length =
        snprintf(path, PATH_MAX, "%s%s%s%s", directory, slash, name, suffix);

    return length < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int mount_init(struct mount* mount, const char* directory,
               const char* primary_name)
{
    size_t length = strlen(directory);

    *mount = (struct mount){.kind = MOUNT_UNSEEN};
    if (length >= sizeof mount->directory) {
        return -ENAMETOOLONG;
    }
    memcpy(mount->directory, directory, length + 1);
    return mount_path(mount->primary_path, directory, primary_name, "");
}

static enum mount_kind kind_of_error(int err)
{
    switch (err) {
    case ENOENT:
    case ENOTDIR:
        return MOUNT_MISSING;
    case ENOTCONN:
    case ECONNABORTED:
        return MOUNT_DEAD;
    default:
        return MOUNT_UNREADABLE;
    }
}

static void sample_fail(struct mount_sample* sample, int err)
{
    sample->kind = kind_of_error(err);
    sample->err = err;
    sample->root_writable = false;
    sample->primary_file = PRIMARY_FILE_UNREADABLE;
    if (sample->kind == MOUNT_MISSING) {
        sample->err = 0;
        sample->primary_file = PRIMARY_FILE_ABSENT;
    }
    sample->mnt_id = 0;
    sample->dev = 0;
}

/* mountinfo speaks of the short mount id, which the kernel does not give
 * beside the unique one. */
static int mountinfo_key(const struct mount* mount, const struct statx* root,
                         struct mountinfo_key* key)
{
    struct statx short_id = *root;

    if (root->stx_mask & STATX_MNT_ID_UNIQUE) {
        int rv = mount_call_statx(CALL_ROOT_STATX, mount->directory,
                                  STATX_MNT_ID, &short_id);
        if (rv != 0) {
            return rv;
        }
    }
    key->has_id = (short_id.stx_mask & STATX_MNT_ID) != 0;
    key->mnt_id = short_id.stx_mnt_id;
    key->major = root->stx_dev_major;
    key->minor = root->stx_dev_minor;
    return 0;
}

/* What is mounted here? A negative errno where that cannot be told; never
 * "plain" for want of an answer. */
static int classify(const struct mount* mount, const struct statx* root,
                    enum mount_kind* kind)
{
    struct mountinfo_key key;
    struct statfs fs;
    char source[sizeof "litefs" + 1];
    int rv = mount_call_statfs(CALL_ROOT_STATFS, mount->directory, &fs);

    *kind = MOUNT_PLAIN;
    if (rv != 0 || fs.f_type != FUSE_MAGIC ||
        root->stx_ino != LITEFS_ROOT_INO) {
        return rv;
    }
    rv = mountinfo_key(mount, root, &key);
    if (rv == 0) {
        rv = mountinfo_source(&key, source, sizeof source);
        /* Not listed: unmounted a moment ago, or hidden by a chroot. */
        rv = rv == -ENOENT ? -ESTALE : rv;
    }
    if (rv == 0 && strcmp(source, "litefs") == 0) {
        *kind = MOUNT_LITEFS;
    }
    return rv;
}

static bool identity_equal(const struct mount_identity* a,
                           const struct mount_identity* b)
{
    return a->mnt_id == b->mnt_id && a->dev == b->dev && a->ino == b->ino;
}

static int identify(struct mount* mount, struct mount_sample* sample)
{
    struct statx root = {0};
    int rv =
        mount_call_statx(CALL_ROOT_STATX, mount->directory, ROOT_MASK, &root);

    if (rv != 0) {
        return rv;
    }
    if (!S_ISDIR(root.stx_mode)) {
        return -ENOTDIR;
    }
    struct mount_identity identity = {
        .mnt_id = root.stx_mnt_id ^ mount->unmounts << 48,
        .dev = makedev(root.stx_dev_major, root.stx_dev_minor),
        .ino = root.stx_ino,
    };
    if (!identity_equal(&identity, &mount->identity) ||
        (mount->kind != MOUNT_LITEFS && mount->kind != MOUNT_PLAIN)) {
        rv = classify(mount, &root, &mount->kind);
        if (rv != 0) {
            return rv;
        }
        mount->identity = identity;
    }
    sample->kind = mount->kind;
    if (sample->kind == MOUNT_LITEFS) {
        sample->mnt_id = identity.mnt_id;
        sample->dev = identity.dev;
        sample->root_writable =
            (root.stx_mode & ROOT_MODE_PRIMARY) == ROOT_MODE_PRIMARY;
    }
    return 0;
}

bool mount_identify(struct mount* mount, struct mount_sample* sample)
{
    struct mount_identity before = mount->identity;
    enum mount_kind kind_before = mount->kind;
    int rv;

    *sample = (struct mount_sample){
        .started_ms = clock_now_ms(),
        .primary_file = PRIMARY_FILE_UNREADABLE,
        .lag_ms = LAG_UNKNOWN,
    };
    rv = identify(mount, sample);
    if (rv != 0) {
        sample_fail(sample, -rv);
        mount->identity = (struct mount_identity){0};
        mount->kind = sample->kind;
    }
    return mount->kind != kind_before ||
           !identity_equal(&mount->identity, &before);
}

void mount_forget(struct mount* mount)
{
    mount->unmounts++;
}

/* A name that cannot be one leaves the file present and nobody named. */
static void hostname_copy(const char* text, size_t length,
                          char hostname[HOSTNAME_MAX + 1])
{
    while (length > 0 &&
           (text[length - 1] == '\n' || text[length - 1] == '\r')) {
        length--;
    }
    hostname[0] = '\0';
    if (length > HOSTNAME_MAX) {
        return;
    }
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f) {
            return;
        }
    }
    memcpy(hostname, text, length);
    hostname[length] = '\0';
}

/* open() succeeds for a file that LiteFS has dropped already, and access()
 * says "there" for up to a minute: only bytes that were read prove it. */
static int primary_read(const char* path, char* text, size_t size)
{
    struct statx file;
    int rv = mount_call_statx(CALL_PRIMARY_STAT, path, STATX_TYPE, &file);

    if (rv != 0) {
        return rv;
    }
    if (!S_ISREG(file.stx_mode)) {
        return -EINVAL;
    }
    return mount_call_read_file(CALL_PRIMARY_OPEN, CALL_PRIMARY_READ, path,
                                text, size);
}

static void read_primary(const struct mount* mount, struct mount_sample* sample)
{
    char text[HOSTNAME_MAX + 3] = {0}; /* room to see that it is too long */
    int rv = primary_read(mount->primary_path, text, sizeof text);

    if (rv >= 0) {
        sample->primary_file = PRIMARY_FILE_PRESENT;
        hostname_copy(text, (size_t)rv, sample->hostname);
    } else if (rv == -ENOENT) {
        sample->primary_file = PRIMARY_FILE_ABSENT;
    } else if (kind_of_error(-rv) == MOUNT_DEAD) {
        sample_fail(sample, -rv);
    }
}

/* "+000000042\n", or "+2147483647" for a replica that has not synced yet. */
static int64_t lag_parse(const char text[LAG_SIZE + 1])
{
    char* end;
    long long lag;

    if (text[0] != '+' && text[0] != '-') {
        return LAG_UNKNOWN;
    }
    if (text[1] < '0' || text[1] > '9') {
        return LAG_UNKNOWN;
    }
    lag = strtoll(text, &end, 10);
    return *end == '\0' || strcmp(end, "\n") == 0 ? lag : LAG_UNKNOWN;
}

static void read_lag(const struct mount* mount, struct mount_sample* sample)
{
    char path[PATH_MAX];
    char text[LAG_SIZE + 1] = {0};
    int rv = mount_path(path, mount->directory, ".lag", "");

    if (rv == 0) {
        rv = mount_call_read_file(CALL_LAG_OPEN, CALL_LAG_READ, path, text,
                                  LAG_SIZE);
    }
    if (rv >= 0) {
        sample->lag_ms = lag_parse(text);
    } else if (kind_of_error(-rv) == MOUNT_DEAD) {
        sample_fail(sample, -rv);
    }
}

void mount_read(const struct mount* mount, struct mount_sample* sample)
{
    if (sample->kind == MOUNT_LITEFS && sample->root_writable) {
        sample->primary_file = PRIMARY_FILE_ABSENT;
        sample->lag_ms = 0;
        return;
    }
    if (sample->kind == MOUNT_LITEFS || sample->kind == MOUNT_PLAIN) {
        read_primary(mount, sample);
    }
    if (sample->kind == MOUNT_LITEFS) {
        read_lag(mount, sample);
    }
}
