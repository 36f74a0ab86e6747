/*
 * The resource: a detector that belongs to an Erlang process.
 *
 * A handle is open until close/1 or the death of its owner, whichever comes
 * first, and closed for ever after.
 *
 *     open/1                  the handle is open; that holds one reference
 *     close/1, owner's death  open -> closed, once; starts a closing thread
 *     closing thread          detector_close(), gives that reference back
 *     destructor              only ever sees a closed handle: frees memory
 *
 * So the destructor has nothing to end, and a handle that was dropped without
 * close/1 lives as long as its owner. Who reads the role needs no lock: the
 * cell outlives the detector and gives unknown once it is shut.
 */
#ifndef ECTO_LITEFS_NIF_DETECTOR_H
#define ECTO_LITEFS_NIF_DETECTOR_H

#include <erl_nif.h>
#include <stdatomic.h>

#include "nif_terms.h"

struct hint_target;

struct nif_detector {
    struct status_cell* cell;   /* own reference; outlives the detector */
    struct hint_target* target; /* the cell's; alive while `cell` is */
    ErlNifPid owner;
    ErlNifMonitor monitor;
    ErlNifMutex* mutex; /* guards `open` */
    bool open;
    struct detector* detector; /* to be used while `open` only */
    atomic_bool hint_owed;     /* see nif_detector_settle() */
};

/* False when the resource type cannot be opened. For load and upgrade. */
bool nif_detector_init(ErlNifEnv* env);

/* Whether that was done before in this copy of the library. */
bool nif_detector_ready(void);

/* The resource of a handle; false for any other term, and for a handle that
 * nif_detector_open() gave up. */
bool nif_detector_get(ErlNifEnv* env, ERL_NIF_TERM term,
                      struct nif_detector** handle);

/* 0 and the handle, or the negative errno of detector_open(). */
int nif_detector_open(ErlNifEnv* env, const struct detector_config* config,
                      ERL_NIF_TERM* term);

/* Does nothing where it is closed already. */
void nif_detector_close(ErlNifEnv* env, struct nif_detector* handle);

/* Ask for {ecto_litefs_check, Ref, Role, Position} to the caller; a `db` of
 * "" is none. 0, -EBADF where the handle is closed, or the negative errno of
 * detector_check(). */
int nif_detector_check(ErlNifEnv* env, struct nif_detector* handle,
                       const char* db, ERL_NIF_TERM ref);

/* The caller gets {ecto_litefs_position, Handle} when a position has changed,
 * and watches nothing yet. 0, or -EBADF where the handle is closed. */
int nif_detector_subscribe(ErlNifEnv* env, struct nif_detector* handle);

/* What detector.h says; -EBADF where the handle is closed. */
int nif_detector_hint(struct nif_detector* handle);
int nif_detector_watch(struct nif_detector* handle, const char* db, bool on);
int nif_detector_set_manual(struct nif_detector* handle, enum manual_role role);
int nif_detector_reconnected(struct nif_detector* handle, uint64_t epoch);

void nif_detector_send_owed(ErlNifEnv* env, struct nif_detector* handle);

/*
 * To be called at the end of every NIF that posts or reads, because the cell
 * may have called the hook inside it. On a scheduler a message needs the
 * environment of the running NIF, which the hook does not have: there the hook
 * only notes that a message is owed.
 */
static inline void nif_detector_settle(ErlNifEnv* env,
                                       struct nif_detector* handle)
{
    if (atomic_load_explicit(&handle->hint_owed, memory_order_relaxed)) {
        nif_detector_send_owed(env, handle);
    }
}

#endif
