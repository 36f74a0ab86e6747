/*
 * The public face of the core: one detector per Repo.
 *
 * Puts a status cell and the two sources together and hides them. This is
 * all that the NIF uses.
 */
#ifndef ECTO_LITEFS_DETECTOR_H
#define ECTO_LITEFS_DETECTOR_H

#include "mount_source.h"
#include "status_cell.h"

struct detector;

struct detector_config {
    const char* primary_file; /* absolute path of `.primary` */
    const char* events_url;   /* NULL = no stream */
    int64_t poll_interval_ms; /* 0 = no poll timer; a day at the most */
    enum mount_mode mode;
    bool litefs_seen;
};

/* 0, or a negative errno: -EINVAL (path not absolute, URL refused by curl),
 * -ENOMEM, -EAGAIN. On failure nothing is left behind and hooks->free was
 * not called. */
int detector_open(const struct detector_config* config,
                  const struct status_cell_hooks* hooks,
                  struct detector** detector);

/* Ends both sources and frees `detector`; readers that still hold a
 * reference to the cell see unknown. Never waits for the mount. */
void detector_close(struct detector* detector);

/* The cell, borrowed: valid until detector_close(). */
struct status_cell* detector_cell(struct detector* detector);

int detector_check(struct detector* detector, const char* db,
                   mount_check_fn done, void* ctx);
int detector_watch(struct detector* detector, const char* db, bool on);
void detector_hint(struct detector* detector);

/* set_primary/2, set_replica/1: 0, or -EPERM where LiteFS was seen. */
int detector_set_manual(struct detector* detector, enum manual_role role);
void detector_reconnected(struct detector* detector, uint64_t epoch);

#endif
