#include "mount_positions.h"

#include <errno.h>
#include <string.h>

#include "clock.h"

enum { POLL_FIRST_MS = 1, POLL_MAX_MS = 10 };

/* -------------------------------------------------------------- reading */

/* What it finds goes into the cells, too. False where there is nothing. */
static bool read_position(struct mount_directory* directory,
                          struct mount_source* visits, const char* db,
                          struct position* position)
{
    struct db_position found = {.txid = 0};
    int rv;

    if (directory->mount.kind != MOUNT_LITEFS) {
        return false;
    }
    for (struct mount_source* s = visits; s != NULL; s = s->visit_next) {
        s->mark = status_cell_position_mark(s->cell, db);
    }
    rv = position_reader_read(&directory->reader, directory->mount.directory,
                              db, position);
    if (rv == -ENOTCONN || rv == -ECONNABORTED) {
        mount_schedule_soon(&directory->schedule, clock_now_ms());
    }
    if (rv != 0) {
        return false;
    }
    db_name_copy(found.db, db);
    found.txid = position->txid;
    found.checksum = position->checksum;
    for (struct mount_source* s = visits; s != NULL; s = s->visit_next) {
        status_cell_post_read(s->cell, &found, s->mark);
    }
    return true;
}

/* --------------------------------------------------------------- checks */

/* The checks stay in their queue while the thread is in a system call, where
 * a detach finds them. So they are looked through again after each read. */

/* The next database that a check of this source asks for. */
static bool next_wanted(struct mount_source* source, uint64_t probe,
                        char db[DB_NAME_MAX + 1])
{
    bool found = false;

    mount_registry_lock();
    for (struct mount_check* c = source->checks;
         c != NULL && c->probe <= probe && !found; c = c->next) {
        if (c->db[0] != '\0' && c->read_by != probe) {
            db_name_copy(db, c->db);
            found = true;
        }
    }
    mount_registry_unlock();
    return found;
}

/* `position` is NULL where there is none. */
static void give(struct mount_source* source, uint64_t probe, const char* db,
                 const struct position* position)
{
    mount_registry_lock();
    for (struct mount_check* c = source->checks; c != NULL && c->probe <= probe;
         c = c->next) {
        if (strcmp(c->db, db) == 0) {
            c->read_by = probe;
            c->has_position = position != NULL;
            c->position = position != NULL ? *position : c->position;
        }
    }
    mount_registry_unlock();
}

void mount_positions_check(struct mount_directory* directory,
                           struct mount_source* visits, uint64_t probe)
{
    char db[DB_NAME_MAX + 1];

    for (struct mount_source* s = visits; s != NULL; s = s->visit_next) {
        while (next_wanted(s, probe, db)) {
            struct position position;
            bool has = read_position(directory, visits, db, &position);

            give(s, probe, db, has ? &position : NULL);
        }
    }
}

/* ---------------------------------------------------- watched databases */

/* The stream has come or gone, and with it went what the cell knew. */
static void plan_anew(struct mount_source* source)
{
    int64_t hold_ms = source->stream == STREAM_UP ? 0 : SCHEDULE_SPACING_MS;

    if (source->epoch == source->planned_epoch) {
        return;
    }
    source->planned_epoch = source->epoch;
    mount_registry_lock();
    for (int i = 0; i < POSITIONS_MAX; i++) {
        source->watches[i].due_ms = clock_now_ms() + hold_ms;
        source->watches[i].wait_ms = 0;
    }
    mount_registry_unlock();
}

/* When the next one is to be read, and which that is. */
static int64_t next_watched(struct mount_source* source,
                            char db[DB_NAME_MAX + 1])
{
    int64_t due_ms = SCHEDULE_NEVER;

    mount_registry_lock();
    for (int i = 0; source->watch_count > 0 && i < POSITIONS_MAX; i++) {
        const struct mount_watch* watch = &source->watches[i];

        if (watch->db[0] != '\0' && watch->due_ms < due_ms) {
            due_ms = watch->due_ms;
            db_name_copy(db, watch->db);
        }
    }
    mount_registry_unlock();
    return due_ms;
}

static int64_t at_most(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* To find no position may have cost a LOOKUP, so then the waits are those of a
 * look; but it is tried again even while the stream is up, because what came
 * before that is in no event. */
static int64_t next_wait(const struct mount_watch* watch, bool is_up,
                         const struct position* found)
{
    int64_t twice_ms = 2 * watch->wait_ms;

    if (found == NULL) {
        return twice_ms < SCHEDULE_SPACING_MS || !is_up
                   ? SCHEDULE_SPACING_MS
                   : at_most(twice_ms, SCHEDULE_DOWN_MS);
    }
    if (twice_ms == 0 ||
        position_compare(found, &watch->last) != POSITION_SAME) {
        return POLL_FIRST_MS;
    }
    return at_most(twice_ms, POLL_MAX_MS);
}

static void plan_next(struct mount_watch* watch, bool is_up,
                      const struct position* found)
{
    watch->wait_ms = next_wait(watch, is_up, found);
    watch->due_ms = is_up && found != NULL ? SCHEDULE_NEVER
                                           : clock_now_ms() + watch->wait_ms;
    watch->last = found != NULL ? *found : watch->last;
}

/* Unless it is not watched any more. `found` is NULL where there is none. */
static void watched_was_read(struct mount_source* source, const char* db,
                             const struct position* found)
{
    mount_registry_lock();
    for (int i = 0; i < POSITIONS_MAX; i++) {
        if (strcmp(source->watches[i].db, db) == 0) {
            plan_next(&source->watches[i], source->stream == STREAM_UP, found);
        }
    }
    mount_registry_unlock();
}

/* ------------------------------------------------------- between checks */

static void calls_begin(struct mount_source* visits)
{
    static const struct role_input input = {.type = INPUT_PROBE_STARTED};

    for (struct mount_source* s = visits; s != NULL; s = s->visit_next) {
        status_cell_post(s->cell, &input, NULL);
    }
}

static void calls_end(struct mount_directory* directory,
                      struct mount_source* visits)
{
    static const struct role_input input = {.type = INPUT_PROBE_ENDED};
    unsigned effects = 0;

    for (struct mount_source* s = visits; s != NULL; s = s->visit_next) {
        effects |= status_cell_post(s->cell, &input, NULL);
    }
    if (effects & EFFECT_PROBE) {
        mount_schedule_soon(&directory->schedule, clock_now_ms());
    }
}

/* When the next read is due. Each is read once at the most: what takes long
 * must not keep the checks waiting. */
static int64_t read_watched(struct mount_directory* directory,
                            struct mount_source* visits)
{
    int64_t now_ms = clock_now_ms();
    int64_t next_ms = SCHEDULE_NEVER;
    char db[DB_NAME_MAX + 1];

    if (directory->mount.kind != MOUNT_LITEFS) {
        return SCHEDULE_NEVER; /* a look will tell */
    }
    for (struct mount_source* s = visits; s != NULL; s = s->visit_next) {
        int64_t due_ms;

        plan_anew(s);
        while ((due_ms = next_watched(s, db)) <= now_ms) {
            struct position position;
            bool has;

            calls_begin(visits);
            has = read_position(directory, visits, db, &position);
            calls_end(directory, visits);
            watched_was_read(s, db, has ? &position : NULL);
        }
        next_ms = due_ms < next_ms ? due_ms : next_ms;
    }
    return next_ms;
}

static int64_t keep_ms(const struct mount_source* visits)
{
    for (const struct mount_source* s = visits; s != NULL; s = s->visit_next) {
        if (s->stream != STREAM_UP) {
            return 0;
        }
    }
    return visits != NULL ? POSITION_KEEP_MS : 0;
}

int64_t mount_positions_run(struct mount_directory* directory,
                            struct mount_source* visits)
{
    int64_t keep = keep_ms(visits);
    int64_t read_ms = read_watched(directory, visits);
    int64_t close_ms = position_reader_due(&directory->reader, keep);

    if (close_ms <= clock_now_ms()) {
        calls_begin(visits);
        position_reader_close(&directory->reader, keep);
        calls_end(directory, visits);
        close_ms = position_reader_due(&directory->reader, keep);
    }
    if (visits == NULL) {
        return 0; /* the thread is to end, not to wait */
    }
    return read_ms < close_ms ? read_ms : close_ms;
}
