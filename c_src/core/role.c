#include "role.h"

#include <string.h>

#include "role_rules.h"

void role_init(struct role_state* state, const struct role_config* config,
               int64_t now_ms)
{
    memset(state, 0, sizeof *state);
    state->config = *config;
    state->status.role = ROLE_UNKNOWN;
    state->status.since_ms = now_ms;
    state->status.generation = 1;
    state->status.stream = config->stream_enabled ? STREAM_UNSEEN : STREAM_OFF;
    state->status.lag_ms = LAG_UNKNOWN;
    state->status.litefs_seen = config->litefs_seen;
}

/* -- inputs --------------------------------------------------------------- */

static void set_text(char* to, size_t size, const char* from)
{
    size_t length = strnlen(from, size - 1);
    memcpy(to, from, length);
    to[length] = '\0';
}

/* Rule 6: the handles of before may point at a file that nobody sees. */
static void ask_reconnect(struct role_state* state)
{
    state->era++;
    state->status.reconnect_epoch++;
    state->status.reconnect_pending = true;
}

/* A restarted LiteFS may get the same mnt_id and st_dev again, so its random
 * id is the third part of the identity. */
static unsigned on_opened(struct role_state* state, const char* litefs_id)
{
    state->era++;
    state->stream_has_role = false;
    state->stream_answers = litefs_id[0] != '\0';
    if (!litefs_id[0])
        return 0;
    /* Rule 7: the directory is one that LiteFS is to mount, and each time
     * that the stream breaks off is no reason to write into it. */
    if (state->config.mode == MODE_AUTO)
        state->status.litefs_seen = true;
    if (strcmp(litefs_id, state->litefs_id) == 0)
        return 0;
    bool restarted = state->litefs_id[0] != '\0';
    set_text(state->litefs_id, sizeof state->litefs_id, litefs_id);
    if (!restarted)
        return 0;
    if (state->has_mount)
        ask_reconnect(state);
    return EFFECT_PROBE;
}

static unsigned on_primary_event(struct role_state* state,
                                 const struct role_input* input, int64_t now_ms)
{
    state->era++;
    state->stream_answers = true;
    state->stream_has_role = true;
    state->stream_is_primary = input->primary.is_primary;
    set_text(state->stream_hostname, sizeof state->stream_hostname,
             input->primary.hostname);
    state->stream_at_ms = now_ms;
    state->status.stream = STREAM_UP;
    return EFFECT_PROBE;
}

/* Every failed attempt says "down" again; only the first one is news. */
static unsigned on_stream_down(struct role_state* state, int64_t now_ms)
{
    state->stream_answers = false;
    state->stream_has_role = false;
    state->status.own_hostname[0] = '\0';
    if (state->status.stream == STREAM_DOWN)
        return 0;
    state->era++;
    state->status.stream = STREAM_DOWN;
    state->stream_down_ms = now_ms;
    return EFFECT_PROBE;
}

static void note_identity(struct role_state* state)
{
    const struct mount_sample* sample = &state->sample;
    switch (sample->kind) {
    case MOUNT_LITEFS:
        if (!state->has_mount || sample->mnt_id != state->mnt_id ||
            sample->dev != state->dev)
            ask_reconnect(state);
        state->has_mount = true;
        state->mnt_id = sample->mnt_id;
        state->dev = sample->dev;
        state->status.litefs_seen = true;
        break;
    case MOUNT_PLAIN:
    case MOUNT_MISSING:
    case MOUNT_DEAD:
        state->era += state->has_mount;
        state->has_mount = false;
        break;
    case MOUNT_UNSEEN:
    case MOUNT_UNREADABLE:
    case MOUNT_TIMEOUT:
        break; /* it may well be the same mount when it can be read again */
    }
}

static unsigned on_mount(struct role_state* state,
                         const struct mount_sample* sample)
{
    state->sample = *sample;
    set_text(state->sample.hostname, sizeof state->sample.hostname,
             sample->hostname);
    state->mount_has_sample = true;
    state->sample_expired = false;
    state->probe_started_ms = 0;
    state->probe_overdue = false;
    note_identity(state);
    bool asks = sample->kind == MOUNT_LITEFS && !role_sample_counts(state);
    return asks ? EFFECT_PROBE : 0;
}

static unsigned apply(struct role_state* state, const struct role_input* input,
                      int64_t now_ms)
{
    switch (input->type) {
    case INPUT_STREAM_OPENED:
        return on_opened(state, input->opened.litefs_id);
    case INPUT_STREAM_PRIMARY:
        return on_primary_event(state, input, now_ms);
    case INPUT_OWN_HOSTNAME:
        set_text(state->status.own_hostname, sizeof state->status.own_hostname,
                 input->own_hostname);
        return 0;
    case INPUT_STREAM_DOWN:
        return on_stream_down(state, now_ms);
    case INPUT_PROBE_STARTED:
        state->probe_started_ms = now_ms;
        return 0;
    case INPUT_MOUNT:
        return on_mount(state, &input->mount);
    case INPUT_PROBE_ENDED:
        state->probe_started_ms = 0;
        return state->probe_overdue ? EFFECT_PROBE : 0;
    case INPUT_MANUAL:
        state->manual = input->manual;
        return 0;
    case INPUT_RECONNECTED:
        if (input->reconnected == state->status.reconnect_epoch)
            state->status.reconnect_pending = false;
        return 0;
    case INPUT_TICK:
        return 0;
    }
    return 0;
}

/* -- publishing ----------------------------------------------------------- */

/* Rule 5: whether replica stays published although nobody is named now. */
static bool held_by_grace(struct role_state* state, enum role next,
                          int64_t now_ms)
{
    if (state->status.role != ROLE_REPLICA || next != ROLE_NO_PRIMARY) {
        state->grace_end_ms = 0;
        return false;
    }
    if (state->grace_end_ms == 0)
        state->grace_end_ms = now_ms + state->config.grace_ms;
    if (now_ms < state->grace_end_ms)
        return true;
    state->grace_end_ms = 0;
    return false;
}

static bool same_role(const struct status* a, const struct status* b)
{
    return a->role == b->role && strcmp(a->hostname, b->hostname) == 0;
}

static bool same_but_lag(const struct status* a, const struct status* b)
{
    return same_role(a, b) && strcmp(a->own_hostname, b->own_hostname) == 0 &&
           a->source == b->source && a->mount == b->mount &&
           a->stream == b->stream && a->settled == b->settled &&
           a->litefs_seen == b->litefs_seen &&
           a->reconnect_pending == b->reconnect_pending &&
           a->reconnect_epoch == b->reconnect_epoch;
}

static void update_status(struct role_state* state, int64_t now_ms)
{
    struct status* status = &state->status;
    struct role_verdict verdict = role_decide(state);
    if (!held_by_grace(state, verdict.role, now_ms)) {
        status->role = verdict.role;
        status->source = verdict.source;
        set_text(status->hostname, sizeof status->hostname, verdict.hostname);
    }
    status->mount = state->probe_overdue ? MOUNT_TIMEOUT : state->sample.kind;
    status->lag_ms =
        status->mount == MOUNT_LITEFS ? state->sample.lag_ms : LAG_UNKNOWN;
    if (state->mount_has_sample && status->stream != STREAM_UNSEEN)
        status->settled = true;
}

unsigned role_step(struct role_state* state, const struct role_input* input,
                   int64_t now_ms)
{
    const struct status before = state->status;
    /* Before the input, for what ran out unnoticed until it came; after it,
     * for what it brought too late. */
    unsigned effects = role_expire(state, now_ms);
    effects |= apply(state, input, now_ms);
    effects |= role_expire(state, now_ms);
    update_status(state, now_ms);

    struct status* status = &state->status;
    if (!same_role(status, &before)) {
        status->since_ms = now_ms;
        state->era++;
    }
    bool changed = !same_but_lag(status, &before);
    if (changed || status->lag_ms != before.lag_ms)
        status->generation++;
    return changed ? effects | EFFECT_CHANGED : effects;
}
