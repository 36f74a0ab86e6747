#include "mount_positions.h"

#include <errno.h>
#include <string.h>

#include "clock.h"

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

    if (position_reader_due(&directory->reader, keep) <= clock_now_ms()) {
        calls_begin(visits);
        position_reader_close(&directory->reader, keep);
        calls_end(directory, visits);
    }
    /* Nothing attached: the thread is to end, not to wait. */
    return visits != NULL ? position_reader_due(&directory->reader, keep) : 0;
}
