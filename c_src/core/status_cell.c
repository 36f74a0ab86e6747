#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "status_cell_state.h"

enum { ROLE_BITS = 3, ROLE_MASK = (1 << ROLE_BITS) - 1 };

static uint64_t word_load(struct status_cell* cell)
{
    return atomic_load_explicit(&cell->word, memory_order_relaxed);
}

static enum role word_role(uint64_t word)
{
    return (enum role)(word & ROLE_MASK);
}

static int64_t word_deadline(uint64_t word)
{
    return (int64_t)(word >> ROLE_BITS);
}

static bool is_due(uint64_t word)
{
    int64_t deadline = word_deadline(word);
    return deadline != 0 && clock_has_reached(deadline);
}

/* With the mutex. */
static void publish(struct status_cell* cell)
{
    int64_t deadline = cell->shut ? 0 : role_deadline(&cell->state);
    uint64_t word =
        (uint64_t)deadline << ROLE_BITS | (uint64_t)cell->state.status.role;
    atomic_store_explicit(&cell->word, word, memory_order_relaxed);
    if (deadline != 0 && deadline < cell->alarm_ms && cell->wake) {
        cell->alarm_ms = deadline;
        cell->wake(cell->wake_ctx);
    }
}

/* With the mutex, which also keeps the time from going back between steps. */
static unsigned step(struct status_cell* cell, const struct role_input* input)
{
    if (cell->shut)
        return 0;
    enum stream_state stream = cell->state.status.stream;
    unsigned effects = role_step(&cell->state, input, clock_now_ms());
    if (effects & EFFECT_CHANGED)
        cell->changed = true;
    if (cell->state.status.stream != stream)
        position_table_forget(&cell->positions);
    publish(cell);
    return effects;
}

/* With the mutex. */
static void tick_if_due(struct status_cell* cell)
{
    static const struct role_input tick = {.type = INPUT_TICK};
    if (is_due(word_load(cell)))
        step(cell, &tick);
}

/* Ends what pthread_mutex_lock() began, and gives the hint that is due: every
 * change is made with the mutex, so none can be left behind without one. */
static void unlock_and_hint(struct status_cell* cell)
{
    bool hint = cell->changed && !cell->hinted && !cell->shut;
    if (hint) {
        cell->changed = false;
        cell->hinted = true;
    }
    pthread_mutex_unlock(&cell->mutex);

    if (hint && cell->hooks.changed)
        cell->hooks.changed(cell->hooks.ctx);
}

int status_cell_open(const struct role_config* config,
                     const struct status_cell_hooks* hooks,
                     struct status_cell** cell)
{
    struct status_cell* new = calloc(1, sizeof *new);
    if (!new)
        return -ENOMEM;
    if (pthread_mutex_init(&new->mutex, NULL) != 0) {
        free(new);
        return -ENOMEM;
    }
    if (hooks)
        new->hooks = *hooks;
    role_init(&new->state, config, clock_now_ms());
    atomic_init(&new->references, 1);
    atomic_init(&new->word, 0);
    publish(new);
    *cell = new;
    return 0;
}

struct status_cell* status_cell_ref(struct status_cell* cell)
{
    /* Relaxed: who takes a reference has one already, or was handed the cell
     * by a thread that has. */
    atomic_fetch_add_explicit(&cell->references, 1, memory_order_relaxed);
    return cell;
}

void status_cell_unref(struct status_cell* cell)
{
    /* Release: what this thread did with the cell is over. Acquire: the last
     * one sees that of all others before it frees. */
    if (atomic_fetch_sub_explicit(&cell->references, 1, memory_order_acq_rel) !=
        1)
        return;
    struct status_cell_hooks hooks = cell->hooks;
    pthread_mutex_destroy(&cell->mutex);
    free(cell);
    if (hooks.free)
        hooks.free(hooks.ctx);
}

void status_cell_shut(struct status_cell* cell)
{
    pthread_mutex_lock(&cell->mutex);
    if (!cell->shut) {
        struct status* status = &cell->state.status;
        cell->shut = true;
        status->role = ROLE_UNKNOWN;
        status->source = SOURCE_NONE;
        status->hostname[0] = '\0';
        status->own_hostname[0] = '\0';
        status->since_ms = clock_now_ms();
        status->generation++;
        publish(cell);
        position_table_forget(&cell->positions);
        cell->moves_due = false;
    }
    pthread_mutex_unlock(&cell->mutex);
}

unsigned status_cell_post(struct status_cell* cell,
                          const struct role_input* input,
                          struct status* status_out)
{
    pthread_mutex_lock(&cell->mutex);
    unsigned effects = step(cell, input);
    if (status_out)
        *status_out = cell->state.status;
    unlock_and_hint(cell);
    return effects;
}

enum role status_cell_role(struct status_cell* cell)
{
    uint64_t word = word_load(cell);
    if (is_due(word)) {
        pthread_mutex_lock(&cell->mutex);
        tick_if_due(cell);
        word = word_load(cell);
        unlock_and_hint(cell);
    }
    return word_role(word);
}

void status_cell_snapshot(struct status_cell* cell, struct status* status)
{
    pthread_mutex_lock(&cell->mutex);
    tick_if_due(cell);
    *status = cell->state.status;
    unlock_and_hint(cell);
}

void status_cell_take(struct status_cell* cell, struct status* status)
{
    pthread_mutex_lock(&cell->mutex);
    tick_if_due(cell);
    /* The owner is about to see all there is, and every change from here on
     * needs this mutex: a hint given earlier loses nothing by being spent. */
    cell->changed = false;
    cell->hinted = false;
    *status = cell->state.status;
    pthread_mutex_unlock(&cell->mutex);
}

int64_t status_cell_deadline(struct status_cell* cell)
{
    return word_deadline(word_load(cell));
}

void status_cell_keep(struct status_cell* cell, void (*wake)(void* ctx),
                      void* ctx)
{
    pthread_mutex_lock(&cell->mutex);
    cell->wake = wake;
    cell->wake_ctx = ctx;
    cell->alarm_ms = 0;
    pthread_mutex_unlock(&cell->mutex);
}

int64_t status_cell_sleep(struct status_cell* cell, int64_t until_ms)
{
    pthread_mutex_lock(&cell->mutex);
    int64_t deadline = word_deadline(word_load(cell));
    if (deadline != 0 && deadline < until_ms)
        until_ms = deadline;
    /* A deadline that was near but is not any more: look then all the same.
     * The next one of its kind is not nearer, and need not wake anybody. */
    if (cell->alarm_ms < until_ms && cell->alarm_ms > clock_now_ms())
        until_ms = cell->alarm_ms;
    cell->alarm_ms = until_ms;
    pthread_mutex_unlock(&cell->mutex);
    return until_ms;
}
