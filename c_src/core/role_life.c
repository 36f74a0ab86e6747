/* The life of evidence: rule 4 of role.h. */
#include "role_rules.h"

/* When the sample at hand stops to count, 0 for never. A period is always
 * given the time of one probe on top, because only the end of the next one
 * brings a new sample. */
static int64_t sample_end(const struct role_state* state)
{
    const struct role_config* config = &state->config;
    int64_t started = state->sample.started_ms;
    int64_t poll = config->poll_interval_ms + config->probe_timeout_ms;
    int64_t down = ROLE_DOWN_POLL_MS + config->probe_timeout_ms;

    /* inotify tells what happens in a plain directory. */
    if (state->sample.kind != MOUNT_LITEFS)
        return config->poll_enabled ? started + (poll > down ? poll : down) : 0;

    switch (state->status.stream) {
    case STREAM_UP:
        return config->poll_enabled ? started + poll : 0;
    case STREAM_OFF:
        /* Neither stream nor poll: nothing would ever tell us about a lost
         * lease, so only what was asked for a moment ago is believed. */
        return started + (config->poll_enabled ? poll : down);
    case STREAM_DOWN:
        if (started < state->stream_down_ms)
            return state->stream_down_ms + ROLE_DOWN_POLL_MS;
        break;
    case STREAM_UNSEEN:
        break;
    }
    return started + down;
}

static int64_t probe_end(const struct role_state* state)
{
    return state->probe_started_ms + state->config.probe_timeout_ms;
}

static bool probe_may_fail(const struct role_state* state)
{
    return state->probe_started_ms != 0 && !state->probe_overdue;
}

static bool sample_may_expire(const struct role_state* state)
{
    return state->mount_has_sample && !state->sample_expired &&
           sample_end(state) != 0;
}

unsigned role_expire(struct role_state* state, int64_t now_ms)
{
    if (probe_may_fail(state) && now_ms >= probe_end(state)) {
        /* LiteFS hangs, and a frozen one keeps its socket open: what its
         * stream said last is no more than a memory. */
        state->probe_overdue = true;
        state->stream_has_role = false;
    }
    if (sample_may_expire(state) && now_ms >= sample_end(state)) {
        state->sample_expired = true;
        return EFFECT_PROBE;
    }
    return 0;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

int64_t role_deadline(const struct role_state* state)
{
    int64_t deadline = state->grace_end_ms;
    if (probe_may_fail(state))
        deadline = earlier(deadline, probe_end(state));
    if (sample_may_expire(state))
        deadline = earlier(deadline, sample_end(state));
    return deadline;
}
