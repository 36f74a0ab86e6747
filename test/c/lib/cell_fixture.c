#include "cell_fixture.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "clock.h"

static void cond_init(pthread_cond_t* cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

static struct timespec after(int64_t ms)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += ms % 1000 * 1000000;
    at.tv_sec += at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    return at;
}

static void on_changed(void* ctx)
{
    struct cell_fixture* fixture = ctx;

    pthread_mutex_lock(&fixture->mutex);
    fixture->hinted = true;
    pthread_cond_broadcast(&fixture->changed);
    pthread_mutex_unlock(&fixture->mutex);
}

static void on_free(void* ctx)
{
    struct cell_fixture* fixture = ctx;

    pthread_mutex_lock(&fixture->mutex);
    fixture->freed = true;
    pthread_cond_broadcast(&fixture->changed);
    pthread_mutex_unlock(&fixture->mutex);
}

struct status_cell_hooks cell_fixture_hooks(struct cell_fixture* fixture)
{
    return (struct status_cell_hooks){
        .changed = on_changed, .free = on_free, .ctx = fixture};
}

void cell_fixture_init(struct cell_fixture* fixture)
{
    memset(fixture, 0, sizeof *fixture);
    pthread_mutex_init(&fixture->mutex, NULL);
    cond_init(&fixture->changed);
}

bool role_is(const struct status* status, int wanted)
{
    return (int)status->role == wanted;
}

bool mount_is(const struct status* status, int wanted)
{
    return (int)status->mount == wanted;
}

bool settled_is(const struct status* status, int wanted)
{
    return status->settled == (wanted != 0);
}

/* Like the owner in the VM: sleeps until a hint comes, then takes. */
int64_t cell_wait(struct cell_fixture* fixture, status_predicate predicate,
                  int wanted, int64_t limit_ms)
{
    int64_t started = clock_now_ms();
    struct timespec end = after(limit_ms);
    int rv = 0;

    for (;;) {
        status_cell_take(fixture->cell, &fixture->status);
        if (predicate(&fixture->status, wanted)) {
            return clock_now_ms() - started;
        }
        if (rv == ETIMEDOUT) {
            return -1;
        }
        pthread_mutex_lock(&fixture->mutex);
        while (!fixture->hinted && rv == 0) {
            rv = pthread_cond_timedwait(&fixture->changed, &fixture->mutex,
                                        &end);
        }
        fixture->hinted = false;
        pthread_mutex_unlock(&fixture->mutex);
    }
}

bool cell_wait_freed(struct cell_fixture* fixture, int64_t limit_ms)
{
    struct timespec end = after(limit_ms);
    int rv = 0;
    bool freed;

    pthread_mutex_lock(&fixture->mutex);
    while (!fixture->freed && rv == 0) {
        rv = pthread_cond_timedwait(&fixture->changed, &fixture->mutex, &end);
    }
    freed = fixture->freed;
    pthread_mutex_unlock(&fixture->mutex);
    return freed;
}

void check_answers_init(struct check_answers* answers)
{
    memset(answers, 0, sizeof *answers);
    pthread_mutex_init(&answers->mutex, NULL);
    cond_init(&answers->changed);
}

void check_done(void* ctx, enum role role, const struct position* position)
{
    struct check_answers* answers = ctx;

    pthread_mutex_lock(&answers->mutex);
    answers->count++;
    answers->of_role[role]++;
    if (position != NULL) {
        answers->positions++;
        answers->position = *position;
    }
    pthread_cond_broadcast(&answers->changed);
    pthread_mutex_unlock(&answers->mutex);
}

bool check_wait(struct check_answers* answers, unsigned count, int64_t limit_ms)
{
    struct timespec end = after(limit_ms);
    int rv = 0;
    bool enough;

    pthread_mutex_lock(&answers->mutex);
    while (answers->count < count && rv == 0) {
        rv = pthread_cond_timedwait(&answers->changed, &answers->mutex, &end);
    }
    enough = answers->count >= count;
    pthread_mutex_unlock(&answers->mutex);
    return enough;
}
