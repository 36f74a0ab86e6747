/* Positions by the directory's thread, on a mount as LiteFS serves it. */
#include <check.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>

#include "cell_fixture.h"
#include "clock.h"
#include "fuse_stub.h"
#include "mount_fixture.h"
#include "mount_thread.h"

#define SEVEN "0000000000000007/00000000000000aa\n"
#define EIGHT "0000000000000008/00000000000000bb\n"

enum { LIMIT_MS = 4000, PROBE_TIMEOUT_MS = 300 };

static struct mount_fixture directory;
static struct fuse_stub stub;
static struct cell_fixture cell;
static struct mount_source* source;
static struct check_answers answers;

/* What the stream would post, and the hint that follows. In its own
 * millisecond a look does not count beside it. */
static void stream(enum role_input_type type)
{
    struct role_input input = {.type = type};
    int64_t at_ms;

    if (type == INPUT_STREAM_PRIMARY) {
        strcpy(input.primary.hostname, "node-b");
    }
    status_cell_post(cell.cell, &input, NULL);
    mount_source_hint(source);
    at_ms = clock_now_ms();
    while (clock_now_ms() <= at_ms + 1) {
        sched_yield();
    }
}

static void stream_event(const char* db, uint64_t txid)
{
    struct db_position position = {.txid = txid, .checksum = txid};

    snprintf(position.db, sizeof position.db, "%s", db);
    status_cell_post_position(cell.cell, &position);
}

static bool reconnect_is(const struct status* status, int wanted)
{
    return status->reconnect_pending == (wanted != 0);
}

static void reconnect(void)
{
    struct role_input input = {.type = INPUT_RECONNECTED};

    ck_assert_int_ge(cell_wait(&cell, reconnect_is, true, LIMIT_MS), 0);
    input.reconnected = cell.status.reconnect_epoch;
    status_cell_post(cell.cell, &input, NULL);
}

static void attach(struct cell_fixture* to, struct mount_source** attached)
{
    struct status_cell_hooks hooks = cell_fixture_hooks(to);
    struct role_config role = {
        .stream_enabled = true,
        .poll_enabled = true,
        .poll_interval_ms = 60000,
        .grace_ms = 2500,
        .probe_timeout_ms = PROBE_TIMEOUT_MS,
    };
    struct mount_source_config config = {
        .directory = directory.directory,
        .primary_name = ".primary",
        .poll_interval_ms = 60000,
    };

    cell_fixture_init(to);
    ck_assert_int_eq(status_cell_open(&role, &hooks, &to->cell), 0);
    ck_assert_int_eq(mount_source_attach(&config, to->cell, attached), 0);
}

/* A replica of node-b whose stream is up. */
static void set_up(void)
{
    fixture_set_up(&directory);
    fault_install();
    ck_assert_msg(fixture_unshare(), "no mount namespace: %s", strerror(errno));
    fuse_stub_start(&stub, directory.directory, "litefs");
    fuse_stub_name_primary(&stub, "node-b\n");
    fuse_stub_set_position(&stub, "app.db", SEVEN);
    check_answers_init(&answers);
    attach(&cell, &source);
    reconnect();
    stream(INPUT_STREAM_PRIMARY);
}

static void detach(void)
{
    mount_source_detach(source);
    status_cell_unref(cell.cell);
    ck_assert(cell_wait_freed(&cell, LIMIT_MS));
}

static void tear_down(void)
{
    fuse_stub_die(&stub);
    fixture_tear_down(&directory);
}

static void ask(const char* db)
{
    ck_assert_int_eq(mount_source_check(source, db, check_done, &answers), 0);
}

/* 0 for none. */
static uint64_t check_now(const char* db)
{
    check_answers_init(&answers);
    ask(db);
    ck_assert(check_wait(&answers, 1, LIMIT_MS));
    return answers.positions > 0 ? answers.position.txid : 0;
}

static uint64_t cell_knows(const char* db)
{
    struct position position;
    uint64_t era;

    return status_cell_position(cell.cell, db, &position, &era) ? position.txid
                                                                : 0;
}

/* The kernel and another thread take their time. */
static bool eventually(bool (*holds)(int wanted), int wanted)
{
    int64_t end = clock_now_ms() + LIMIT_MS;
    const struct timespec pause = {.tv_nsec = 1000000};

    while (!holds(wanted)) {
        if (clock_now_ms() > end) {
            return false;
        }
        nanosleep(&pause, NULL);
    }
    return true;
}

static bool open_files_are(int wanted)
{
    return fuse_stub_open_files(&stub) == wanted;
}

static bool registry_count_is(int wanted)
{
    return mount_registry_count() == (unsigned)wanted;
}

static bool mount_kind_is(int wanted)
{
    struct status status;

    status_cell_snapshot(cell.cell, &status);
    return (int)status.mount == wanted;
}

/* ------------------------------------------------------------- checks */

START_TEST(a_check_gives_the_role_and_the_position)
{
    ck_assert_uint_eq(check_now("app.db"), 7);
    ck_assert_uint_eq(answers.position.checksum, 0xaa);
    ck_assert_uint_eq(answers.of_role[ROLE_REPLICA], 1);
    fuse_stub_set_position(&stub, "app.db", EIGHT);
    ck_assert_uint_eq(check_now("app.db"), 8);
    fuse_stub_set_primary(&stub, true);
    fuse_stub_name_primary(&stub, NULL);
    ck_assert_uint_eq(check_now("app.db"), 8);
    ck_assert_uint_eq(answers.of_role[ROLE_PRIMARY], 1);
    detach();
}
END_TEST

START_TEST(a_check_without_a_readable_database_has_no_position)
{
    char too_long[DB_NAME_MAX + 2] = {0};

    memset(too_long, 'x', DB_NAME_MAX + 1);
    fuse_stub_set_position(&stub, "broken", "7/aa\n");
    ck_assert_uint_eq(check_now(NULL), 0);
    ck_assert_uint_eq(check_now(""), 0);
    ck_assert_uint_eq(check_now("missing"), 0);
    ck_assert_uint_eq(check_now("broken"), 0);
    ck_assert_uint_eq(check_now("../app.db"), 0);
    ck_assert_uint_eq(check_now(too_long), 0);
    ck_assert_uint_eq(answers.of_role[ROLE_REPLICA], 1);
    ck_assert(eventually(open_files_are, 0));
    detach();
}
END_TEST

/* Neither the old position nor that of another database. */
START_TEST(checks_that_wait_for_one_look_get_their_own_position)
{
    fuse_stub_set_position(&stub, "b.db", EIGHT);
    fault_block(CALL_ROOT_STATX);
    ask(NULL);
    ck_assert(fault_wait_blocked(LIMIT_MS));
    check_answers_init(&answers);
    for (int i = 0; i < 30; i++) {
        static const char* const DBS[] = {"app.db", "b.db", NULL, "missing"};
        static struct check_answers of[4];
        const char* db = DBS[i % 4];

        if (i < 4) {
            check_answers_init(&of[i]);
        }
        ck_assert_int_eq(mount_source_check(source, db, check_done, &of[i % 4]),
                         0);
        if (i < 29) {
            continue;
        }
        fault_release();
        for (int k = 0; k < 4; k++) {
            ck_assert(check_wait(&of[k], k < 2 ? 8 : 7, LIMIT_MS));
        }
        ck_assert_uint_eq(of[0].positions, 8);
        ck_assert_uint_eq(of[0].position.txid, 7);
        ck_assert_uint_eq(of[1].positions, 8);
        ck_assert_uint_eq(of[1].position.txid, 8);
        ck_assert_uint_eq(of[2].positions + of[3].positions, 0);
    }
    detach();
}
END_TEST

/* The first look began before it, so its position may be older too. */
START_TEST(a_position_is_never_older_than_its_check)
{
    fault_block(CALL_POSITION_READ);
    ask("app.db");
    ck_assert(fault_wait_blocked(LIMIT_MS));
    check_answers_init(&answers);
    ask("app.db");
    fuse_stub_set_position(&stub, "app.db", EIGHT);
    fault_release();
    ck_assert(check_wait(&answers, 1, LIMIT_MS));
    ck_assert(check_wait(&answers, 2, LIMIT_MS));
    ck_assert_uint_eq(answers.position.txid, 8);
    detach();
}
END_TEST

START_TEST(a_position_that_was_read_is_known_from_then_on)
{
    ck_assert_uint_eq(cell_knows("app.db"), 0);
    check_now("app.db");
    ck_assert_uint_eq(cell_knows("app.db"), 7);
    stream_event("app.db", 9);
    ck_assert_uint_eq(cell_knows("app.db"), 9);
    check_now("app.db");
    ck_assert_uint_eq(cell_knows("app.db"), 7);
    detach();
}
END_TEST

START_TEST(an_event_that_came_during_the_read_stays)
{
    fault_block(CALL_POSITION_READ);
    ask("app.db");
    ck_assert(fault_wait_blocked(LIMIT_MS));
    stream_event("app.db", 9);
    fault_release();
    ck_assert(check_wait(&answers, 1, LIMIT_MS));
    ck_assert_uint_eq(answers.position.txid, 7);
    ck_assert_uint_eq(cell_knows("app.db"), 9);
    detach();
}
END_TEST

START_TEST(the_position_of_an_unknown_role_is_none)
{
    struct cell_fixture other;
    struct mount_source* of_other;

    attach(&other, &of_other); /* waits for its pool to reconnect */
    ck_assert_int_ge(cell_wait(&other, reconnect_is, true, LIMIT_MS), 0);
    ck_assert_int_eq(
        mount_source_check(of_other, "app.db", check_done, &answers), 0);
    ck_assert(check_wait(&answers, 1, LIMIT_MS));
    ck_assert_uint_eq(answers.of_role[ROLE_UNKNOWN], 1);
    ck_assert_uint_eq(answers.positions, 0);
    mount_source_detach(of_other);
    status_cell_unref(other.cell);
    ck_assert(cell_wait_freed(&other, LIMIT_MS));
    detach();
}
END_TEST

START_TEST(a_plain_directory_has_no_positions)
{
    char path[PATH_MAX + 16];

    ck_assert_int_eq(umount(directory.directory), 0);
    ck_assert(eventually(mount_kind_is, MOUNT_PLAIN));
    snprintf(path, sizeof path, "%s/app.db-pos", directory.directory);
    fixture_write(path, SEVEN, sizeof SEVEN - 1);
    ck_assert_uint_eq(check_now("app.db"), 0);
    ck_assert_uint_eq(cell_knows("app.db"), 0);
    detach();
}
END_TEST

/* -------------------------------------------------------- descriptors */

START_TEST(a_descriptor_is_kept_as_long_as_it_is_asked_for)
{
    int64_t last;

    for (int i = 0; i < 20; i++) {
        check_now("app.db");
        last = clock_now_ms();
    }
    ck_assert_uint_lt(fault_count(CALL_POSITION_OPEN), 20);
    ck_assert(eventually(open_files_are, 0));
    ck_assert_int_lt(clock_now_ms() - last, 1000);
    detach();
}
END_TEST

/* It gives no sign before it unmounts. */
START_TEST(without_a_stream_no_descriptor_is_kept)
{
    unsigned before;

    stream(INPUT_STREAM_DOWN);
    before = fault_count(CALL_POSITION_OPEN);
    for (unsigned i = 1; i <= 5; i++) {
        ck_assert_uint_eq(check_now("app.db"), 7);
        ck_assert_uint_eq(fault_count(CALL_POSITION_OPEN), before + i);
        ck_assert(eventually(open_files_are, 0));
    }
    detach();
}
END_TEST

/* LiteFS closes its HTTP server first when it stops. */
START_TEST(the_loss_of_the_stream_closes_them)
{
    int64_t started;

    do {
        check_now("app.db");
        started = clock_now_ms();
        stream(INPUT_STREAM_DOWN);
        ck_assert(eventually(open_files_are, 0));
        stream(INPUT_STREAM_PRIMARY);
    } while (clock_now_ms() - started > POSITION_KEEP_MS / 2);
    detach();
}
END_TEST

START_TEST(the_last_detach_closes_them)
{
    check_now("app.db");
    detach();
    ck_assert(eventually(registry_count_is, 0));
    ck_assert(eventually(open_files_are, 0));
}
END_TEST

START_TEST(a_death_between_look_and_read_is_noticed)
{
    unsigned looks;

    ck_assert_uint_eq(check_now("app.db"), 7);
    looks = fault_count(CALL_ROOT_STATX);
    fault_inject(CALL_POSITION_READ, ENOTCONN);
    ck_assert_uint_eq(check_now("app.db"), 0);
    ck_assert(eventually(open_files_are, 0));
    /* The check's own, and one that the error has asked for. */
    while (fault_count(CALL_ROOT_STATX) < looks + 2) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    detach();
}
END_TEST

START_TEST(a_dead_litefs_finds_its_place_free)
{
    ck_assert_uint_eq(check_now("app.db"), 7);
    fuse_stub_die(&stub);
    ck_assert_uint_eq(check_now("app.db"), 0);
    ck_assert_uint_eq(answers.of_role[ROLE_UNKNOWN], 1);
    ck_assert_int_eq(umount(directory.directory), 0);
    fuse_stub_start(&stub, directory.directory, "litefs");
    fuse_stub_set_position(&stub, "app.db", EIGHT);
    reconnect();
    ck_assert_uint_eq(check_now("app.db"), 8);
    detach();
}
END_TEST

/* ---------------------------------------------------------- a hung one */

/* A look is over, and then LiteFS freezes. */
START_TEST(a_read_that_hangs_is_noticed_as_a_look_is)
{
    check_now(NULL);
    fuse_stub_freeze_positions(&stub, true);
    ask("app.db");
    ck_assert(eventually(mount_kind_is, MOUNT_TIMEOUT));
    ck_assert_int_eq(status_cell_role(cell.cell), ROLE_UNKNOWN);
    fuse_stub_freeze_positions(&stub, false);
    ck_assert(eventually(mount_kind_is, MOUNT_LITEFS));
    ck_assert_int_eq(status_cell_role(cell.cell), ROLE_REPLICA);
    detach();
}
END_TEST

START_TEST(a_close_that_hangs_is_noticed_as_a_look_is)
{
    check_now("app.db");
    fault_block(CALL_POSITION_CLOSE);
    ck_assert(fault_wait_blocked(LIMIT_MS));
    ck_assert(eventually(mount_kind_is, MOUNT_TIMEOUT));
    fault_release();
    ck_assert(eventually(mount_kind_is, MOUNT_LITEFS));
    ck_assert_int_eq(status_cell_role(cell.cell), ROLE_REPLICA);
    detach();
}
END_TEST

/* The thread is found again, and the check is not left without an answer. */
START_TEST(a_thread_that_hangs_in_a_read_holds_nobody)
{
    check_now(NULL);
    check_answers_init(&answers);
    fuse_stub_freeze_positions(&stub, true);
    ask("app.db");
    ck_assert(eventually(mount_kind_is, MOUNT_TIMEOUT));
    mount_source_detach(source);
    ck_assert_uint_eq(answers.of_role[ROLE_UNKNOWN], 1);
    status_cell_unref(cell.cell);
    ck_assert_uint_eq(mount_registry_count(), 1);
    attach(&cell, &source);
    ck_assert_uint_eq(mount_registry_count(), 1);
    fuse_stub_freeze_positions(&stub, false);
    reconnect();
    ck_assert_uint_eq(check_now("app.db"), 7);
    detach();
    ck_assert_uint_eq(answers.count, 1);
}
END_TEST

/* Also where it is the last close that hangs. */
START_TEST(a_thread_that_hangs_in_its_last_close_is_used_again)
{
    check_now("app.db");
    fault_block(CALL_POSITION_CLOSE);
    mount_source_detach(source);
    status_cell_unref(cell.cell);
    ck_assert(fault_wait_blocked(LIMIT_MS));
    ck_assert_uint_eq(mount_registry_count(), 1);
    attach(&cell, &source);
    ck_assert_uint_eq(mount_registry_count(), 1);
    fault_release();
    reconnect();
    ck_assert_uint_eq(check_now("app.db"), 7);
    detach();
    ck_assert(eventually(registry_count_is, 0));
}
END_TEST

/* ------------------------------------------------------------ watches */

static void watch(const char* db, bool on)
{
    ck_assert_int_eq(mount_source_watch(source, db, on), 0);
}

static bool cell_knows_app(int wanted)
{
    return cell_knows("app.db") == (uint64_t)wanted;
}

static bool reads_are(int wanted)
{
    return fault_count(CALL_POSITION_READ) >= (unsigned)wanted;
}

static int reads(void)
{
    return (int)fault_count(CALL_POSITION_READ);
}

static void let_pass(int64_t ms)
{
    nanosleep(
        &(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000},
        NULL);
}

START_TEST(a_watch_begins_with_a_read_and_leaves_the_rest_to_the_stream)
{
    watch("app.db", true);
    ck_assert(eventually(cell_knows_app, 7));
    fuse_stub_set_position(&stub, "app.db", EIGHT);
    watch("app.db", true);
    let_pass(50);
    ck_assert_int_eq(reads(), 1);
    ck_assert(eventually(open_files_are, 0));
    watch("app.db", false);
    watch("app.db", true);
    ck_assert(eventually(cell_knows_app, 8));
    ck_assert_int_eq(reads(), 2);
    detach();
}
END_TEST

/* What happened meanwhile is in no event. */
START_TEST(a_watched_database_is_read_when_the_stream_comes_back)
{
    int before;

    watch("app.db", true);
    watch("other", true);
    ck_assert(eventually(cell_knows_app, 7));
    stream(INPUT_STREAM_DOWN);
    ck_assert(eventually(cell_knows_app, 7));
    watch("app.db", false);
    fuse_stub_set_position(&stub, "app.db", EIGHT);
    watch("app.db", true);
    stream(INPUT_STREAM_PRIMARY);
    ck_assert(eventually(cell_knows_app, 8));
    let_pass(20);
    before = reads();
    let_pass(50);
    ck_assert_int_eq(reads(), before);
    detach();
}
END_TEST

START_TEST(while_the_stream_is_down_a_watched_database_is_polled)
{
    int before;

    stream(INPUT_STREAM_DOWN);
    watch("app.db", true);
    ck_assert(eventually(cell_knows_app, 7));
    fuse_stub_set_position(&stub, "app.db", EIGHT);
    ck_assert(eventually(cell_knows_app, 8));
    before = reads();
    let_pass(300);
    /* A busy machine makes it fewer; 1, 2, 4, 8, and then every 10 ms. */
    ck_assert_int_le(reads(), before + 5 + 30);
    ck_assert_int_ge(reads(), before + 3);
    watch("app.db", false);
    ck_assert_uint_eq(check_now(NULL), 0);
    before = reads();
    let_pass(50);
    ck_assert_int_eq(reads(), before);
    ck_assert(eventually(open_files_are, 0));
    detach();
}
END_TEST

START_TEST(a_stream_that_was_lost_just_now_gives_litefs_time_to_unmount)
{
    int64_t lost;
    int before;

    watch("app.db", true);
    ck_assert(eventually(cell_knows_app, 7));
    before = reads();
    lost = clock_now_ms();
    stream(INPUT_STREAM_DOWN);
    ck_assert(eventually(reads_are, before + 1));
    ck_assert_int_ge(clock_now_ms() - lost, SCHEDULE_SPACING_MS - 1);
    detach();
}
END_TEST

/* No event may ever tell of it: that of its last change was missed. */
START_TEST(where_the_read_failed_it_is_tried_again_also_while_the_stream_is_up)
{
    unsigned before;

    watch("late", true);
    let_pass(300);
    before = fault_count(CALL_POSITION_OPEN);
    ck_assert_uint_ge(before, 1);
    ck_assert_uint_le(before, 5);
    fuse_stub_set_position(&stub, "late", SEVEN);
    while (cell_knows("late") != 7) {
        let_pass(1);
    }
    let_pass(50);
    ck_assert_int_eq(reads(), 1);
    detach();
}
END_TEST

/* What was missing before it was mounted is not missing for that. */
START_TEST(another_mount_is_asked_at_once)
{
    ck_assert_uint_eq(check_now("late"), 0);
    ck_assert_int_eq(umount(directory.directory), 0);
    fuse_stub_die(&stub);
    fuse_stub_start(&stub, directory.directory, "litefs");
    fuse_stub_set_position(&stub, "late", SEVEN);
    while (!mount_kind_is(MOUNT_LITEFS)) {
        let_pass(1);
    }
    reconnect();
    ck_assert_uint_eq(check_now("late"), 7);
    detach();
}
END_TEST

/* Also later, in between two reads. */
START_TEST(polls_leave_litefs_room_to_unmount)
{
    int64_t end = clock_now_ms() + LIMIT_MS;

    stream(INPUT_STREAM_DOWN);
    watch("app.db", true);
    ck_assert(eventually(cell_knows_app, 7));
    while (umount(directory.directory) != 0) {
        ck_assert_int_lt(clock_now_ms(), end);
        let_pass(1);
    }
    ck_assert(eventually(mount_kind_is, MOUNT_PLAIN));
    detach();
}
END_TEST

/* A LOOKUP may meet a lease change inside LiteFS. */
START_TEST(a_watched_database_that_is_missing_is_looked_up_now_and_then)
{
    unsigned before;

    stream(INPUT_STREAM_DOWN);
    watch("missing", true);
    before = fault_count(CALL_POSITION_OPEN);
    let_pass(500);
    ck_assert_uint_le(fault_count(CALL_POSITION_OPEN), before + 11);
    fuse_stub_set_position(&stub, "missing", SEVEN);
    while (cell_knows("missing") != 7) {
        let_pass(1);
    }
    detach();
}
END_TEST

START_TEST(a_dead_litefs_is_not_polled_and_its_successor_is)
{
    int before;

    stream(INPUT_STREAM_DOWN);
    watch("app.db", true);
    ck_assert(eventually(cell_knows_app, 7));
    fuse_stub_die(&stub);
    ck_assert(eventually(mount_kind_is, MOUNT_DEAD));
    before = reads();
    let_pass(50);
    ck_assert_int_eq(reads(), before);
    ck_assert_int_eq(umount(directory.directory), 0);
    fuse_stub_start(&stub, directory.directory, "litefs");
    fuse_stub_set_position(&stub, "app.db", EIGHT);
    ck_assert(eventually(cell_knows_app, 8));
    detach();
}
END_TEST

START_TEST(a_poll_that_hangs_is_noticed_as_a_look_is)
{
    stream(INPUT_STREAM_DOWN);
    watch("app.db", true);
    ck_assert(eventually(cell_knows_app, 7));
    fuse_stub_freeze_positions(&stub, true);
    ck_assert(eventually(mount_kind_is, MOUNT_TIMEOUT));
    ck_assert_int_eq(status_cell_role(cell.cell), ROLE_UNKNOWN);
    watch("app.db", false); /* it waits for nobody */
    fuse_stub_freeze_positions(&stub, false);
    ck_assert(eventually(mount_kind_is, MOUNT_LITEFS));
    detach();
}
END_TEST

START_TEST(not_too_many_are_watched)
{
    char db[DB_NAME_MAX + 2] = {0};

    for (int i = 0; i < POSITIONS_MAX; i++) {
        snprintf(db, sizeof db, "%d", i);
        watch(db, true);
        watch(db, true);
    }
    ck_assert_int_eq(mount_source_watch(source, "app.db", true), -EAGAIN);
    watch("app.db", false);
    watch("0", false);
    watch("0", false);
    watch("app.db", true);
    ck_assert(eventually(cell_knows_app, 7));
    watch(NULL, false);
    for (int i = 0; i < POSITIONS_MAX; i++) {
        snprintf(db, sizeof db, "x%d", i);
        watch(db, true);
    }
    memset(db, 'x', DB_NAME_MAX + 1);
    watch(db, true); /* of which there is no position to wait for */
    watch("", true);
    detach();
}
END_TEST

/* Whoever watches, all cells of the directory hear of it. */
START_TEST(what_one_watches_all_get_to_know)
{
    struct cell_fixture other;
    struct mount_source* of_other;
    struct position position;
    uint64_t era;

    attach(&other, &of_other);
    ck_assert_int_ge(cell_wait(&other, reconnect_is, true, LIMIT_MS), 0);
    watch("app.db", true);
    ck_assert(eventually(cell_knows_app, 7));
    while (!status_cell_position(other.cell, "app.db", &position, &era)) {
        let_pass(1);
    }
    ck_assert_uint_eq(position.txid, 7);
    mount_source_detach(of_other);
    status_cell_unref(other.cell);
    ck_assert(cell_wait_freed(&other, LIMIT_MS));
    detach();
}
END_TEST

static TCase* watch_tests(void)
{
    TCase* tcase = tcase_create("watches");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(
        tcase, a_watch_begins_with_a_read_and_leaves_the_rest_to_the_stream);
    tcase_add_test(tcase,
                   a_watched_database_is_read_when_the_stream_comes_back);
    tcase_add_test(tcase,
                   while_the_stream_is_down_a_watched_database_is_polled);
    tcase_add_test(
        tcase, a_stream_that_was_lost_just_now_gives_litefs_time_to_unmount);
    tcase_add_test(
        tcase,
        where_the_read_failed_it_is_tried_again_also_while_the_stream_is_up);
    tcase_add_test(tcase, another_mount_is_asked_at_once);
    tcase_add_test(tcase, polls_leave_litefs_room_to_unmount);
    tcase_add_test(
        tcase, a_watched_database_that_is_missing_is_looked_up_now_and_then);
    tcase_add_test(tcase, a_dead_litefs_is_not_polled_and_its_successor_is);
    tcase_add_test(tcase, a_poll_that_hangs_is_noticed_as_a_look_is);
    tcase_add_test(tcase, not_too_many_are_watched);
    tcase_add_test(tcase, what_one_watches_all_get_to_know);
    return tcase;
}

static TCase* check_tests(void)
{
    TCase* tcase = tcase_create("checks");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_check_gives_the_role_and_the_position);
    tcase_add_test(tcase, a_check_without_a_readable_database_has_no_position);
    tcase_add_test(tcase, checks_that_wait_for_one_look_get_their_own_position);
    tcase_add_test(tcase, a_position_is_never_older_than_its_check);
    tcase_add_test(tcase, a_position_that_was_read_is_known_from_then_on);
    tcase_add_test(tcase, an_event_that_came_during_the_read_stays);
    tcase_add_test(tcase, the_position_of_an_unknown_role_is_none);
    tcase_add_test(tcase, a_plain_directory_has_no_positions);
    return tcase;
}

static TCase* descriptor_tests(void)
{
    TCase* tcase = tcase_create("descriptors");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_descriptor_is_kept_as_long_as_it_is_asked_for);
    tcase_add_test(tcase, without_a_stream_no_descriptor_is_kept);
    tcase_add_test(tcase, the_loss_of_the_stream_closes_them);
    tcase_add_test(tcase, the_last_detach_closes_them);
    tcase_add_test(tcase, a_death_between_look_and_read_is_noticed);
    tcase_add_test(tcase, a_dead_litefs_finds_its_place_free);
    tcase_add_test(tcase, a_read_that_hangs_is_noticed_as_a_look_is);
    tcase_add_test(tcase, a_close_that_hangs_is_noticed_as_a_look_is);
    tcase_add_test(tcase, a_thread_that_hangs_in_a_read_holds_nobody);
    tcase_add_test(tcase, a_thread_that_hangs_in_its_last_close_is_used_again);
    return tcase;
}

Suite* suite_mount_positions(void);
Suite* suite_mount_positions(void)
{
    Suite* suite = suite_create("mount_positions");

    if (!fuse_stub_possible()) {
        printf("mount_positions: skipped, /dev/fuse cannot be used here\n");
        return suite;
    }
    suite_add_tcase(suite, check_tests());
    suite_add_tcase(suite, descriptor_tests());
    suite_add_tcase(suite, watch_tests());
    return suite;
}
