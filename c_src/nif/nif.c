/*
 * The NIF library: every function decodes, makes one call and encodes.
 *
 * Nothing here blocks, so no function needs a dirty scheduler. ecto_litefs_nif
 * documents the functions.
 */
#include <erl_nif.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "nif_detector.h"
#include "nif_position.h"

/* -- open and close -------------------------------------------------------- */

static bool has_nul(const ErlNifBinary* binary)
{
    return memchr(binary->data, 0, binary->size) != NULL;
}

/* Absolute, and with a last part that can name a file. */
static bool path_ok(const ErlNifBinary* path)
{
    const char* text = (const char*)path->data;
    const char* slash = path->size > 0 ? memrchr(text, '/', path->size) : NULL;
    size_t length;

    if (slash == NULL || text[0] != '/' || path->size >= PATH_MAX ||
        has_nul(path)) {
        return false;
    }
    length = path->size - (size_t)(slash + 1 - text);
    return length > 0 && length <= NAME_MAX &&
           !(length <= 2 && memcmp(slash + 1, "..", length) == 0);
}

static bool url_ok(const ErlNifBinary* url)
{
    return url->data == NULL || (url->size > 0 && !has_nul(url));
}

/* A copy with a final NUL, or NULL where there is no data or no memory. */
static char* string_new(const ErlNifBinary* binary)
{
    char* string = binary->data != NULL ? enif_alloc(binary->size + 1) : NULL;

    if (string != NULL) {
        memcpy(string, binary->data, binary->size);
        string[binary->size] = '\0';
    }
    return string;
}

static int open_detector(ErlNifEnv* env, const struct open_options* options,
                         ERL_NIF_TERM* handle)
{
    char* path = string_new(&options->primary_file);
    char* url = string_new(&options->events_url);
    struct detector_config config = {
        .primary_file = path,
        .events_url = url,
        .poll_interval_ms = options->poll_interval_ms,
        .mode = options->mode,
        .litefs_seen = options->litefs_seen,
    };
    int rv = -ENOMEM;

    if (path != NULL && (url != NULL || options->events_url.data == NULL)) {
        rv = nif_detector_open(env, &config, handle);
    }
    enif_free(url);
    enif_free(path);
    return rv;
}

static ERL_NIF_TERM open_result(ErlNifEnv* env, int rv, ERL_NIF_TERM handle)
{
    switch (rv) {
    case 0:
        return enif_make_tuple2(env, am_ok, handle);
    case -EINVAL: /* the path was looked at before */
        return terms_error_text(env, am_bad_url,
                                "the events URL is not one that libcurl takes");
    case -EAGAIN:
        return terms_error_text(env, am_no_thread,
                                "the system gives no more threads");
    default:
        return terms_error_text(env, am_no_memory,
                                "the system gives no more memory");
    }
}

static ERL_NIF_TERM nif_open(ErlNifEnv* env, int argc, const ERL_NIF_TERM* argv)
{
    struct open_options options;
    ERL_NIF_TERM handle = am_error;
    int rv;

    (void)argc;
    if (!terms_get_options(env, argv[0], &options)) {
        return enif_make_badarg(env);
    }
    if (!path_ok(&options.primary_file)) {
        return terms_error_text(
            env, am_bad_path,
            "the primary file is not the absolute path of a "
            "file");
    }
    if (!url_ok(&options.events_url)) {
        return open_result(env, -EINVAL, handle);
    }
    rv = open_detector(env, &options, &handle);
    return open_result(env, rv, handle);
}

static ERL_NIF_TERM nif_close(ErlNifEnv* env, int argc,
                              const ERL_NIF_TERM* argv)
{
    struct nif_detector* handle;

    (void)argc;
    if (!nif_detector_get(env, argv[0], &handle)) {
        return enif_make_badarg(env);
    }
    nif_detector_close(env, handle);
    return am_ok;
}

/* -- reading --------------------------------------------------------------- */

static ERL_NIF_TERM nif_role(ErlNifEnv* env, int argc, const ERL_NIF_TERM* argv)
{
    struct nif_detector* handle;
    enum role role;

    (void)argc;
    if (!nif_detector_get(env, argv[0], &handle)) {
        return enif_make_badarg(env);
    }
    role = status_cell_role(handle->cell);
    nif_detector_settle(env, handle);
    return terms_role(role);
}

static ERL_NIF_TERM read_with(void (*read)(struct status_cell* cell,
                                           struct status* status),
                              ErlNifEnv* env, ERL_NIF_TERM term)
{
    struct nif_detector* handle;
    struct db_position positions[POSITIONS_MAX];
    struct status status;
    int count;

    if (!nif_detector_get(env, term, &handle)) {
        return enif_make_badarg(env);
    }
    read(handle->cell, &status);
    count = status_cell_positions(handle->cell, positions);
    nif_detector_settle(env, handle);
    return terms_snapshot(env, &status,
                          nif_position_map(env, positions, count));
}

static ERL_NIF_TERM nif_snapshot(ErlNifEnv* env, int argc,
                                 const ERL_NIF_TERM* argv)
{
    (void)argc;
    return read_with(status_cell_snapshot, env, argv[0]);
}

static ERL_NIF_TERM nif_take(ErlNifEnv* env, int argc, const ERL_NIF_TERM* argv)
{
    (void)argc;
    return read_with(status_cell_take, env, argv[0]);
}

static ERL_NIF_TERM nif_check(ErlNifEnv* env, int argc,
                              const ERL_NIF_TERM* argv)
{
    struct nif_detector* handle;
    char db[DB_NAME_MAX + 1] = "";

    (void)argc;
    if (!nif_detector_get(env, argv[0], &handle) ||
        !enif_is_ref(env, argv[1]) ||
        !(argv[2] == am_none || nif_position_get_db(env, argv[2], db))) {
        return enif_make_badarg(env);
    }
    switch (nif_detector_check(env, handle, db, argv[1])) {
    case 0:
        return am_ok;
    case -EBADF:
        return terms_error(env, am_closed);
    default: /* too many wait, or no memory for one more */
        return terms_error(env, am_busy);
    }
}

/* -- telling --------------------------------------------------------------- */

static ERL_NIF_TERM nif_hint(ErlNifEnv* env, int argc, const ERL_NIF_TERM* argv)
{
    struct nif_detector* handle;

    (void)argc;
    if (!nif_detector_get(env, argv[0], &handle)) {
        return enif_make_badarg(env);
    }
    nif_detector_hint(handle); /* closed: there is nothing to look at */
    return am_ok;
}

static ERL_NIF_TERM nif_set_manual(ErlNifEnv* env, int argc,
                                   const ERL_NIF_TERM* argv)
{
    struct nif_detector* handle;
    enum manual_role role;
    int rv;

    (void)argc;
    if (!nif_detector_get(env, argv[0], &handle) ||
        !terms_get_manual(argv[1], &role)) {
        return enif_make_badarg(env);
    }
    rv = nif_detector_set_manual(handle, role);
    nif_detector_settle(env, handle);
    if (rv == 0) {
        return am_ok;
    }
    return terms_error(env, rv == -EBADF ? am_closed : am_managed_by_litefs);
}

static ERL_NIF_TERM nif_reconnected(ErlNifEnv* env, int argc,
                                    const ERL_NIF_TERM* argv)
{
    struct nif_detector* handle;
    ErlNifUInt64 epoch;

    (void)argc;
    if (!nif_detector_get(env, argv[0], &handle) ||
        !enif_get_uint64(env, argv[1], &epoch)) {
        return enif_make_badarg(env);
    }
    nif_detector_reconnected(handle, epoch); /* closed: unknown for good */
    nif_detector_settle(env, handle);
    return am_ok;
}

static ERL_NIF_TERM nif_nothing(ErlNifEnv* env, int argc,
                                const ERL_NIF_TERM* argv)
{
    (void)env;
    (void)argc;
    (void)argv;
    return am_ok;
}

/* -- the library ----------------------------------------------------------- */

static int load(ErlNifEnv* env, void** priv_data, ERL_NIF_TERM load_info)
{
    (void)priv_data;
    (void)load_info;
    terms_init(env);
    return nif_detector_init(env) ? 0 : -1;
}

/*
 * The module was loaded again. The same library takes its own handles over;
 * another build of it must not, because it may lay them out differently. Then
 * the new module is refused and the old one stays.
 */
static int upgrade(ErlNifEnv* env, void** priv_data, void** old_priv_data,
                   ERL_NIF_TERM load_info)
{
    (void)old_priv_data;
    return nif_detector_ready() ? load(env, priv_data, load_info) : -1;
}

static ErlNifFunc functions[] = {
    {"open", 1, nif_open, 0},
    {"close", 1, nif_close, 0},

    {"role", 1, nif_role, 0},
    {"snapshot", 1, nif_snapshot, 0},
    {"take", 1, nif_take, 0},
    {"check", 3, nif_check, 0},
    {"position", 2, nif_position, 0},
    {"positions", 1, nif_positions, 0},
    {"subscribe", 1, nif_subscribe, 0},
    {"watch_position", 3, nif_watch_position, 0},

    {"hint", 1, nif_hint, 0},
    {"set_manual", 2, nif_set_manual, 0},
    {"reconnected", 2, nif_reconnected, 0},
    {"nothing", 0, nif_nothing, 0},
};

ERL_NIF_INIT(ecto_litefs_nif, functions, load, NULL, upgrade, NULL)
