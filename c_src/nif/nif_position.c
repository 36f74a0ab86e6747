#include "nif_position.h"

#include <string.h>

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
