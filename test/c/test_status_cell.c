/*
 * The cell: publishing, the hint, deadlines, end of life; and the same with
 * threads, which is what SAN=thread is run for.
 */
#include "status_cell.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"

enum { POSTERS = 3, READERS = 2, POSTS = 3000 };

struct owner {
    atomic_int hints;
    atomic_int frees;
};

static struct owner owner;
static struct status_cell* cell;

static void count_hint(void* ctx)
{
    struct owner* to = ctx;
    atomic_fetch_add(&to->hints, 1);
}

static void count_free(void* ctx)
{
    struct owner* to = ctx;
    atomic_fetch_add(&to->frees, 1);
}

/* Polling is off, so that only a probe or the grace sets a deadline. */
static void open_cell(int64_t grace_ms, int64_t probe_timeout_ms)
{
    const struct role_config config = {.mode = MODE_AUTO,
                                       .stream_enabled = true,
                                       .grace_ms = grace_ms,
                                       .probe_timeout_ms = probe_timeout_ms};
    const struct status_cell_hooks hooks = {
        .changed = count_hint, .free = count_free, .ctx = &owner};
    ck_assert_int_eq(status_cell_open(&config, &hooks, &cell), 0);
}

static void setup(void)
{
    open_cell(2500, 2000);
}

static void teardown(void)
{
    status_cell_unref(cell);
    ck_assert_int_eq(atomic_load(&owner.frees), 1);
}

static unsigned post(enum role_input_type type)
{
    const struct role_input input = {.type = type};
    return status_cell_post(cell, &input, NULL);
}

static unsigned post_hostname(const char* hostname)
{
    struct role_input input = {.type = INPUT_STREAM_PRIMARY};
    snprintf(input.primary.hostname, sizeof input.primary.hostname, "%s",
             hostname);
    return status_cell_post(cell, &input, NULL);
}

static void post_mount(bool root_writable)
{
    struct role_input input = {
        .type = INPUT_MOUNT,
        .mount = {.kind = MOUNT_LITEFS, .root_writable = root_writable}};
    input.mount.started_ms = clock_now_ms();
    status_cell_post(cell, &input, NULL);
}

static void post_reconnected(void)
{
    struct status status;
    status_cell_snapshot(cell, &status);
    const struct role_input input = {.type = INPUT_RECONNECTED,
                                     .reconnected = status.reconnect_epoch};
    status_cell_post(cell, &input, NULL);
}

/* A replica of node-a on a LiteFS mount, with the hint spent. */
static void become_replica(void)
{
    struct status status;
    post_mount(false);
    post_reconnected();
    post_hostname("node-a");
    status_cell_take(cell, &status);
    ck_assert_int_eq(status.role, ROLE_REPLICA);
    atomic_store(&owner.hints, 0);
}

/* For the passing of time itself; the limit of the test is the deadline. */
static void wait_until(int64_t time_ms)
{
    const struct timespec pause = {.tv_nsec = 200000};
    while (clock_now_ms() < time_ms)
        nanosleep(&pause, NULL);
}

START_TEST(begins_unknown_and_without_deadline)
{
    struct status status;
    status_cell_snapshot(cell, &status);
    ck_assert_int_eq(status.role, ROLE_UNKNOWN);
    ck_assert_int_eq(status.stream, STREAM_UNSEEN);
    ck_assert_int_eq(status_cell_role(cell), ROLE_UNKNOWN);
    ck_assert_int_eq(status_cell_deadline(cell), 0);
    ck_assert_int_eq(atomic_load(&owner.hints), 0);
}
END_TEST

START_TEST(publishes_what_the_step_says)
{
    struct status status;
    become_replica();
    struct role_input input = {.type = INPUT_STREAM_PRIMARY,
                               .primary = {.is_primary = true}};
    unsigned effects = status_cell_post(cell, &input, &status);
    ck_assert_uint_eq(effects, EFFECT_CHANGED | EFFECT_PROBE);
    ck_assert_int_eq(status.role, ROLE_PRIMARY);
    ck_assert_int_eq(status_cell_role(cell), ROLE_PRIMARY);
    uint64_t generation = status.generation;
    status_cell_snapshot(cell, &status);
    ck_assert_int_eq(status.role, ROLE_PRIMARY);
    ck_assert_uint_eq(status.generation, generation);
}
END_TEST

/* -- the hint ------------------------------------------------------------- */

START_TEST(one_hint_until_it_is_taken)
{
    struct status status;
    become_replica();
    post_hostname("node-b");
    post_hostname("node-c");
    status_cell_snapshot(cell, &status); /* a reader does not spend it */
    post_hostname("node-d");
    ck_assert_int_eq(atomic_load(&owner.hints), 1);
    status_cell_take(cell, &status);
    ck_assert_str_eq(status.hostname, "node-d");
    ck_assert_int_eq(atomic_load(&owner.hints), 1);
    post_hostname("node-e");
    ck_assert_int_eq(atomic_load(&owner.hints), 2);
}
END_TEST

START_TEST(no_hint_where_nothing_changed)
{
    become_replica();
    post_hostname("node-a");
    post(INPUT_TICK);
    ck_assert_int_eq(atomic_load(&owner.hints), 0);
}
END_TEST

START_TEST(hooks_may_be_null)
{
    struct status_cell* bare;
    const struct role_config config = {.mode = MODE_AUTO};
    const struct status_cell_hooks hooks = {0};
    const struct role_input manual = {.type = INPUT_MANUAL,
                                      .manual = MANUAL_PRIMARY};
    const struct role_input mount = {
        .type = INPUT_MOUNT, .mount = {.kind = MOUNT_PLAIN, .started_ms = 1}};
    ck_assert_int_eq(status_cell_open(&config, &hooks, &bare), 0);
    status_cell_post(bare, &manual, NULL);
    ck_assert(status_cell_post(bare, &mount, NULL) & EFFECT_CHANGED);
    ck_assert_int_eq(status_cell_role(bare), ROLE_PRIMARY);
    status_cell_unref(bare);
}
END_TEST

/* -- deadlines ------------------------------------------------------------ */

/* Every thread of ours hangs: nobody but the reader is there to notice. */
START_TEST(reader_of_the_role_runs_the_tick)
{
    open_cell(2500, 20);
    become_replica();
    post(INPUT_PROBE_STARTED);
    int64_t deadline = status_cell_deadline(cell);
    ck_assert_int_ne(deadline, 0);
    wait_until(deadline);
    ck_assert_int_eq(status_cell_role(cell), ROLE_UNKNOWN);
    ck_assert_int_eq(status_cell_deadline(cell), 0);
    teardown();
}
END_TEST

START_TEST(reader_of_a_snapshot_runs_the_tick)
{
    struct status status;
    open_cell(20, 2000);
    become_replica();
    post_hostname("");
    wait_until(status_cell_deadline(cell));
    status_cell_snapshot(cell, &status);
    ck_assert_int_eq(status.role, ROLE_NO_PRIMARY);
    teardown();
}
END_TEST

/* Nobody else may post for a long time: a mount that hangs does not. */
START_TEST(readers_tick_is_hinted)
{
    struct status status;
    for (int i = 0; i < 2; i++) {
        open_cell(20, 2000);
        become_replica();
        post_hostname("");
        wait_until(status_cell_deadline(cell));
        if (i == 0)
            status_cell_role(cell);
        else
            status_cell_snapshot(cell, &status);
        ck_assert_int_eq(atomic_load(&owner.hints), 1);
        status_cell_role(cell);
        post(INPUT_TICK);
        ck_assert_int_eq(atomic_load(&owner.hints), 1);
        atomic_store(&owner.frees, 0);
        status_cell_unref(cell);
        ck_assert_int_eq(atomic_load(&owner.frees), 1);
    }
}
END_TEST

START_TEST(take_sees_its_own_tick_and_owes_no_hint)
{
    struct status status;
    open_cell(20, 2000);
    become_replica();
    post_hostname("");
    wait_until(status_cell_deadline(cell));
    status_cell_take(cell, &status);
    ck_assert_int_eq(status.role, ROLE_NO_PRIMARY);
    post(INPUT_TICK);
    ck_assert_int_eq(atomic_load(&owner.hints), 0);
    teardown();
}
END_TEST

/* -- end of life ---------------------------------------------------------- */

/* --- who keeps the deadlines --- */

static void count_wake(void* ctx)
{
    ++*(int*)ctx;
}

START_TEST(a_nearer_deadline_wakes_and_a_later_one_does_not)
{
    int wakes = 0;
    int64_t now_ms = clock_now_ms();

    open_cell(2500, 2000);
    status_cell_keep(cell, count_wake, &wakes);
    ck_assert_int_eq(status_cell_sleep(cell, now_ms + 1000), now_ms + 1000);
    post(INPUT_PROBE_STARTED);
    ck_assert_int_eq(wakes, 0);
    ck_assert_int_eq(status_cell_sleep(cell, now_ms + 500), now_ms + 500);
    post_mount(false);
    ck_assert_int_eq(wakes, 0);
    status_cell_keep(cell, count_wake, &wakes);
    int64_t alarm_ms = status_cell_sleep(cell, INT64_MAX);
    ck_assert_int_eq(alarm_ms, status_cell_deadline(cell));
    post(INPUT_PROBE_STARTED);
    ck_assert_int_lt(status_cell_deadline(cell), alarm_ms);
    ck_assert_int_eq(wakes, 1);
    ck_assert_int_eq(status_cell_sleep(cell, INT64_MAX),
                     status_cell_deadline(cell));
    status_cell_keep(cell, NULL, NULL);
    post_mount(false);
    post(INPUT_PROBE_STARTED);
    ck_assert_int_eq(wakes, 1);
    status_cell_unref(cell);
}
END_TEST

/* A thousand checks a second: the thread that keeps the deadlines asks after
 * each wake, as it does. */
START_TEST(a_deadline_that_comes_and_goes_wakes_once_in_its_time)
{
    enum { TIMEOUT_MS = 100, ROUNDS = 5 };
    int wakes = 0;
    int seen = 0;
    int64_t alarm_ms;
    int64_t end_ms = clock_now_ms() + ROUNDS * TIMEOUT_MS;

    open_cell(2500, TIMEOUT_MS);
    status_cell_keep(cell, count_wake, &wakes);
    alarm_ms = status_cell_sleep(cell, INT64_MAX);
    while (clock_now_ms() < end_ms) {
        post(INPUT_PROBE_STARTED);
        post_mount(false);
        if (wakes > seen || clock_now_ms() >= alarm_ms) {
            alarm_ms = status_cell_sleep(cell, INT64_MAX);
            seen = wakes;
        }
    }
    ck_assert_int_ge(wakes, 1);
    ck_assert_int_le(wakes, ROUNDS + 1);
    status_cell_keep(cell, NULL, NULL);
    status_cell_unref(cell);
}
END_TEST

START_TEST(shut_is_unknown_for_good)
{
    struct status before, status;
    become_replica();
    post(INPUT_PROBE_STARTED);
    status_cell_snapshot(cell, &before);
    status_cell_shut(cell);
    status_cell_shut(cell);
    ck_assert_uint_eq(post_hostname("node-b"), 0);
    post_mount(true);
    ck_assert_int_eq(status_cell_role(cell), ROLE_UNKNOWN);
    ck_assert_int_eq(status_cell_deadline(cell), 0);
    status_cell_take(cell, &status);
    ck_assert_int_eq(status.role, ROLE_UNKNOWN);
    ck_assert_str_eq(status.hostname, "");
    ck_assert_uint_eq(status.generation, before.generation + 1);
    ck_assert_int_eq(atomic_load(&owner.hints), 0);
}
END_TEST

START_TEST(free_runs_with_the_last_reference)
{
    ck_assert_ptr_eq(status_cell_ref(cell), cell);
    status_cell_unref(cell);
    ck_assert_int_eq(atomic_load(&owner.frees), 0);
}
END_TEST

/* -- positions ------------------------------------------------------------ */

static void post_position(const char* db, uint64_t txid)
{
    struct db_position position = {.txid = txid, .checksum = ~txid};
    snprintf(position.db, sizeof position.db, "%s", db);
    status_cell_post_position(cell, &position);
}

START_TEST(positions_are_coalesced_by_database)
{
    struct db_position positions[POSITIONS_MAX];
    ck_assert_int_eq(status_cell_positions(cell, positions), 0);
    post_position("a.db", 1);
    post_position("b.db", 7);
    post_position("a.db", 2);
    ck_assert_int_eq(status_cell_positions(cell, positions), 2);
    ck_assert_str_eq(positions[0].db, "a.db");
    ck_assert_uint_eq(positions[0].txid, 2);
    ck_assert_uint_eq(positions[1].txid, 7);
    ck_assert_uint_eq(positions[1].checksum, ~(uint64_t)7);
}
END_TEST

START_TEST(positions_of_too_many_databases_are_not_kept)
{
    struct db_position positions[POSITIONS_MAX];
    char db[16];
    for (int i = 0; i < POSITIONS_MAX + 3; i++) {
        snprintf(db, sizeof db, "%d.db", i);
        post_position(db, 1);
    }
    post_position("0.db", 2);
    ck_assert_int_eq(status_cell_positions(cell, positions), POSITIONS_MAX);
    ck_assert_uint_eq(positions[0].txid, 2);
    ck_assert_str_eq(positions[POSITIONS_MAX - 1].db, "15.db");
}
END_TEST

START_TEST(positions_after_shut_are_dropped)
{
    struct db_position positions[POSITIONS_MAX];
    status_cell_shut(cell);
    post_position("a.db", 1);
    ck_assert_int_eq(status_cell_positions(cell, positions), 0);
}
END_TEST

/* -- threads -------------------------------------------------------------- */

static pthread_mutex_t hint_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t hint_given = PTHREAD_COND_INITIALIZER;
static int outstanding, most_outstanding;
static atomic_bool done;

/* What a mailbox does: counts the messages that were not yet received. */
static void send_hint(void* ctx)
{
    (void)ctx;
    pthread_mutex_lock(&hint_mutex);
    outstanding++;
    if (outstanding > most_outstanding)
        most_outstanding = outstanding;
    pthread_cond_signal(&hint_given);
    pthread_mutex_unlock(&hint_mutex);
}

static void receive_hint(void)
{
    pthread_mutex_lock(&hint_mutex);
    while (outstanding == 0)
        pthread_cond_wait(&hint_given, &hint_mutex);
    outstanding--;
    pthread_mutex_unlock(&hint_mutex);
}

static void* post_many(void* arg)
{
    const char* prefix = arg;
    char hostname[32];
    for (int i = 0; i < POSTS; i++) {
        snprintf(hostname, sizeof hostname, "%s-%d", prefix, i);
        post_hostname(hostname);
        post_position(prefix, (uint64_t)i);
    }
    return NULL;
}

/* Whole and growing: a half-written status would pair a role with a hostname
 * that does not belong to it. */
static void* read_many(void* arg)
{
    uint64_t generation = 0;
    (void)arg;
    while (!atomic_load(&done)) {
        struct status status;
        struct db_position positions[POSITIONS_MAX];
        status_cell_snapshot(cell, &status);
        ck_assert_uint_ge(status.generation, generation);
        generation = status.generation;
        ck_assert_int_eq(status.role == ROLE_REPLICA,
                         status.hostname[0] != '\0');
        enum role role = status_cell_role(cell);
        ck_assert(role == ROLE_REPLICA || role == ROLE_PRIMARY);
        ck_assert_int_le(status_cell_positions(cell, positions), POSTERS);
    }
    return NULL;
}

/* Blocks for a hint before every look, so a lost one makes it hang, which the
 * time limit of the test tells. */
static void* take_until_primary(void* arg)
{
    struct status status;
    (void)arg;
    do {
        receive_hint();
        status_cell_take(cell, &status);
    } while (status.role != ROLE_PRIMARY);
    return NULL;
}

static void start(pthread_t* thread, void* (*run)(void*), void* arg)
{
    ck_assert_int_eq(pthread_create(thread, NULL, run, arg), 0);
}

static void open_threaded(void)
{
    const struct role_config config = {
        .stream_enabled = true, .grace_ms = 2500, .probe_timeout_ms = 60000};
    const struct status_cell_hooks hooks = {
        .changed = send_hint, .free = count_free, .ctx = &owner};
    ck_assert_int_eq(status_cell_open(&config, &hooks, &cell), 0);
    post_mount(false);
    post_reconnected();
    post_hostname("node");
}

START_TEST(no_hint_is_lost_and_never_two_are_out)
{
    pthread_t posters[POSTERS], readers[READERS], taker;
    static char* const prefixes[POSTERS] = {"a", "b", "c"};
    open_threaded();
    start(&taker, take_until_primary, NULL);
    for (int i = 0; i < READERS; i++)
        start(&readers[i], read_many, NULL);
    for (int i = 0; i < POSTERS; i++)
        start(&posters[i], post_many, prefixes[i]);
    for (int i = 0; i < POSTERS; i++)
        pthread_join(posters[i], NULL);

    const struct role_input primary = {.type = INPUT_STREAM_PRIMARY,
                                       .primary = {.is_primary = true}};
    status_cell_post(cell, &primary, NULL);
    pthread_join(taker, NULL);
    atomic_store(&done, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    ck_assert_int_eq(most_outstanding, 1);
    teardown();
}
END_TEST

/* Everybody reads a cell whose deadline passes; each must see the change in
 * the very millisecond, also if it began far before it, where the cheap clock
 * was enough; and the tick is one step only. */
static void* read_past_deadline(void* arg)
{
    int64_t* deadline = arg;
    enum role role;
    int64_t now_ms;
    do {
        role = status_cell_role(cell);
        now_ms = clock_now_ms();
        if (now_ms < *deadline)
            ck_assert_int_eq(role, ROLE_REPLICA);
    } while (now_ms < *deadline);
    ck_assert_int_eq(status_cell_role(cell), ROLE_NO_PRIMARY);
    return NULL;
}

START_TEST(readers_race_for_the_tick)
{
    pthread_t readers[4];
    struct status before, after;
    open_cell(250, 60000);
    become_replica();
    post_hostname("");
    status_cell_snapshot(cell, &before);
    int64_t deadline = status_cell_deadline(cell);
    for (int i = 0; i < 4; i++)
        start(&readers[i], read_past_deadline, &deadline);
    for (int i = 0; i < 4; i++)
        pthread_join(readers[i], NULL);
    status_cell_snapshot(cell, &after);
    ck_assert_uint_eq(after.generation, before.generation + 1);
    teardown();
}
END_TEST

static void* use_and_unref(void* arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++) {
        post_hostname(i % 2 ? "node-a" : "node-b");
        status_cell_role(cell);
    }
    status_cell_unref(cell);
    return NULL;
}

START_TEST(shut_and_last_unref_race_with_use)
{
    for (int round = 0; round < 50; round++) {
        pthread_t threads[4];
        atomic_store(&owner.frees, 0);
        open_cell(2500, 2000);
        for (int i = 0; i < 4; i++) {
            status_cell_ref(cell);
            start(&threads[i], use_and_unref, NULL);
        }
        status_cell_shut(cell);
        ck_assert_int_eq(status_cell_role(cell), ROLE_UNKNOWN);
        status_cell_unref(cell);
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
        ck_assert_int_eq(atomic_load(&owner.frees), 1);
    }
}
END_TEST

static void add(Suite* suite, const char* name, bool with_cell,
                const TTest* const* tests, size_t count)
{
    TCase* tcase = tcase_create(name);
    if (with_cell)
        tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
}

Suite* suite_status_cell(void)
{
    const TTest* const one_cell[] = {
        begins_unknown_and_without_deadline,
        publishes_what_the_step_says,
        one_hint_until_it_is_taken,
        no_hint_where_nothing_changed,
        shut_is_unknown_for_good,
        free_runs_with_the_last_reference,
        positions_are_coalesced_by_database,
        positions_of_too_many_databases_are_not_kept,
        positions_after_shut_are_dropped,
    };
    const TTest* const own_cell[] = {
        hooks_may_be_null,
        reader_of_the_role_runs_the_tick,
        reader_of_a_snapshot_runs_the_tick,
        readers_tick_is_hinted,
        take_sees_its_own_tick_and_owes_no_hint,
        a_nearer_deadline_wakes_and_a_later_one_does_not,
        a_deadline_that_comes_and_goes_wakes_once_in_its_time,
        no_hint_is_lost_and_never_two_are_out,
        readers_race_for_the_tick,
        shut_and_last_unref_race_with_use,
    };
    Suite* suite = suite_create("status_cell");
    add(suite, "cell", true, one_cell, sizeof one_cell / sizeof *one_cell);
    add(suite, "own", false, own_cell, sizeof own_cell / sizeof *own_cell);
    return suite;
}
