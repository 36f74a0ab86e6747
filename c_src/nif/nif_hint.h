/*
 * Whom the cell's hooks tell: the processes behind a handle.
 *
 * A target belongs to the cell, because a thread that hangs in a FUSE call may
 * hold the cell for longer than the handle exists.
 */
#ifndef ECTO_LITEFS_NIF_HINT_H
#define ECTO_LITEFS_NIF_HINT_H

#include <erl_nif.h>

struct hint_target;
struct nif_detector;

/* NULL without memory. */
struct hint_target* hint_target_new(struct nif_detector* handle);

/* After this no hook uses the handle any more. */
void hint_target_forget(struct hint_target* target);

/* Who gets the hints of positions from now on, and nobody else. */
void hint_target_subscribe(struct hint_target* target, const ErlNifPid* pid);

/* The cell's hooks; `target` is a struct hint_target. */
void hint_target_changed(void* target);
void hint_target_moved(void* target);
void hint_target_free(void* target);

#endif
