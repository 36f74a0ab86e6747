/*
 * A node in simulated time, for the tests of the role.
 *
 * Every helper goes forward to `t`, runs the ticks that fall due on the way
 * (as the readers of a cell do), gives one input and writes a line into the
 * transcript when the role or the hostname has changed:
 *
 *     t=2500 replica(node-a) -> no_primary [stream]
 */
#ifndef ECTO_LITEFS_ROLE_WORLD_H
#define ECTO_LITEFS_ROLE_WORLD_H

#include "role.h"

struct role_world {
    struct role_state state;
    int64_t now_ms;
    uint64_t mnt_id;
    unsigned effects; /* of the last input */
    char transcript[4096];
};

enum { POLL_MS = 5000, GRACE_MS = 2500, PROBE_TIMEOUT_MS = 2000 };

/* Stream and poll enabled; tests change a copy for anything else. */
struct role_config world_config(enum mount_mode mode);
void world_open(struct role_world* world, const struct role_config* config);
/* On a LiteFS mount, stream down, pool reconnected; t=1, transcript empty. */
void world_open_mounted(struct role_world* world);

void world_input(struct role_world* world, int64_t t,
                 const struct role_input* input);
void world_tick(struct role_world* world, int64_t t);

void stream_opened(struct role_world* world, int64_t t, const char* litefs_id);
void stream_says_primary(struct role_world* world, int64_t t);
void stream_names(struct role_world* world, int64_t t, const char* hostname);
void stream_names_nobody(struct role_world* world, int64_t t);
void stream_down(struct role_world* world, int64_t t);

void probe_started(struct role_world* world, int64_t t);
/* It has come back without a sample. */
void probe_ended(struct role_world* world, int64_t t);
/* A probe that began at `started` and came back at `t`. */
void mount_sampled(struct role_world* world, int64_t started, int64_t t,
                   const struct mount_sample* sample);
void mount_primary(struct role_world* world, int64_t t); /* mode 0777 */
void mount_names(struct role_world* world, int64_t t, const char* hostname);
void mount_names_nobody(struct role_world* world, int64_t t);
void mount_failed(struct role_world* world, int64_t t, enum mount_kind kind);
/* A directory without LiteFS; `hostname` NULL: no `.primary` in it. */
void plain_sampled(struct role_world* world, int64_t t, const char* hostname);

void set_manual(struct role_world* world, int64_t t, enum manual_role manual);
void reconnected(struct role_world* world, int64_t t);

/* Fails the test where the transcript differs, and empties it. */
void world_expect(struct role_world* world, const char* transcript);
void world_expect_role(const struct role_world* world, enum role role);

#endif
