/*
 * A real status cell whose hints a test can wait for, and a place for the
 * answers to checks.
 */
#ifndef ECTO_LITEFS_CELL_FIXTURE_H
#define ECTO_LITEFS_CELL_FIXTURE_H

#include <pthread.h>

#include "mount_source.h"

struct cell_fixture {
    struct status_cell* cell;
    struct status status; /* as of the last wait */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool hinted;
    bool freed; /* the cell's last reference is gone */
};

/* For status_cell_open() or detector_open(). */
struct status_cell_hooks cell_fixture_hooks(struct cell_fixture* fixture);
void cell_fixture_init(struct cell_fixture* fixture);

typedef bool (*status_predicate)(const struct status* status, int wanted);

bool role_is(const struct status* status, int wanted);
bool mount_is(const struct status* status, int wanted);
bool settled_is(const struct status* status, int wanted);

/* Wait for a status of which the predicate holds. How many milliseconds it
 * took, or -1 after `limit_ms`. */
int64_t cell_wait(struct cell_fixture* fixture, status_predicate predicate,
                  int wanted, int64_t limit_ms);
bool cell_wait_freed(struct cell_fixture* fixture, int64_t limit_ms);

/* The answers to checks: `ctx` of check_done() is one of these. */
struct check_answers {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned count;
    unsigned of_role[ROLE_NOT_LITEFS + 1];
    unsigned positions;       /* how many had one */
    struct position position; /* the last of them */
};

void check_answers_init(struct check_answers* answers);
void check_done(void* answers, enum role role, const struct position* position);
bool check_wait(struct check_answers* answers, unsigned count,
                int64_t limit_ms);

#endif
