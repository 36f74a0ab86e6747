/*
 * Random inputs against an oracle that remembers only what LiteFS said: after
 * any sequence the safety rules hold. The seed is the number of the loop, which
 * a failure's line ends in.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "role_world.h"

enum { SEEDS = 300, STEPS = 400 };

/* The last word of each source, kept without any of role.c's bookkeeping. */
struct memory {
    bool event, event_primary;
    int64_t event_ms;
    struct mount_sample sample;
    bool litefs_seen;
    bool polled;
    int64_t probe_ms; /* of the probe that runs, else 0 */
    int64_t down_ms;  /* the stream's, 0 while up */
};

static uint64_t random_state;

static unsigned pick(unsigned below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(random_state >> 33) % below;
}

static void pick_sample(struct role_input* input, int64_t now_ms)
{
    struct mount_sample* sample = &input->mount;
    unsigned other = pick(3) ? 0 : pick(5);
    sample->kind = (enum mount_kind)(MOUNT_LITEFS + other);
    sample->started_ms = now_ms - (pick(3) ? 0 : pick(30));
    if (sample->started_ms < 1)
        sample->started_ms = 1;
    sample->lag_ms = pick(2);
    sample->primary_file = (enum primary_file)pick(3);
    if (sample->primary_file == PRIMARY_FILE_PRESENT && pick(4))
        snprintf(sample->hostname, sizeof sample->hostname, "h%u", pick(3));
    if (sample->kind != MOUNT_LITEFS)
        return;
    sample->root_writable = pick(2);
    sample->mnt_id = pick(20) ? 1 : 2;
    sample->dev = 7;
}

static void pick_input(struct role_input* input, const struct role_world* world,
                       int64_t now_ms)
{
    memset(input, 0, sizeof *input);
    input->type = (enum role_input_type)pick(INPUT_TICK + 1);
    switch (input->type) {
    case INPUT_STREAM_OPENED:
        snprintf(input->opened.litefs_id, sizeof input->opened.litefs_id, "%s",
                 pick(10) ? "AA" : "BB");
        if (world->state.config.mode == MODE_AUTO && pick(40))
            input->opened.litefs_id[0] = '\0'; /* or it is LiteFS for good */
        break;
    case INPUT_STREAM_PRIMARY:
        input->primary.is_primary = pick(2);
        if (!input->primary.is_primary && pick(2))
            snprintf(input->primary.hostname, sizeof input->primary.hostname,
                     "h%u", pick(3));
        break;
    case INPUT_OWN_HOSTNAME:
        snprintf(input->own_hostname, sizeof input->own_hostname, "h%u",
                 pick(2));
        break;
    case INPUT_MOUNT:
        pick_sample(input, now_ms);
        break;
    case INPUT_MANUAL:
        input->manual = (enum manual_role)pick(3);
        break;
    case INPUT_RECONNECTED:
        input->reconnected =
            world->state.status.reconnect_epoch - (pick(4) ? 0 : 1);
        break;
    case INPUT_STREAM_DOWN:
    case INPUT_PROBE_STARTED:
    case INPUT_PROBE_ENDED:
    case INPUT_TICK:
        break;
    }
}

static void remember(struct memory* memory, const struct role_input* input,
                     enum mount_mode mode, int64_t now_ms)
{
    switch (input->type) {
    case INPUT_STREAM_PRIMARY:
        memory->event = true;
        memory->event_primary = input->primary.is_primary;
        memory->event_ms = now_ms;
        memory->down_ms = 0;
        break;
    case INPUT_STREAM_DOWN:
        memory->down_ms = memory->down_ms ? memory->down_ms : now_ms;
        memory->event = false;
        break;
    case INPUT_STREAM_OPENED:
        memory->event = false;
        memory->litefs_seen |= mode == MODE_AUTO && input->opened.litefs_id[0];
        break;
    case INPUT_PROBE_STARTED:
        memory->probe_ms = now_ms;
        break;
    case INPUT_PROBE_ENDED:
        if (now_ms < memory->probe_ms + PROBE_TIMEOUT_MS)
            memory->probe_ms = 0;
        break;
    case INPUT_MOUNT:
        memory->sample = input->mount;
        memory->probe_ms = 0;
        memory->litefs_seen |= input->mount.kind == MOUNT_LITEFS;
        break;
    case INPUT_OWN_HOSTNAME:
    case INPUT_MANUAL:
    case INPUT_RECONNECTED:
    case INPUT_TICK:
        break;
    }
}

/* Rule 1 of the project: writes run locally only on positive proof. */
static void check_primary_on_litefs(const struct memory* memory, int64_t now_ms)
{
    const struct mount_sample* sample = &memory->sample;
    bool newer = sample->started_ms > memory->event_ms;
    bool says = memory->event && memory->event_primary;
    bool shows =
        sample->root_writable && sample->primary_file != PRIMARY_FILE_PRESENT;
    ck_assert(newer ? shows : says);
    if (says || !memory->down_ms)
        return;
    /* Without a poll a sample lives as long as the stream. */
    if (memory->polled || sample->started_ms > memory->down_ms)
        ck_assert_int_lt(now_ms - sample->started_ms, POLL_MS + 3000);
    else
        ck_assert_int_lt(now_ms - memory->down_ms, 3000);
}

static void check_role(const struct role_world* world,
                       const struct memory* memory)
{
    const struct status* status = &world->state.status;
    bool hangs = memory->probe_ms &&
                 world->now_ms >= memory->probe_ms + PROBE_TIMEOUT_MS;
    if (status->reconnect_pending || hangs)
        world_expect_role(world, ROLE_UNKNOWN);
    if (status->role == ROLE_NOT_LITEFS || status->source == SOURCE_MANUAL)
        ck_assert(!memory->litefs_seen);
    if (memory->litefs_seen && memory->sample.kind != MOUNT_LITEFS)
        world_expect_role(world, ROLE_UNKNOWN);
    if (status->role == ROLE_PRIMARY && memory->litefs_seen)
        check_primary_on_litefs(memory, world->now_ms);
    if (status->role != ROLE_REPLICA)
        ck_assert_str_eq(status->hostname, "");
}

static void check_growth(const struct status* before,
                         const struct status* status, unsigned effects)
{
    ck_assert_uint_ge(status->generation, before->generation);
    ck_assert_uint_ge(status->reconnect_epoch, before->reconnect_epoch);
    ck_assert(status->settled >= before->settled);
    ck_assert(status->litefs_seen >= before->litefs_seen);
    if (effects & EFFECT_CHANGED)
        ck_assert_uint_eq(status->generation, before->generation + 1);
}

/* A tick before the deadline must be without effect. */
static void check_quiet_before_deadline(const struct role_world* world)
{
    const struct role_input tick = {.type = INPUT_TICK};
    struct role_state copy = world->state;
    int64_t deadline = role_deadline(&copy);
    int64_t t = deadline ? deadline - 1 : world->now_ms + 1000000;
    if (t < world->now_ms)
        return;
    ck_assert_uint_eq(role_step(&copy, &tick, t), 0);
    ck_assert_uint_eq(copy.status.generation, world->state.status.generation);
}

static void run_once(enum mount_mode mode)
{
    struct role_config config = world_config(mode);
    config.poll_enabled = pick(4) != 0;
    struct role_world world;
    struct memory memory = {.polled = config.poll_enabled};
    world_open(&world, &config);
    for (int i = 0; i < STEPS; i++) {
        struct role_input input;
        int64_t t = world.now_ms + (pick(20) ? pick(200) : pick(6000));
        world.transcript[0] = '\0';
        world_tick(&world, t);
        pick_input(&input, &world, t);
        struct status before = world.state.status;
        world_input(&world, t, &input);
        remember(&memory, &input, mode, t);
        check_growth(&before, &world.state.status, world.effects);
        check_role(&world, &memory);
        check_quiet_before_deadline(&world);
    }
}

START_TEST(safety_holds_after_any_inputs)
{
    random_state = (uint64_t)_i;
    run_once((enum mount_mode)(_i % 3));
}
END_TEST

Suite* suite_role_random(void)
{
    Suite* suite = suite_create("role_random");
    TCase* tcase = tcase_create("random");
    tcase_add_loop_test(tcase, safety_holds_after_any_inputs, 0, SEEDS);
    suite_add_tcase(suite, tcase);
    return suite;
}
