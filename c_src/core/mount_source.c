#include "mount_source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "mount_thread.h"

enum { CHECKS_MAX = 4096 };

void mount_request(struct mount_directory* directory,
                   enum mount_request request)
{
    /* Only who sets the bit wakes: a thread that is stuck is not written to
     * again and again. */
    if ((atomic_fetch_or(&directory->requests, request) & request) == 0) {
        watch_wake(&directory->watch);
    }
}

static struct mount_source* source_new(struct status_cell* cell,
                                       int64_t poll_interval_ms)
{
    struct mount_source* source = calloc(1, sizeof *source);

    if (source != NULL) {
        source->cell = status_cell_ref(cell);
        source->poll_interval_ms = poll_interval_ms;
        source->checks_end = &source->checks;
        source->refs = 1;
    }
    return source;
}

void mount_source_free(struct mount_source* source)
{
    status_cell_unref(source->cell);
    free(source);
}

int mount_source_attach(const struct mount_source_config* config,
                        struct status_cell* cell, struct mount_source** out)
{
    struct role_input wanted = {.type = INPUT_PROBE_STARTED};
    struct mount_source* source = source_new(cell, config->poll_interval_ms);
    int rv;

    if (source == NULL) {
        return -ENOMEM;
    }
    /* The thread may be stuck since long before this cell: then the time for
     * its first probe has to run all the same. */
    status_cell_post(cell, &wanted, NULL);
    mount_registry_lock();
    rv = mount_registry_get(config->directory, config->primary_name,
                            &source->directory);
    if (rv == 0) {
        source->next = source->directory->sources;
        source->directory->sources = source;
    }
    mount_registry_unlock();
    if (rv != 0) {
        mount_source_free(source);
        return rv;
    }
    mount_request(source->directory, REQUEST_SOON);
    *out = source;
    return 0;
}

void mount_source_detach(struct mount_source* source)
{
    struct mount_directory* directory = source->directory;
    struct mount_source** at = &directory->sources;
    struct mount_check* checks;
    bool last;

    mount_registry_lock();
    while (*at != source) {
        at = &(*at)->next;
    }
    *at = source->next;
    checks = mount_checks_take(source, UINT64_MAX);
    last = --source->refs == 0;
    /* With the mutex held, because the thread may end and free the directory
     * as soon as it is not. */
    watch_wake(&directory->watch);
    mount_registry_unlock();
    mount_checks_answer(checks, ROLE_UNKNOWN);
    if (last) {
        mount_source_free(source);
    }
}

void mount_source_hint(struct mount_source* source)
{
    mount_request(source->directory, REQUEST_HINT);
}

int mount_source_check(struct mount_source* source, const char* db,
                       mount_check_fn done, void* ctx)
{
    struct mount_check* check = malloc(sizeof *check);
    bool full;

    if (check == NULL) {
        return -ENOMEM;
    }
    *check = (struct mount_check){.done = done, .ctx = ctx};
    if (db != NULL) {
        db_name_copy(check->db, db);
    }
    mount_registry_lock();
    full = source->check_count == CHECKS_MAX;
    if (!full) {
        check->probe = source->directory->probes + 1;
        *source->checks_end = check;
        source->checks_end = &check->next;
        source->check_count++;
    }
    mount_registry_unlock();
    if (full) {
        free(check);
        return -EAGAIN;
    }
    watch_wake(&source->directory->watch);
    return 0;
}

/* With the mutex: its place, or a free one, or NULL. */
static struct mount_watch* watch_place(struct mount_source* source,
                                       const char* db)
{
    struct mount_watch* free_place = NULL;

    for (int i = 0; i < POSITIONS_MAX; i++) {
        struct mount_watch* watch = &source->watches[i];

        if (strcmp(watch->db, db) == 0) {
            return watch;
        }
        if (watch->db[0] == '\0') {
            free_place = watch;
        }
    }
    return free_place;
}

/* With the mutex. 0 or -EAGAIN. */
static int watch_set(struct mount_source* source, const char* db, bool on)
{
    struct mount_watch* watch = watch_place(source, db);
    bool was_on = watch != NULL && watch->db[0] != '\0';

    if (watch == NULL) {
        return on ? -EAGAIN : 0;
    }
    if (on && !was_on) {
        *watch = (struct mount_watch){.due_ms = clock_now_ms()};
        db_name_copy(watch->db, db);
        source->watch_count++;
    }
    if (!on && was_on) {
        watch->db[0] = '\0';
        source->watch_count--;
    }
    return 0;
}

int mount_source_watch(struct mount_source* source, const char* db, bool on)
{
    int rv = 0;

    mount_registry_lock();
    if (db == NULL) {
        memset(source->watches, 0, sizeof source->watches);
        source->watch_count = 0;
    } else if (db[0] != '\0' && strlen(db) <= DB_NAME_MAX) {
        rv = watch_set(source, db, on);
    }
    mount_registry_unlock();
    if (on) {
        watch_wake(&source->directory->watch);
    }
    return rv;
}

struct mount_check* mount_checks_take(struct mount_source* source,
                                      uint64_t probe)
{
    struct mount_check* first = source->checks;
    struct mount_check** at = &source->checks;

    /* They were queued in the order of the probes that they wait for. */
    while (*at != NULL && (*at)->probe <= probe) {
        at = &(*at)->next;
        source->check_count--;
    }
    if (at == &source->checks) {
        return NULL;
    }
    source->checks = *at;
    if (source->checks == NULL) {
        source->checks_end = &source->checks;
    }
    *at = NULL;
    return first;
}

void mount_checks_answer(struct mount_check* checks, enum role role)
{
    while (checks != NULL) {
        struct mount_check* check = checks;

        bool known = role != ROLE_UNKNOWN && check->has_position;

        checks = check->next;
        check->done(check->ctx, role, known ? &check->position : NULL);
        free(check);
    }
}
