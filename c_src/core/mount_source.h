/*
 * The second source: the directory itself.
 *
 * FUSE calls can block for ever, so exactly one thread per directory and VM
 * makes them, whatever the number of Repos on it and however often their
 * supervisors restart: detectors attach to the directory's thread and detach
 * from it, and nobody ever joins it. It ends by itself when nothing is
 * attached. A probe that misses its deadline is noticed by the cells' readers
 * (role.h, rule 4), not by this thread.
 *
 * When it looks: `poll_interval_ms` while the stream is up, every second
 * while it is down, in a burst of 50, 100, 200, 400 ms after a hint, at once
 * for a check; on inotify events of a plain directory, on IN_UNMOUNT, and on
 * changes of /proc/self/mountinfo. Its own polls never come more than 20
 * times a second. Checks are not limited: on a LiteFS mount they do no LOOKUP,
 * because a primary is only asked for its root, a name is in the kernel's
 * cache, and an absence is believed for a second (that of a position file for
 * 50 ms). With `poll_interval_ms` 0
 * there is no timer, except on a LiteFS mount whose stream is down.
 */
#ifndef ECTO_LITEFS_MOUNT_SOURCE_H
#define ECTO_LITEFS_MOUNT_SOURCE_H

#include "status_cell.h"

struct mount_source; /* one attachment of one cell to one directory */

struct mount_source_config {
    const char* directory;    /* absolute; copied */
    const char* primary_name; /* the file's name in it, ".primary"; copied */
    int64_t poll_interval_ms; /* 0 = no timer (:disabled) */
};

/*
 * Gets the role after a probe that began after the request was made, with
 * one more condition: ROLE_PRIMARY is only given when that very probe found
 * mode 0777 (LiteFS mount) or no `.primary` (plain directory); else it is
 * ROLE_UNKNOWN in its place. `position` is what `<db>-pos` said after that, or
 * NULL: no database was named, it has no readable position, this is no LiteFS
 * mount, or the role is unknown. Called exactly once, from the mount thread,
 * or with ROLE_UNKNOWN from mount_source_detach(). Must not block.
 */
typedef void (*mount_check_fn)(void* ctx, enum role role,
                               const struct position* position);

/* Attach: takes its own reference to the cell, probes at once. The cell gets
 * INPUT_PROBE_STARTED here already, so that it sees a hang even where the
 * thread is stuck since before. 0, -ENOMEM, -EAGAIN (no thread, no
 * descriptor), -ENAMETOOLONG. */
int mount_source_attach(const struct mount_source_config* config,
                        struct status_cell* cell, struct mount_source** source);

/* Detach without waiting for the thread, and free `source`. */
void mount_source_detach(struct mount_source* source);

/* Look again, in a burst. Safe from any thread, never blocks. */
void mount_source_hint(struct mount_source* source);

/* Ask for a fresh check, and for the position of `db` where it is not NULL
 * (copied). 0, or -EAGAIN when 4,096 requests wait already (then `done` is not
 * called), or -ENOMEM. */
int mount_source_check(struct mount_source* source, const char* db,
                       mount_check_fn done, void* ctx);

/*
 * Somebody waits for the position of `db` (copied), or nobody does any more.
 * Said twice is said once; NULL takes all back. A watched database is read at
 * once and after each time that the stream came, for what its events do not
 * tell; and while the stream is not up after 1, 2, 4, 8 and then every 10 ms,
 * anew from 1 when it has moved. One without a readable position is tried
 * again every 50 ms, and while the stream is up after 50, 100, ..., 1000. What
 * is read goes into the cell. 0, or -EAGAIN when POSITIONS_MAX are watched
 * already.
 */
int mount_source_watch(struct mount_source* source, const char* db, bool on);

#endif
