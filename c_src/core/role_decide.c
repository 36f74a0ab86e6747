#include <string.h>

#include "role_rules.h"

static struct role_verdict unproven(void)
{
    return (struct role_verdict){ROLE_UNKNOWN, SOURCE_NONE, ""};
}

bool role_sample_counts(const struct role_state* state)
{
    /* A sample of the same millisecond may be the older one. */
    return state->mount_has_sample && !state->sample_expired &&
           state->sample.started_ms > state->stream_at_ms;
}

static struct role_verdict by_stream(const struct role_state* state)
{
    if (!state->stream_has_role)
        return unproven();
    if (state->stream_is_primary)
        return (struct role_verdict){ROLE_PRIMARY, SOURCE_STREAM, ""};
    const char* hostname = state->stream_hostname;
    enum role role = hostname[0] ? ROLE_REPLICA : ROLE_NO_PRIMARY;
    return (struct role_verdict){role, SOURCE_STREAM, hostname};
}

static struct role_verdict replica_by_file(const struct role_state* state)
{
    return (struct role_verdict){ROLE_REPLICA, SOURCE_MOUNT,
                                 state->sample.hostname};
}

/* What a LiteFS mount proves by itself. Any mode but 0777 disproves primary;
 * whether it means that nobody is primary, only a readable absence says. */
static struct role_verdict by_mount(const struct role_state* state)
{
    const struct mount_sample* sample = &state->sample;
    if (sample->primary_file == PRIMARY_FILE_PRESENT)
        return replica_by_file(state);
    if (sample->root_writable)
        return (struct role_verdict){ROLE_PRIMARY, SOURCE_MOUNT, ""};
    if (sample->primary_file == PRIMARY_FILE_ABSENT)
        return (struct role_verdict){ROLE_NO_PRIMARY, SOURCE_MOUNT, ""};
    return unproven();
}

/* The sample that ran out was the newer word: what the stream had said before
 * it was overruled by it, or was renewed by it and is now as old. */
static bool is_outlived(const struct role_state* state)
{
    return state->sample_expired &&
           state->sample.started_ms > state->stream_at_ms;
}

/* Where both agree the stream is named as the source, so that the source does
 * not flap with every poll. */
static struct role_verdict on_litefs(const struct role_state* state)
{
    struct role_verdict stream = by_stream(state);
    if (!role_sample_counts(state))
        return stream.role == ROLE_PRIMARY && is_outlived(state) ? unproven()
                                                                 : stream;
    struct role_verdict mount = by_mount(state);

    if (mount.role == ROLE_PRIMARY || stream.role == ROLE_PRIMARY)
        return mount.role == stream.role ? stream : mount;
    if (mount.role == ROLE_REPLICA) {
        bool adds_nothing =
            !mount.hostname[0] || strcmp(mount.hostname, stream.hostname) == 0;
        return stream.role == ROLE_REPLICA && adds_nothing ? stream : mount;
    }
    /* The file named nobody, which does not contradict a stream that does. */
    return stream.role != ROLE_UNKNOWN ? stream : mount;
}

static struct role_verdict by_manual(const struct role_state* state)
{
    enum role role =
        state->manual == MANUAL_PRIMARY ? ROLE_PRIMARY : ROLE_REPLICA;
    return (struct role_verdict){role, SOURCE_MANUAL, ""};
}

/* MODE_AUTO: the file alone, and only where no LiteFS answers: one that does
 * may be about to mount here, or be mounted somewhere else by mistake. */
static struct role_verdict on_plain_auto(const struct role_state* state)
{
    if (state->stream_answers || state->status.stream == STREAM_UNSEEN)
        return unproven();
    if (state->sample.primary_file == PRIMARY_FILE_PRESENT)
        return replica_by_file(state);
    if (state->sample.primary_file == PRIMARY_FILE_UNREADABLE)
        return unproven();
    if (state->manual != MANUAL_NONE)
        return by_manual(state);
    return (struct role_verdict){ROLE_NOT_LITEFS, SOURCE_MOUNT, ""};
}

/* MODE_PLAIN: the file and the stream of a simulator. */
static struct role_verdict on_plain_simulated(const struct role_state* state)
{
    struct role_verdict stream = by_stream(state);
    if (state->sample.primary_file == PRIMARY_FILE_PRESENT)
        return replica_by_file(state);
    if (state->sample.primary_file == PRIMARY_FILE_UNREADABLE)
        return stream.role == ROLE_PRIMARY ? unproven() : stream;
    if (state->manual != MANUAL_NONE)
        return by_manual(state);
    if (state->config.stream_enabled)
        return stream;
    return (struct role_verdict){ROLE_PRIMARY, SOURCE_MOUNT, ""};
}

static struct role_verdict on_plain(const struct role_state* state)
{
    if (state->status.litefs_seen || state->sample_expired)
        return unproven();
    switch (state->config.mode) {
    case MODE_AUTO:
        return on_plain_auto(state);
    case MODE_PLAIN:
        return on_plain_simulated(state);
    case MODE_REQUIRED:
        break;
    }
    return unproven();
}

struct role_verdict role_decide(const struct role_state* state)
{
    if (state->probe_overdue || state->status.reconnect_pending)
        return unproven();
    switch (state->sample.kind) {
    case MOUNT_LITEFS:
        return on_litefs(state);
    case MOUNT_PLAIN:
    case MOUNT_MISSING:
        return on_plain(state);
    case MOUNT_UNSEEN:
    case MOUNT_DEAD:
    case MOUNT_UNREADABLE:
    case MOUNT_TIMEOUT:
        break;
    }
    return unproven();
}
