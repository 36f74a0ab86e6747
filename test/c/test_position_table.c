/* What is known of positions, and who is told: the table, and the cell around
 * it. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "position_table.h"
#include "status_cell.h"

static struct position_table table;
static int64_t now_ms = 1000000;

static struct db_position at(const char* db, uint64_t txid)
{
    struct db_position position = {.txid = txid, .checksum = ~txid};

    snprintf(position.db, sizeof position.db, "%s", db);
    return position;
}

static bool event(const char* db, uint64_t txid)
{
    struct db_position position = at(db, txid);

    return position_table_event(&table, &position, now_ms);
}

static bool has_read(const char* db, uint64_t txid, uint64_t mark)
{
    struct db_position position = at(db, txid);

    return position_table_read(&table, &position, mark, now_ms);
}

/* 0 where nothing is known. */
static uint64_t known(const char* db)
{
    struct position position;

    if (!position_table_get(&table, db, INT64_MIN, &position)) {
        return 0;
    }
    ck_assert_uint_eq(position.checksum, ~position.txid);
    return position.txid;
}

static void empty(void)
{
    memset(&table, 0, sizeof table);
}

/* --------------------------------------------------------- the table */

START_TEST(an_event_always_counts)
{
    ck_assert_uint_eq(known("a"), 0);
    ck_assert(event("a", 7));
    ck_assert(event("b", 1));
    ck_assert(event("a", 3)); /* a snapshot */
    ck_assert_uint_eq(known("a"), 3);
    ck_assert_uint_eq(known("b"), 1);
    ck_assert(!event("a", 3));
}
END_TEST

START_TEST(the_same_txid_with_another_checksum_is_news)
{
    struct db_position forked = at("a", 3);

    event("a", 3);
    forked.checksum = 1;
    ck_assert(position_table_event(&table, &forked, now_ms));
}
END_TEST

START_TEST(a_read_counts_where_no_event_came_meanwhile)
{
    uint64_t mark = position_table_mark(&table, "a");

    ck_assert(has_read("a", 5, mark));
    ck_assert(!has_read("a", 5, mark));
    ck_assert(has_read("a", 4, mark)); /* also backward */
    event("b", 9);
    ck_assert(has_read("a", 6, mark));
    event("a", 8);
    ck_assert(!has_read("a", 7, mark));
    ck_assert(!has_read("a", 9, mark));
    ck_assert_uint_eq(known("a"), 8);
    ck_assert(has_read("a", 9, position_table_mark(&table, "a")));
}
END_TEST

START_TEST(an_event_that_changes_nothing_ends_a_mark_too)
{
    uint64_t mark;

    event("a", 8);
    mark = position_table_mark(&table, "a");
    event("a", 8);
    ck_assert(!has_read("a", 7, mark));
}
END_TEST

START_TEST(what_is_forgotten_is_not_brought_back_by_an_old_read)
{
    uint64_t before = position_table_mark(&table, "a");
    uint64_t epoch = table.epoch;

    event("b", 2);
    position_table_forget(&table);
    ck_assert_uint_ne(table.epoch, epoch);
    ck_assert_uint_eq(known("b"), 0);
    ck_assert(!has_read("a", 5, before));
    ck_assert(has_read("a", 5, position_table_mark(&table, "a")));
    ck_assert(event("b", 2));
}
END_TEST

START_TEST(databases_that_came_too_late_are_not_kept)
{
    char db[16];

    for (int i = 0; i < POSITIONS_MAX + 3; i++) {
        snprintf(db, sizeof db, "%d", i);
        ck_assert_int_eq(event(db, 1), i < POSITIONS_MAX);
    }
    ck_assert_uint_eq(known(db), 0);
    ck_assert(event("0", 2));
}
END_TEST

/* The one without an event for the longest time. */
START_TEST(a_read_takes_the_place_of_the_oldest)
{
    char db[16];

    for (int i = 0; i < POSITIONS_MAX; i++) {
        snprintf(db, sizeof db, "%d", i);
        event(db, 1);
    }
    event("0", 2);
    ck_assert(has_read("late", 5, position_table_mark(&table, "late")));
    ck_assert_uint_eq(known("late"), 5);
    ck_assert_uint_eq(known("0"), 2);
    ck_assert_uint_eq(known("1"), 0);
    ck_assert(!event("1", 2));
    ck_assert(event("late", 6));
    ck_assert_int_eq(table.count, POSITIONS_MAX);
}
END_TEST

/* Of one that has no place nobody knows which event was its own. */
START_TEST(an_event_of_another_ends_the_mark_of_one_without_a_place)
{
    char db[16];
    uint64_t mark;
    uint64_t epoch;

    for (int i = 0; i < POSITIONS_MAX; i++) {
        snprintf(db, sizeof db, "%d", i);
        event(db, 1);
    }
    epoch = table.epoch;
    mark = position_table_mark(&table, "late");
    event("late", 8);
    ck_assert(!has_read("late", 7, mark));

    mark = position_table_mark(&table, "0");
    event("0", 2);
    ck_assert(has_read("late", 8, position_table_mark(&table, "late")));
    for (int i = 1; known("0") != 0; i++) { /* until it has lost its place */
        snprintf(db, sizeof db, "late%d", i);
        has_read(db, 1, position_table_mark(&table, db));
    }
    ck_assert(!has_read("0", 1, mark));
    ck_assert_uint_eq(table.epoch, epoch); /* nothing was forgotten */
}
END_TEST

START_TEST(what_was_heard_is_fresh_for_a_while)
{
    struct position position;

    event("a", 7);
    ck_assert(position_table_get(&table, "a", now_ms, &position));
    ck_assert(!position_table_get(&table, "a", now_ms + 1, &position));
    now_ms += POSITION_FRESH_MS;
    ck_assert(!has_read("a", 7, position_table_mark(&table, "a")));
    ck_assert(position_table_get(&table, "a", now_ms, &position));
    now_ms += POSITION_FRESH_MS + 1;
    ck_assert(has_read("a", 7, position_table_mark(&table, "a")));
}
END_TEST

START_TEST(a_name_of_full_length_is_found_again)
{
    char db[DB_NAME_MAX + 1] = {0};

    memset(db, 'x', DB_NAME_MAX);
    ck_assert(event(db, 1));
    ck_assert(!event(db, 1));
    ck_assert_uint_eq(known(db), 1);
}
END_TEST

/* ---------------------------------------------------------- the cell */

static struct status_cell* cell;
static atomic_int hints;

static void count(void* ctx)
{
    atomic_fetch_add((atomic_int*)ctx, 1);
}

static void post(enum role_input_type type)
{
    const struct role_input input = {.type = type};

    status_cell_post(cell, &input, NULL);
}

static void cell_set_up(void)
{
    const struct role_config config = {.stream_enabled = true,
                                       .probe_timeout_ms = 60000};
    const struct status_cell_hooks hooks = {.moved = count, .ctx = &hints};

    ck_assert_int_eq(status_cell_open(&config, &hooks, &cell), 0);
    post(INPUT_STREAM_OPENED);
    post(INPUT_STREAM_PRIMARY); /* what is known stays so */
    atomic_store(&hints, 0);
}

static void cell_tear_down(void)
{
    status_cell_unref(cell);
}

static void post_event(const char* db, uint64_t txid)
{
    struct db_position position = at(db, txid);

    status_cell_post_position(cell, &position);
}

static void post_read(const char* db, uint64_t txid)
{
    struct db_position position = at(db, txid);

    status_cell_post_read(cell, &position, status_cell_position_mark(cell, db));
}

static int take(void)
{
    struct db_position positions[POSITIONS_MAX];

    return status_cell_take_positions(cell, positions);
}

static uint64_t cell_knows(const char* db)
{
    struct position position;
    uint64_t era;

    return status_cell_position(cell, db, &position, &era) ? position.txid : 0;
}

static uint64_t era_with(const char* db)
{
    struct position position;
    uint64_t era;

    status_cell_position(cell, db, &position, &era);
    return era;
}

START_TEST(nobody_is_told_who_has_not_subscribed)
{
    post_event("a", 1);
    ck_assert_int_eq(take(), 1);
    post_event("a", 2);
    ck_assert_int_eq(atomic_load(&hints), 0);
    ck_assert_uint_eq(cell_knows("a"), 2);
}
END_TEST

START_TEST(one_hint_of_positions_until_they_are_taken)
{
    status_cell_subscribe(cell);
    ck_assert_int_eq(atomic_load(&hints), 0);
    post_event("a", 1);
    post_event("a", 2);
    post_read("b", 1);
    ck_assert_int_eq(atomic_load(&hints), 1);
    ck_assert_int_eq(take(), 2);
    post_event("a", 2);
    ck_assert_int_eq(atomic_load(&hints), 1);
    post_read("a", 3);
    ck_assert_int_eq(atomic_load(&hints), 2);
    /* The next subscriber has seen nothing yet. */
    status_cell_subscribe(cell);
    post_event("a", 4);
    ck_assert_int_eq(atomic_load(&hints), 3);
}
END_TEST

START_TEST(a_stream_that_comes_or_goes_takes_the_positions_along)
{
    uint64_t epoch = status_cell_position_epoch(cell);
    uint64_t mark = status_cell_position_mark(cell, "a");
    struct db_position old = at("a", 9);

    post_read("a", 1);
    post(INPUT_STREAM_DOWN);
    ck_assert_uint_ne(status_cell_position_epoch(cell), epoch);
    ck_assert_uint_eq(cell_knows("a"), 0);
    status_cell_post_read(cell, &old, mark);
    ck_assert_uint_eq(cell_knows("a"), 0);
    post_read("a", 1);
    epoch = status_cell_position_epoch(cell);
    post(INPUT_STREAM_DOWN); /* said twice */
    ck_assert_uint_eq(status_cell_position_epoch(cell), epoch);
    post(INPUT_STREAM_OPENED);
    post(INPUT_STREAM_PRIMARY);
    ck_assert_uint_ne(status_cell_position_epoch(cell), epoch);
    ck_assert_uint_eq(cell_knows("a"), 0);
    post_event("a", 2);
    post(INPUT_STREAM_PRIMARY); /* a change of the primary is none of it */
    ck_assert_uint_eq(cell_knows("a"), 2);
}
END_TEST

static void wait_ms(int64_t ms)
{
    int64_t until_ms = clock_now_ms() + ms;

    while (!clock_has_reached(until_ms)) {
        usleep(1000);
    }
}

/* Another history may have come since, and nobody would have said so. */
START_TEST(without_a_stream_a_position_is_known_for_a_moment_only)
{
    bool known = false;

    post_event("a", 1);
    wait_ms(POSITION_FRESH_MS + 1);
    ck_assert_uint_eq(cell_knows("a"), 1);
    post(INPUT_STREAM_DOWN);
    for (int i = 0; i < 100 && !known; i++) { /* this machine may pause */
        post_read("a", 2);
        known = cell_knows("a") == 2;
    }
    ck_assert(known);
    wait_ms(POSITION_FRESH_MS + 1);
    ck_assert_uint_eq(cell_knows("a"), 0);
}
END_TEST

START_TEST(the_era_is_told_with_a_position_and_without_one)
{
    uint64_t era = era_with("a");

    post(INPUT_STREAM_PRIMARY);
    ck_assert_uint_gt(era_with("a"), era);
    era = era_with("a");
    post_event("a", 1);
    post_read("b", 1);
    ck_assert_uint_eq(era_with("a"), era);
    ck_assert_uint_eq(era_with("b"), era);
    ck_assert_uint_eq(era_with("c"), era);
}
END_TEST

START_TEST(a_shut_cell_knows_no_position)
{
    status_cell_subscribe(cell);
    post_event("a", 1);
    take();
    status_cell_shut(cell);
    post_event("a", 2);
    post_read("a", 3);
    take();
    post_event("a", 4);
    ck_assert_uint_eq(cell_knows("a"), 0);
    ck_assert_int_eq(atomic_load(&hints), 1);
}
END_TEST

/* ------------------------------------------------------------ threads */

enum { EVENTS = 5000 };

static pthread_mutex_t hint_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t hint_given = PTHREAD_COND_INITIALIZER;
static int outstanding;

static void send_hint(void* ctx)
{
    (void)ctx;
    pthread_mutex_lock(&hint_mutex);
    outstanding++;
    ck_assert_int_eq(outstanding, 1);
    pthread_cond_signal(&hint_given);
    pthread_mutex_unlock(&hint_mutex);
}

static void receive_hint(void)
{
    pthread_mutex_lock(&hint_mutex);
    while (outstanding == 0) {
        pthread_cond_wait(&hint_given, &hint_mutex);
    }
    outstanding--;
    pthread_mutex_unlock(&hint_mutex);
}

static void* post_events(void* arg)
{
    (void)arg;
    for (uint64_t txid = 1; txid <= EVENTS; txid++) {
        post_event("a", txid);
    }
    return NULL;
}

/* Reads that are as old as they can be, and always behind the events. */
static void* post_reads(void* arg)
{
    (void)arg;
    for (int i = 0; i < EVENTS; i++) {
        uint64_t mark = status_cell_position_mark(cell, "a");
        struct db_position position = at("a", cell_knows("a"));

        status_cell_post_read(cell, &position, mark);
    }
    return NULL;
}

/* A hint that was lost makes it hang, which the limit of the test tells. */
START_TEST(who_waits_for_hints_sees_the_last_position)
{
    const struct role_config config = {.stream_enabled = true,
                                       .probe_timeout_ms = 60000};
    const struct status_cell_hooks hooks = {.moved = send_hint};
    pthread_t threads[2];
    uint64_t seen = 0;

    ck_assert_int_eq(status_cell_open(&config, &hooks, &cell), 0);
    post(INPUT_STREAM_OPENED);
    post(INPUT_STREAM_PRIMARY);
    status_cell_subscribe(cell);
    post_event("a", 1);
    pthread_create(&threads[0], NULL, post_events, NULL);
    pthread_create(&threads[1], NULL, post_reads, NULL);
    while (seen < EVENTS) {
        receive_hint();
        take();
        ck_assert_uint_ge(cell_knows("a"), seen);
        seen = cell_knows("a");
    }
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    ck_assert_uint_eq(cell_knows("a"), EVENTS);
    status_cell_unref(cell);
}
END_TEST

Suite* suite_position_table(void);
Suite* suite_position_table(void)
{
    Suite* suite = suite_create("position_table");
    TCase* tables = tcase_create("table");
    TCase* cells = tcase_create("cell");
    TCase* threads = tcase_create("threads");

    tcase_add_checked_fixture(tables, empty, NULL);
    tcase_add_test(tables, an_event_always_counts);
    tcase_add_test(tables, the_same_txid_with_another_checksum_is_news);
    tcase_add_test(tables, a_read_counts_where_no_event_came_meanwhile);
    tcase_add_test(tables, an_event_that_changes_nothing_ends_a_mark_too);
    tcase_add_test(tables,
                   what_is_forgotten_is_not_brought_back_by_an_old_read);
    tcase_add_test(tables, databases_that_came_too_late_are_not_kept);
    tcase_add_test(tables, a_read_takes_the_place_of_the_oldest);
    tcase_add_test(tables,
                   an_event_of_another_ends_the_mark_of_one_without_a_place);
    tcase_add_test(tables, what_was_heard_is_fresh_for_a_while);
    tcase_add_test(tables, a_name_of_full_length_is_found_again);
    suite_add_tcase(suite, tables);
    tcase_add_checked_fixture(cells, cell_set_up, cell_tear_down);
    tcase_add_test(cells, nobody_is_told_who_has_not_subscribed);
    tcase_add_test(cells, one_hint_of_positions_until_they_are_taken);
    tcase_add_test(cells,
                   a_stream_that_comes_or_goes_takes_the_positions_along);
    tcase_add_test(cells,
                   without_a_stream_a_position_is_known_for_a_moment_only);
    tcase_add_test(cells, the_era_is_told_with_a_position_and_without_one);
    tcase_add_test(cells, a_shut_cell_knows_no_position);
    suite_add_tcase(suite, cells);
    tcase_add_test(threads, who_waits_for_hints_sees_the_last_position);
    suite_add_tcase(suite, threads);
    return suite;
}
