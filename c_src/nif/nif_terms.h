/*
 * Terms: the atoms, and the shapes that Erlang and the core agree on.
 *
 * Decoders return false for a wrong type; the NIF then raises badarg.
 */
#ifndef ECTO_LITEFS_NIF_TERMS_H
#define ECTO_LITEFS_NIF_TERMS_H

#include <erl_nif.h>

#include "detector.h"

extern ERL_NIF_TERM am_ok;
extern ERL_NIF_TERM am_error;
extern ERL_NIF_TERM am_busy;
extern ERL_NIF_TERM am_closed;
extern ERL_NIF_TERM am_managed_by_litefs;
extern ERL_NIF_TERM am_bad_path;
extern ERL_NIF_TERM am_bad_url;
extern ERL_NIF_TERM am_no_memory;
extern ERL_NIF_TERM am_no_thread;
extern ERL_NIF_TERM am_none;
extern ERL_NIF_TERM am_ecto_litefs_changed;
extern ERL_NIF_TERM am_ecto_litefs_check;
extern ERL_NIF_TERM am_ecto_litefs_position;

/* Atoms are the same in every environment and are never collected, so they
 * are made once for each copy of the library. */
void terms_init(ErlNifEnv* env);

/* The fields of ecto_litefs_nif:options(). Strings are borrowed from the
 * binaries and end with no NUL; `events_url` has no data for `undefined`. */
struct open_options {
    ErlNifBinary primary_file;
    ErlNifBinary events_url;
    int64_t poll_interval_ms;
    enum mount_mode mode;
    bool litefs_seen;
};

bool terms_get_options(ErlNifEnv* env, ERL_NIF_TERM map,
                       struct open_options* options);
bool terms_get_bool(ERL_NIF_TERM term, bool* value);
bool terms_get_manual(ERL_NIF_TERM term, enum manual_role* role);

ERL_NIF_TERM terms_role(enum role role);

/* {error, Reason} and {error, {Reason, <<"text">>}}. */
ERL_NIF_TERM terms_error(ErlNifEnv* env, ERL_NIF_TERM reason);
ERL_NIF_TERM terms_error_text(ErlNifEnv* env, ERL_NIF_TERM reason,
                              const char* text);

/* Of a text with a final NUL. */
ERL_NIF_TERM terms_binary(ErlNifEnv* env, const char* text);

/* ecto_litefs_nif:snapshot(), with the map of positions. */
ERL_NIF_TERM terms_snapshot(ErlNifEnv* env, const struct status* status,
                            ERL_NIF_TERM positions);

#endif
