#include "detector.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "stream_source.h"

enum {
    GRACE_MS = 2500,
    PROBE_TIMEOUT_MS = 2000,
    POLL_MAX_MS = 24 * 3600 * 1000, /* leaves room for sums with the time */
};

struct detector {
    struct status_cell* cell;
    struct stream_source* stream; /* NULL where there is none */
    /* The stream is opened first, and its thread may hint at once. */
    _Atomic(struct mount_source*) mount;
    enum mount_mode mode;
};

/* The cell frees its context with its last reference, but a detector that
 * could not be opened must leave the caller's alone. */
struct owner {
    struct status_cell_hooks hooks;
    bool opened;
};

static void owner_changed(void* ctx)
{
    struct owner* owner = ctx;

    if (owner->hooks.changed != NULL) {
        owner->hooks.changed(owner->hooks.ctx);
    }
}

static void owner_moved(void* ctx)
{
    struct owner* owner = ctx;

    if (owner->hooks.moved != NULL) {
        owner->hooks.moved(owner->hooks.ctx);
    }
}

static void owner_free(void* ctx)
{
    struct owner* owner = ctx;

    if (owner->opened && owner->hooks.free != NULL) {
        owner->hooks.free(owner->hooks.ctx);
    }
    free(owner);
}

static int64_t poll_interval(const struct detector_config* config)
{
    return config->poll_interval_ms < POLL_MAX_MS ? config->poll_interval_ms
                                                  : POLL_MAX_MS;
}

static int cell_open(const struct detector_config* config, struct owner* owner,
                     struct status_cell** cell)
{
    struct role_config role = {
        .mode = config->mode,
        .stream_enabled = config->events_url != NULL,
        .poll_enabled = config->poll_interval_ms > 0,
        .litefs_seen = config->litefs_seen,
        .poll_interval_ms = poll_interval(config),
        .grace_ms = GRACE_MS,
        .probe_timeout_ms = PROBE_TIMEOUT_MS,
    };
    struct status_cell_hooks hooks = {.changed = owner_changed,
                                      .moved = owner_moved,
                                      .free = owner_free,
                                      .ctx = owner};

    return status_cell_open(&role, &hooks, cell);
}

static void hint_mount(void* ctx)
{
    struct detector* detector = ctx;
    struct mount_source* mount = atomic_load(&detector->mount);

    /* Without one yet: attaching it looks at the directory anyway. */
    if (mount != NULL) {
        mount_source_hint(mount);
    }
}

static bool is_file_name(const char* name)
{
    return name[0] != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* Cut "/litefs/.primary" into "/litefs", which is new memory, and ".primary",
 * which is not. */
static int split(const char* path, char** directory, const char** name)
{
    const char* slash;
    size_t length;

    if (path == NULL || path[0] != '/') {
        return -EINVAL;
    }
    slash = strrchr(path, '/');
    if (!is_file_name(slash + 1)) {
        return -EINVAL;
    }
    /* Two spellings of one directory are to share its thread. */
    length = (size_t)(slash - path);
    while (length > 0 && path[length - 1] == '/') {
        length--;
    }
    *name = slash + 1;
    *directory = length > 0 ? strndup(path, length) : strdup("/");
    return *directory != NULL ? 0 : -ENOMEM;
}

static int mount_open(const struct detector_config* config,
                      struct detector* detector)
{
    struct mount_source_config mount = {.poll_interval_ms =
                                            poll_interval(config)};
    struct mount_source* source;
    char* directory;
    int rv = split(config->primary_file, &directory, &mount.primary_name);

    if (rv != 0) {
        return rv;
    }
    mount.directory = directory;
    rv = mount_source_attach(&mount, detector->cell, &source);
    free(directory);
    if (rv == 0) {
        atomic_store(&detector->mount, source);
    }
    return rv == -ENAMETOOLONG ? -EINVAL : rv;
}

/* The mount comes last: nothing can fail once a thread that is never joined
 * knows the cell. */
static int sources_open(const struct detector_config* config,
                        struct detector* detector)
{
    int rv;

    if (config->events_url != NULL) {
        rv = stream_source_open(config->events_url, detector->cell, hint_mount,
                                detector, &detector->stream);
        if (rv != 0) {
            return rv;
        }
    }
    rv = mount_open(config, detector);
    if (rv != 0 && detector->stream != NULL) {
        stream_source_close(detector->stream);
    }
    return rv;
}

int detector_open(const struct detector_config* config,
                  const struct status_cell_hooks* hooks, struct detector** out)
{
    struct detector* detector = calloc(1, sizeof *detector);
    struct owner* owner = calloc(1, sizeof *owner);
    int rv = -ENOMEM;

    if (detector == NULL || owner == NULL) {
        goto err_after_alloc;
    }
    if (hooks != NULL) {
        owner->hooks = *hooks;
    }
    owner->opened = true;
    detector->mode = config->mode;
    rv = cell_open(config, owner, &detector->cell);
    if (rv != 0) {
        goto err_after_alloc;
    }
    rv = sources_open(config, detector);
    if (rv != 0) {
        goto err_after_cell;
    }
    *out = detector;
    return 0;

err_after_cell:
    /* No thread of ours is left, so this is the last reference. */
    owner->opened = false;
    status_cell_unref(detector->cell);
    owner = NULL;
err_after_alloc:
    free(owner);
    free(detector);
    return rv;
}

void detector_close(struct detector* detector)
{
    status_cell_shut(detector->cell);
    if (detector->stream != NULL) {
        stream_source_close(detector->stream);
    }
    mount_source_detach(atomic_load(&detector->mount));
    status_cell_unref(detector->cell);
    free(detector);
}

struct status_cell* detector_cell(struct detector* detector)
{
    return detector->cell;
}

int detector_check(struct detector* detector, const char* db,
                   mount_check_fn done, void* ctx)
{
    return mount_source_check(atomic_load(&detector->mount), db, done, ctx);
}

int detector_watch(struct detector* detector, const char* db, bool on)
{
    return mount_source_watch(atomic_load(&detector->mount), db, on);
}

void detector_hint(struct detector* detector)
{
    hint_mount(detector);
}

static void post(struct detector* detector, const struct role_input* input)
{
    if (status_cell_post(detector->cell, input, NULL) & EFFECT_PROBE) {
        hint_mount(detector);
    }
}

int detector_set_manual(struct detector* detector, enum manual_role role)
{
    struct role_input input = {.type = INPUT_MANUAL, .manual = role};
    struct status status;

    status_cell_snapshot(detector->cell, &status);
    if (status.litefs_seen || status.mount == MOUNT_LITEFS ||
        detector->mode == MODE_REQUIRED) {
        return -EPERM;
    }
    post(detector, &input);
    return 0;
}

void detector_reconnected(struct detector* detector, uint64_t epoch)
{
    struct role_input input = {.type = INPUT_RECONNECTED, .reconnected = epoch};

    post(detector, &input);
}
