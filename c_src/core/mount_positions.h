/*
 * What a directory's thread does for positions. Nobody else calls this.
 *
 * Reads and closes ask LiteFS and may hang like a look, so they are announced
 * to the cells like one (INPUT_PROBE_STARTED).
 */
#ifndef ECTO_LITEFS_MOUNT_POSITIONS_H
#define ECTO_LITEFS_MOUNT_POSITIONS_H

#include "mount_thread.h"

/* After the look of probe number `probe`, before its answers: read the
 * positions that the checks which it serves ask for. */
void mount_positions_check(struct mount_directory* directory,
                           struct mount_source* visits, uint64_t probe);

/*
 * Read the watched databases whose time has come, as mount_source_watch() says.
 * The first read after the stream was lost waits for SCHEDULE_SPACING_MS, as
 * a look does: a LiteFS that stops hangs up and unmounts in that time, which a
 * descriptor that is open in that moment would prevent.
 *
 * Close the descriptors whose time is over: POSITION_KEEP_MS after the last
 * read while all streams are up, else at once, because nothing else tells
 * that LiteFS is about to unmount. When to be called again.
 */
int64_t mount_positions_run(struct mount_directory* directory,
                            struct mount_source* visits);

#endif
