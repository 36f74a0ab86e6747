#include "role_world.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

struct role_config world_config(enum mount_mode mode)
{
    return (struct role_config){.mode = mode,
                                .stream_enabled = true,
                                .poll_enabled = true,
                                .poll_interval_ms = POLL_MS,
                                .grace_ms = GRACE_MS,
                                .probe_timeout_ms = PROBE_TIMEOUT_MS};
}

void world_open(struct role_world* world, const struct role_config* config)
{
    memset(world, 0, sizeof *world);
    world->now_ms = 1;
    world->mnt_id = 40;
    role_init(&world->state, config, world->now_ms);
}

void world_open_mounted(struct role_world* world)
{
    struct role_config config = world_config(MODE_REQUIRED);
    world_open(world, &config);
    stream_down(world, 1);
    mount_names_nobody(world, 1);
    reconnected(world, 1);
    world->transcript[0] = '\0';
}

static void describe(char* text, size_t size, const struct status* status)
{
    const char* role = role_name(status->role);
    if (status->hostname[0])
        snprintf(text, size, "%s(%s)", role, status->hostname);
    else
        snprintf(text, size, "%s", role);
}

static void write_line(struct role_world* world, const struct status* before)
{
    const struct status* status = &world->state.status;
    char from[300], to[300];
    describe(from, sizeof from, before);
    describe(to, sizeof to, status);
    if (strcmp(from, to) == 0)
        return;
    size_t used = strlen(world->transcript);
    snprintf(world->transcript + used, sizeof world->transcript - used,
             "t=%lld %s -> %s [%s]\n", (long long)world->now_ms, from, to,
             role_source_name(status->source));
    ck_assert_int_eq(status->since_ms, world->now_ms);
}

static void run(struct role_world* world, const struct role_input* input)
{
    const struct status before = world->state.status;
    world->effects = role_step(&world->state, input, world->now_ms);
    write_line(world, &before);
    int64_t deadline = role_deadline(&world->state);
    ck_assert_msg(deadline == 0 || deadline > world->now_ms,
                  "a step at %lld left the deadline %lld behind",
                  (long long)world->now_ms, (long long)deadline);
}

void world_tick(struct role_world* world, int64_t t)
{
    const struct role_input tick = {.type = INPUT_TICK};
    ck_assert_int_ge(t, world->now_ms);
    for (;;) {
        int64_t deadline = role_deadline(&world->state);
        if (deadline == 0 || deadline > t)
            break;
        world->now_ms = deadline;
        run(world, &tick);
    }
    world->now_ms = t;
}

void world_input(struct role_world* world, int64_t t,
                 const struct role_input* input)
{
    world_tick(world, t);
    run(world, input);
}

void stream_opened(struct role_world* world, int64_t t, const char* litefs_id)
{
    struct role_input input = {.type = INPUT_STREAM_OPENED};
    snprintf(input.opened.litefs_id, sizeof input.opened.litefs_id, "%s",
             litefs_id);
    world_input(world, t, &input);
}

static void primary_event(struct role_world* world, int64_t t, bool is_primary,
                          const char* hostname)
{
    struct role_input input = {.type = INPUT_STREAM_PRIMARY};
    input.primary.is_primary = is_primary;
    snprintf(input.primary.hostname, sizeof input.primary.hostname, "%s",
             hostname);
    world_input(world, t, &input);
}

void stream_says_primary(struct role_world* world, int64_t t)
{
    primary_event(world, t, true, "");
}

void stream_names(struct role_world* world, int64_t t, const char* hostname)
{
    primary_event(world, t, false, hostname);
}

void stream_names_nobody(struct role_world* world, int64_t t)
{
    primary_event(world, t, false, "");
}

void stream_down(struct role_world* world, int64_t t)
{
    const struct role_input input = {.type = INPUT_STREAM_DOWN};
    world_input(world, t, &input);
}

void probe_started(struct role_world* world, int64_t t)
{
    const struct role_input input = {.type = INPUT_PROBE_STARTED};
    world_input(world, t, &input);
}

void probe_ended(struct role_world* world, int64_t t)
{
    const struct role_input input = {.type = INPUT_PROBE_ENDED};
    world_input(world, t, &input);
}

void mount_sampled(struct role_world* world, int64_t started, int64_t t,
                   const struct mount_sample* sample)
{
    struct role_input input = {.type = INPUT_MOUNT, .mount = *sample};
    input.mount.started_ms = started;
    if (sample->kind == MOUNT_LITEFS) {
        input.mount.mnt_id = world->mnt_id;
        input.mount.dev = 7;
    }
    world_input(world, t, &input);
}

static void quick_sample(struct role_world* world, int64_t t,
                         const struct mount_sample* sample)
{
    probe_started(world, t);
    mount_sampled(world, t, t, sample);
}

void mount_primary(struct role_world* world, int64_t t)
{
    const struct mount_sample sample = {.kind = MOUNT_LITEFS,
                                        .root_writable = true};
    quick_sample(world, t, &sample);
}

void mount_names(struct role_world* world, int64_t t, const char* hostname)
{
    struct mount_sample sample = {.kind = MOUNT_LITEFS,
                                  .primary_file = PRIMARY_FILE_PRESENT};
    snprintf(sample.hostname, sizeof sample.hostname, "%s", hostname);
    quick_sample(world, t, &sample);
}

void mount_names_nobody(struct role_world* world, int64_t t)
{
    const struct mount_sample sample = {.kind = MOUNT_LITEFS};
    quick_sample(world, t, &sample);
}

void mount_failed(struct role_world* world, int64_t t, enum mount_kind kind)
{
    const struct mount_sample sample = {.kind = kind, .lag_ms = LAG_UNKNOWN};
    quick_sample(world, t, &sample);
}

void plain_sampled(struct role_world* world, int64_t t, const char* hostname)
{
    struct mount_sample sample = {.kind = MOUNT_PLAIN, .lag_ms = LAG_UNKNOWN};
    if (hostname) {
        sample.primary_file = PRIMARY_FILE_PRESENT;
        snprintf(sample.hostname, sizeof sample.hostname, "%s", hostname);
    }
    quick_sample(world, t, &sample);
}

void set_manual(struct role_world* world, int64_t t, enum manual_role manual)
{
    const struct role_input input = {.type = INPUT_MANUAL, .manual = manual};
    world_input(world, t, &input);
}

void reconnected(struct role_world* world, int64_t t)
{
    const struct role_input input = {
        .type = INPUT_RECONNECTED,
        .reconnected = world->state.status.reconnect_epoch};
    world_input(world, t, &input);
}

void world_expect(struct role_world* world, const char* transcript)
{
    ck_assert_str_eq(world->transcript, transcript);
    world->transcript[0] = '\0';
}

void world_expect_role(const struct role_world* world, enum role role)
{
    ck_assert_str_eq(role_name(world->state.status.role), role_name(role));
}
