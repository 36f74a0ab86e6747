/*
 * Databases and positions as terms, and the NIFs about them.
 *
 * A position is {TxId, Checksum}. A database is the name of its file, as
 * LiteFS has it: <<"app.db">>.
 */
#ifndef ECTO_LITEFS_NIF_POSITION_H
#define ECTO_LITEFS_NIF_POSITION_H

#include "nif_terms.h"

/* False for anything but a binary. A name that is none, or longer than what
 * we keep, becomes "", of which nothing is ever known. */
bool nif_position_get_db(ErlNifEnv* env, ERL_NIF_TERM term,
                         char db[DB_NAME_MAX + 1]);

ERL_NIF_TERM nif_position_make(ErlNifEnv* env, uint64_t txid,
                               uint64_t checksum);

/* #{Db => {TxId, Checksum}} */
ERL_NIF_TERM nif_position_map(ErlNifEnv* env,
                              const struct db_position* positions, int count);

/* Of ecto_litefs_nif. */
ERL_NIF_TERM nif_position(ErlNifEnv* env, int argc, const ERL_NIF_TERM* argv);
ERL_NIF_TERM nif_positions(ErlNifEnv* env, int argc, const ERL_NIF_TERM* argv);
ERL_NIF_TERM nif_subscribe(ErlNifEnv* env, int argc, const ERL_NIF_TERM* argv);
ERL_NIF_TERM nif_watch_position(ErlNifEnv* env, int argc,
                                const ERL_NIF_TERM* argv);

#endif
