#include "nif_position.h"

#include <errno.h>
#include <string.h>

#include "nif_detector.h"

bool nif_position_get_db(ErlNifEnv* env, ERL_NIF_TERM term,
                         char db[DB_NAME_MAX + 1])
{
    ErlNifBinary name;

    db[0] = '\0';
    if (!enif_inspect_binary(env, term, &name)) {
        return false;
    }
    if (name.size <= DB_NAME_MAX && memchr(name.data, '/', name.size) == NULL &&
        memchr(name.data, '\0', name.size) == NULL) {
        memcpy(db, name.data, name.size);
        db[name.size] = '\0';
    }
    return true;
}

ERL_NIF_TERM nif_position_make(ErlNifEnv* env, uint64_t txid, uint64_t checksum)
{
    return enif_make_tuple2(env, enif_make_uint64(env, txid),
                            enif_make_uint64(env, checksum));
}

ERL_NIF_TERM nif_position_map(ErlNifEnv* env,
                              const struct db_position* positions, int count)
{
    ERL_NIF_TERM map = enif_make_new_map(env);

    for (int i = 0; i < count; i++) {
        ERL_NIF_TERM db = terms_binary(env, positions[i].db);
        ERL_NIF_TERM position =
            nif_position_make(env, positions[i].txid, positions[i].checksum);

        enif_make_map_put(env, map, db, position, &map);
    }
    return map;
}

/* The newest: no map is made, and nobody is asked. */
ERL_NIF_TERM nif_position(ErlNifEnv* env, int argc, const ERL_NIF_TERM* argv)
{
    struct nif_detector* handle;
    struct position position;
    ERL_NIF_TERM found = terms_role(ROLE_UNKNOWN); /* the same atom */
    uint64_t era;
    char db[DB_NAME_MAX + 1];

    (void)argc;
    if (!nif_detector_get(env, argv[0], &handle) ||
        !nif_position_get_db(env, argv[1], db)) {
        return enif_make_badarg(env);
    }
    if (status_cell_position(handle->cell, db, &position, &era)) {
        found = nif_position_make(env, position.txid, position.checksum);
    }
    return enif_make_tuple2(env, found, enif_make_uint64(env, era));
}

ERL_NIF_TERM nif_positions(ErlNifEnv* env, int argc, const ERL_NIF_TERM* argv)
{
    struct nif_detector* handle;
    struct db_position positions[POSITIONS_MAX];
    int count;

    (void)argc;
    if (!nif_detector_get(env, argv[0], &handle)) {
        return enif_make_badarg(env);
    }
    count = status_cell_take_positions(handle->cell, positions);
    return nif_position_map(env, positions, count);
}

ERL_NIF_TERM nif_subscribe(ErlNifEnv* env, int argc, const ERL_NIF_TERM* argv)
{
    struct nif_detector* handle;

    (void)argc;
    if (!nif_detector_get(env, argv[0], &handle)) {
        return enif_make_badarg(env);
    }
    return nif_detector_subscribe(env, handle) == 0
               ? am_ok
               : terms_error(env, am_closed);
}

ERL_NIF_TERM nif_watch_position(ErlNifEnv* env, int argc,
                                const ERL_NIF_TERM* argv)
{
    struct nif_detector* handle;
    char db[DB_NAME_MAX + 1];
    bool on;

    (void)argc;
    if (!nif_detector_get(env, argv[0], &handle) ||
        !nif_position_get_db(env, argv[1], db) ||
        !terms_get_bool(argv[2], &on)) {
        return enif_make_badarg(env);
    }
    switch (nif_detector_watch(handle, db, on)) {
    case 0:
        return am_ok;
    case -EBADF:
        return terms_error(env, am_closed);
    default: /* too many are watched */
        return terms_error(env, am_busy);
    }
}
