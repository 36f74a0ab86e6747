#include "mount_thread.h"

#include <stdlib.h>

#include "clock.h"
#include "mount_positions.h"

/* How long a check may rely on a `.primary` that was not there. */
enum { ABSENCE_LIFE_MS = 1000 };

/* ------------------------------------------------------------- visits */

/* Reference every attached source, so that the thread can deal with them
 * without the mutex. `checks` tells whether any check waits. False, and the
 * directory is out of the registry, when nothing is attached and nothing
 * open: a thread that hangs while it closes must still be found there. */
static bool visits_begin(struct mount_directory* directory,
                         struct mount_source** visits, bool* checks)
{
    bool goes_on;

    *visits = NULL;
    *checks = false;
    mount_registry_lock();
    for (struct mount_source* s = directory->sources; s != NULL; s = s->next) {
        s->refs++;
        s->visit_next = *visits;
        *visits = s;
        *checks = *checks || s->checks != NULL;
    }
    goes_on = *visits != NULL || position_reader_is_open(&directory->reader);
    if (!goes_on) {
        mount_registry_remove(directory);
    }
    mount_registry_unlock();
    return goes_on;
}

static void visits_end(struct mount_source* visits)
{
    while (visits != NULL) {
        struct mount_source* source = visits;
        bool last;

        visits = source->visit_next;
        mount_registry_lock();
        last = --source->refs == 0;
        mount_registry_unlock();
        if (last) {
            mount_source_free(source);
        }
    }
}

/* --------------------------------------------------------------- look */

/* A `.primary` that is missing is looked up by every system call that names
 * it, and a LOOKUP is what can deadlock LiteFS. So a check, which may come a
 * thousand times a second, relies on an absence that a look has seen less than
 * a second ago. A name is always read again: the kernel has it cached, and an
 * old one could contradict a newer event. */
static bool absence_is_known(const struct mount_directory* directory,
                             const struct mount_sample* sample)
{
    const struct mount_sample* last = &directory->sample;

    return sample->kind == MOUNT_LITEFS && !sample->root_writable &&
           last->kind == MOUNT_LITEFS && !last->root_writable &&
           last->primary_file == PRIMARY_FILE_ABSENT &&
           sample->started_ms - last->started_ms < ABSENCE_LIFE_MS;
}

static void look(struct mount_directory* directory, bool whole,
                 struct mount_sample* sample)
{
    bool changed = mount_identify(&directory->mount, sample);

    if (changed) {
        position_reader_forget(&directory->reader);
    }
    if (!whole && !changed && absence_is_known(directory, sample)) {
        sample->primary_file = PRIMARY_FILE_ABSENT;
        sample->lag_ms = directory->sample.lag_ms;
        return;
    }
    /* Armed before the file is read, or a change in between is missed. */
    if (changed || !watch_armed(&directory->watch)) {
        watch_arm(&directory->watch, directory->mount.directory, sample->kind);
    }
    mount_read(&directory->mount, sample);
    mount_schedule_looked(&directory->schedule, sample->started_ms);
    directory->sample = *sample;
}

/* -------------------------------------------------------------- probe */

static uint64_t probe_begin(struct mount_directory* directory,
                            struct mount_source* visits)
{
    struct role_input started = {.type = INPUT_PROBE_STARTED};
    uint64_t probe;

    mount_registry_lock();
    probe = ++directory->probes;
    mount_registry_unlock();
    for (struct mount_source* s = visits; s != NULL; s = s->visit_next) {
        status_cell_post(s->cell, &started, NULL);
    }
    return probe;
}

/* "primary" is only what this very look has seen with its own eyes. */
static enum role checked_role(const struct mount_sample* sample, enum role role)
{
    bool seen = sample->kind == MOUNT_LITEFS
                    ? sample->root_writable
                    : sample->primary_file == PRIMARY_FILE_ABSENT;

    return role == ROLE_PRIMARY && !seen ? ROLE_UNKNOWN : role;
}

static unsigned probe_publish(const struct mount_sample* sample,
                              struct mount_source* visits)
{
    struct role_input input = {.type = INPUT_MOUNT, .mount = *sample};
    unsigned effects = 0;

    for (struct mount_source* s = visits; s != NULL; s = s->visit_next) {
        struct status status;

        s->effects = status_cell_post(s->cell, &input, &status);
        s->role = checked_role(sample, status.role);
        effects |= s->effects;
    }
    return effects;
}

/* Answer the checks that this probe serves. Where the step could not use the
 * sample, they wait for one more, once: true when some do. */
static bool probe_answer(struct mount_source* visits, uint64_t probe,
                         bool may_wait)
{
    bool waiting = false;

    for (struct mount_source* s = visits; s != NULL; s = s->visit_next) {
        struct mount_check* checks;

        mount_registry_lock();
        if (may_wait && s->checks != NULL && (s->effects & EFFECT_PROBE)) {
            waiting = true;
            checks = NULL;
        } else {
            checks = mount_checks_take(s, probe);
        }
        mount_registry_unlock();
        mount_checks_answer(checks, s->role);
    }
    return waiting;
}

static void probe(struct mount_directory* directory,
                  struct mount_source* visits, bool whole)
{
    bool first = true;
    bool again;

    do {
        struct mount_sample sample;
        uint64_t number = probe_begin(directory, visits);
        unsigned effects;

        look(directory, whole, &sample);
        mount_positions_check(directory, visits, number);
        effects = probe_publish(&sample, visits);
        again = probe_answer(visits, number, first);
        if ((effects & EFFECT_PROBE) && !again) {
            mount_schedule_hint(&directory->schedule, clock_now_ms());
        }
        first = false;
    } while (again);
}

/* --------------------------------------------------------------- wait */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Let time pass in a cell. When it next matters there, or never. */
static int64_t tick(struct mount_directory* directory,
                    struct mount_source* source, struct status* status)
{
    static const struct role_input input = {.type = INPUT_TICK};
    unsigned effects = status_cell_post(source->cell, &input, status);
    int64_t deadline = status_cell_deadline(source->cell);
    int64_t now_ms = clock_now_ms();

    if (effects & EFFECT_PROBE) {
        mount_schedule_hint(&directory->schedule, now_ms);
    }
    if (deadline == 0) {
        return SCHEDULE_NEVER;
    }
    /* A deadline that its own tick does not move must not make us spin. */
    return deadline > now_ms ? deadline : now_ms + SCHEDULE_SPACING_MS;
}

/* When the next look is due; `wake_ms` gets when there is anything to do. */
static int64_t plan(struct mount_directory* directory,
                    struct mount_source* visits, int64_t* wake_ms)
{
    int64_t interval = SCHEDULE_NEVER;
    int64_t due;

    *wake_ms = SCHEDULE_NEVER;
    for (struct mount_source* s = visits; s != NULL; s = s->visit_next) {
        struct status status;
        int64_t own;

        s->epoch = status_cell_position_epoch(s->cell);
        *wake_ms = earlier(*wake_ms, tick(directory, s, &status));
        s->stream = status.stream;
        own = mount_schedule_interval(s->poll_interval_ms, &status);
        interval = own > 0 ? earlier(interval, own) : interval;
    }
    due = mount_schedule_due(&directory->schedule,
                             interval == SCHEDULE_NEVER ? 0 : interval);
    *wake_ms = earlier(*wake_ms, due);
    return due;
}

static void take_requests(struct mount_directory* directory)
{
    unsigned requests = atomic_exchange(&directory->requests, 0);

    if (requests & REQUEST_HINT) {
        mount_schedule_hint(&directory->schedule, clock_now_ms());
    }
    if (requests & REQUEST_SOON) {
        mount_schedule_soon(&directory->schedule, clock_now_ms());
    }
}

static void wait_until(struct mount_directory* directory, int64_t wake_ms)
{
    int64_t now_ms = clock_now_ms();
    int64_t timeout_ms = wake_ms == SCHEDULE_NEVER ? -1
                         : wake_ms > now_ms        ? wake_ms - now_ms
                                                   : 0;
    unsigned events = watch_wait(&directory->watch, timeout_ms);

    if (events & WATCH_UNMOUNTED) {
        position_reader_forget(&directory->reader);
        mount_forget(&directory->mount);
    }
    if (events & (WATCH_FILE | WATCH_UNMOUNTED | WATCH_MOUNTS)) {
        mount_schedule_soon(&directory->schedule, clock_now_ms());
    }
}

void* mount_thread_main(void* arg)
{
    struct mount_directory* directory = arg;
    struct mount_source* visits;
    bool checks;

    for (;;) {
        int64_t wake_ms;
        bool due;

        /* First, or the look that an attachment asked for could be spent on
         * visits that do not have it yet. */
        take_requests(directory);
        if (!visits_begin(directory, &visits, &checks)) {
            break;
        }
        due = plan(directory, visits, &wake_ms) <= clock_now_ms() &&
              visits != NULL;
        if (checks || due) {
            probe(directory, visits, due);
            wake_ms = 0;
        }
        wake_ms = earlier(wake_ms, mount_positions_run(directory, visits));
        visits_end(visits);
        wait_until(directory, wake_ms);
    }
    watch_close(&directory->watch);
    free(directory);
    return NULL;
}
