#include "nif_terms.h"

#include <assert.h>
#include <string.h>

#include "clock.h"

ERL_NIF_TERM am_ok;
ERL_NIF_TERM am_error;
ERL_NIF_TERM am_busy;
ERL_NIF_TERM am_closed;
ERL_NIF_TERM am_managed_by_litefs;
ERL_NIF_TERM am_bad_path;
ERL_NIF_TERM am_bad_url;
ERL_NIF_TERM am_no_memory;
ERL_NIF_TERM am_no_thread;
ERL_NIF_TERM am_none;
ERL_NIF_TERM am_ecto_litefs_changed;
ERL_NIF_TERM am_ecto_litefs_check;
ERL_NIF_TERM am_ecto_litefs_position;

static ERL_NIF_TERM am_true;
static ERL_NIF_TERM am_false;
static ERL_NIF_TERM am_undefined;
static ERL_NIF_TERM am_disabled;
static ERL_NIF_TERM am_pending;

static ERL_NIF_TERM am_primary;
static ERL_NIF_TERM am_replica;
static ERL_NIF_TERM am_auto;
static ERL_NIF_TERM am_required;
static ERL_NIF_TERM am_plain;

static ERL_NIF_TERM am_primary_file;
static ERL_NIF_TERM am_events_url;
static ERL_NIF_TERM am_poll_interval;
static ERL_NIF_TERM am_role;
static ERL_NIF_TERM am_source;
static ERL_NIF_TERM am_hostname;
static ERL_NIF_TERM am_own_hostname;
static ERL_NIF_TERM am_since_ms;
static ERL_NIF_TERM am_generation;
static ERL_NIF_TERM am_mount;
static ERL_NIF_TERM am_stream;
static ERL_NIF_TERM am_lag_ms;
static ERL_NIF_TERM am_settled;
static ERL_NIF_TERM am_litefs_seen;
static ERL_NIF_TERM am_reconnect;
static ERL_NIF_TERM am_positions;

static const struct {
    ERL_NIF_TERM* atom;
    const char* name;
} atoms[] = {
    {&am_ok, "ok"},
    {&am_error, "error"},
    {&am_busy, "busy"},
    {&am_closed, "closed"},
    {&am_managed_by_litefs, "managed_by_litefs"},
    {&am_bad_path, "bad_path"},
    {&am_bad_url, "bad_url"},
    {&am_no_memory, "no_memory"},
    {&am_no_thread, "no_thread"},
    {&am_ecto_litefs_changed, "ecto_litefs_changed"},
    {&am_ecto_litefs_check, "ecto_litefs_check"},
    {&am_ecto_litefs_position, "ecto_litefs_position"},
    {&am_true, "true"},
    {&am_false, "false"},
    {&am_undefined, "undefined"},
    {&am_disabled, "disabled"},
    {&am_pending, "pending"},
    {&am_primary, "primary"},
    {&am_replica, "replica"},
    {&am_none, "none"},
    {&am_auto, "auto"},
    {&am_required, "required"},
    {&am_plain, "plain"},
    {&am_primary_file, "primary_file"},
    {&am_events_url, "events_url"},
    {&am_poll_interval, "poll_interval"},
    {&am_role, "role"},
    {&am_source, "source"},
    {&am_hostname, "hostname"},
    {&am_own_hostname, "own_hostname"},
    {&am_since_ms, "since_ms"},
    {&am_generation, "generation"},
    {&am_mount, "mount"},
    {&am_stream, "stream"},
    {&am_lag_ms, "lag_ms"},
    {&am_settled, "settled"},
    {&am_litefs_seen, "litefs_seen"},
    {&am_reconnect, "reconnect"},
    {&am_positions, "positions"},
};

/* The values of the core's enums, under the names that the core gives them. */
static ERL_NIF_TERM role_atoms[ROLE_NOT_LITEFS + 1];
static ERL_NIF_TERM source_atoms[SOURCE_MANUAL + 1];
static ERL_NIF_TERM mount_atoms[MOUNT_TIMEOUT + 1];
static ERL_NIF_TERM stream_atoms[STREAM_DOWN + 1];

void terms_init(ErlNifEnv* env)
{
    for (size_t i = 0; i < sizeof(atoms) / sizeof(atoms[0]); i++) {
        *atoms[i].atom = enif_make_atom(env, atoms[i].name);
    }
    for (int i = 0; i <= ROLE_NOT_LITEFS; i++) {
        role_atoms[i] = enif_make_atom(env, role_name((enum role)i));
    }
    for (int i = 0; i <= SOURCE_MANUAL; i++) {
        source_atoms[i] =
            enif_make_atom(env, role_source_name((enum role_source)i));
    }
    for (int i = 0; i <= MOUNT_TIMEOUT; i++) {
        mount_atoms[i] =
            enif_make_atom(env, mount_kind_name((enum mount_kind)i));
    }
    for (int i = 0; i <= STREAM_DOWN; i++) {
        stream_atoms[i] =
            enif_make_atom(env, stream_state_name((enum stream_state)i));
    }
}

static bool get_mode(ERL_NIF_TERM term, enum mount_mode* mode)
{
    if (term == am_auto) {
        *mode = MODE_AUTO;
    } else if (term == am_required) {
        *mode = MODE_REQUIRED;
    } else if (term == am_plain) {
        *mode = MODE_PLAIN;
    } else {
        return false;
    }
    return true;
}

static bool get_poll_interval(ErlNifEnv* env, ERL_NIF_TERM term, int64_t* ms)
{
    ErlNifSInt64 value;

    if (term == am_disabled) {
        *ms = 0;
        return true;
    }
    if (!enif_get_int64(env, term, &value) || value <= 0) {
        return false;
    }
    *ms = value;
    return true;
}

static bool get_url(ErlNifEnv* env, ERL_NIF_TERM term, ErlNifBinary* url)
{
    if (term == am_undefined) {
        memset(url, 0, sizeof(*url));
        return true;
    }
    return enif_inspect_binary(env, term, url);
}

bool terms_get_bool(ERL_NIF_TERM term, bool* value)
{
    *value = term == am_true;
    return term == am_true || term == am_false;
}

bool terms_get_options(ErlNifEnv* env, ERL_NIF_TERM map,
                       struct open_options* options)
{
    ERL_NIF_TERM value;

    return enif_get_map_value(env, map, am_primary_file, &value) &&
           enif_inspect_binary(env, value, &options->primary_file) &&
           enif_get_map_value(env, map, am_events_url, &value) &&
           get_url(env, value, &options->events_url) &&
           enif_get_map_value(env, map, am_poll_interval, &value) &&
           get_poll_interval(env, value, &options->poll_interval_ms) &&
           enif_get_map_value(env, map, am_mount, &value) &&
           get_mode(value, &options->mode) &&
           enif_get_map_value(env, map, am_litefs_seen, &value) &&
           terms_get_bool(value, &options->litefs_seen);
}

bool terms_get_manual(ERL_NIF_TERM term, enum manual_role* role)
{
    if (term == am_none) {
        *role = MANUAL_NONE;
    } else if (term == am_primary) {
        *role = MANUAL_PRIMARY;
    } else if (term == am_replica) {
        *role = MANUAL_REPLICA;
    } else {
        return false;
    }
    return true;
}

ERL_NIF_TERM terms_role(enum role role)
{
    return role_atoms[role];
}

ERL_NIF_TERM terms_error(ErlNifEnv* env, ERL_NIF_TERM reason)
{
    return enif_make_tuple2(env, am_error, reason);
}

ERL_NIF_TERM terms_binary(ErlNifEnv* env, const char* text)
{
    ERL_NIF_TERM term;
    size_t length = strlen(text);

    memcpy(enif_make_new_binary(env, length, &term), text, length);
    return term;
}

ERL_NIF_TERM terms_error_text(ErlNifEnv* env, ERL_NIF_TERM reason,
                              const char* text)
{
    ERL_NIF_TERM binary = terms_binary(env, text);

    return terms_error(env, enif_make_tuple2(env, reason, binary));
}

static ERL_NIF_TERM make_bool(bool value)
{
    return value ? am_true : am_false;
}

static ERL_NIF_TERM make_reconnect(ErlNifEnv* env, const struct status* status)
{
    if (!status->reconnect_pending) {
        return am_false;
    }
    return enif_make_tuple2(env, am_pending,
                            enif_make_uint64(env, status->reconnect_epoch));
}

static ERL_NIF_TERM make_lag(ErlNifEnv* env, int64_t lag_ms)
{
    return lag_ms == LAG_UNKNOWN ? am_undefined : enif_make_int64(env, lag_ms);
}

ERL_NIF_TERM terms_snapshot(ErlNifEnv* env, const struct status* status,
                            ERL_NIF_TERM positions)
{
    ERL_NIF_TERM fields[][2] = {
        {am_role, role_atoms[status->role]},
        {am_source, source_atoms[status->source]},
        {am_hostname, terms_binary(env, status->hostname)},
        {am_own_hostname, terms_binary(env, status->own_hostname)},
        {am_since_ms, enif_make_int64(env, clock_now_ms() - status->since_ms)},
        {am_generation, enif_make_uint64(env, status->generation)},
        {am_mount, mount_atoms[status->mount]},
        {am_stream, stream_atoms[status->stream]},
        {am_lag_ms, make_lag(env, status->lag_ms)},
        {am_settled, make_bool(status->settled)},
        {am_litefs_seen, make_bool(status->litefs_seen)},
        {am_reconnect, make_reconnect(env, status)},
        {am_positions, positions},
    };
    enum { COUNT = sizeof(fields) / sizeof(fields[0]) };
    ERL_NIF_TERM keys[COUNT];
    ERL_NIF_TERM values[COUNT];
    ERL_NIF_TERM map;
    int made;

    for (size_t i = 0; i < COUNT; i++) {
        keys[i] = fields[i][0];
        values[i] = fields[i][1];
    }
    made = enif_make_map_from_arrays(env, keys, values, COUNT, &map);
    assert(made);
    (void)made;
    return map;
}
