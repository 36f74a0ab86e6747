/*
 * The thread of one directory, and the registry that it shares with
 * mount_source.c.
 *
 * Everything that both touch is guarded by the registry's one mutex, which is
 * held for a few instructions only: never in a system call that could block,
 * never in a cell, never in a callback. A source is freed by whoever drops
 * its last reference: its owner has one until it detaches, the thread has one
 * while it deals with it. A directory belongs to its thread, which takes it
 * out of the registry in the moment in which it finds nothing attached.
 */
#ifndef ECTO_LITEFS_MOUNT_THREAD_H
#define ECTO_LITEFS_MOUNT_THREAD_H

#include <stdatomic.h>

#include "mount.h"
#include "mount_schedule.h"
#include "mount_source.h"
#include "position_reader.h"
#include "watch.h"

struct mount_check {
    struct mount_check* next;
    uint64_t probe;           /* the first probe that is new enough */
    char db[DB_NAME_MAX + 1]; /* "": no position is wanted */
    uint64_t read_by;         /* the probe after which it was read */
    bool has_position;
    struct position position;
    mount_check_fn done;
    void* ctx;
};

/* A database whose position somebody waits for. */
struct mount_watch {
    char db[DB_NAME_MAX + 1]; /* "": a free place */
    int64_t due_ms;           /* the next read, SCHEDULE_NEVER for none */
    int64_t wait_ms;          /* from the last one to that */
    struct position last;     /* what was read last */
};

struct mount_source {
    struct mount_directory* directory;
    struct status_cell* cell;
    int64_t poll_interval_ms;

    /* under the mutex */
    struct mount_source* next;
    struct mount_check* checks; /* oldest first */
    struct mount_check** checks_end;
    unsigned check_count;
    struct mount_watch watches[POSITIONS_MAX];
    unsigned watch_count;
    unsigned refs;

    /* the thread's own, while it deals with this source */
    struct mount_source* visit_next;
    unsigned effects;
    enum role role;
    enum stream_state stream;
    uint64_t epoch;         /* of the cell's positions, not later than that */
    uint64_t planned_epoch; /* the one that the watches are planned for */
    uint64_t mark;          /* of the cell, for the read that is under way */
};

/* What the thread is asked to do, beside checks. */
enum mount_request {
    REQUEST_HINT = 1u << 0,
    REQUEST_SOON = 1u << 1,
};

struct mount_directory {
    /* under the mutex */
    struct mount_directory* next;
    struct mount_source* sources;
    uint64_t probes; /* how many have begun */

    _Atomic unsigned requests; /* enum mount_request */
    struct watch watch;        /* others only wake it */

    /* the thread's own */
    struct mount mount;
    struct mount_schedule schedule;
    struct mount_sample sample; /* of the last whole look */
    struct position_reader reader;
};

void mount_registry_lock(void);
void mount_registry_unlock(void);

/* With the mutex held: the directory with its thread running, a new one if
 * need be. 0, -ENOMEM, -EAGAIN or -ENAMETOOLONG. */
int mount_registry_get(const char* path, const char* primary_name,
                       struct mount_directory** directory);

/* With the mutex held. */
void mount_registry_remove(struct mount_directory* directory);

/* How many directories have a thread. */
unsigned mount_registry_count(void);

void mount_request(struct mount_directory* directory,
                   enum mount_request request);

/* With the mutex held: cut off the checks that probe number `probe` serves. */
struct mount_check* mount_checks_take(struct mount_source* source,
                                      uint64_t probe);
/* Without it: answer all of them and free them. */
void mount_checks_answer(struct mount_check* checks, enum role role);

/* Without it, when the last reference is gone. */
void mount_source_free(struct mount_source* source);

/* What the thread runs, until nothing is attached. */
void* mount_thread_main(void* directory);

#endif
