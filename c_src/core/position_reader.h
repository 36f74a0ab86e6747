/*
 * `<db>-pos`, read through descriptors that stay open for a moment.
 *
 * Every read asks LiteFS. A kept descriptor would else answer from the
 * kernel's cache for ever, also when LiteFS is dead; so it is asked for more
 * bytes than the file has, which takes one round trip. A fresh one takes two,
 * and a third when it is closed.
 *
 * LiteFS cannot unmount while one is open, and cannot start again above a
 * dead mount: so they are kept for POSITION_KEEP_MS only, and the owner closes
 * them at every sign that LiteFS ends. docs/DECISIONS.md has the figures. Only
 * for one thread, the directory's mount thread. All calls may block for ever.
 */
#ifndef ECTO_LITEFS_POSITION_READER_H
#define ECTO_LITEFS_POSITION_READER_H

#include "position.h"
#include "status.h"

enum {
    POSITION_KEEP_MS = 50,
    /* A missing file is looked up by every open, and a LOOKUP may meet a
     * lease change inside LiteFS: at most 20 a second. */
    POSITION_MISSING_MS = 50,
};

struct position_file {
    char db[DB_NAME_MAX + 1];
    int fd;          /* -1: it was missing */
    int64_t used_ms; /* when it was asked for; 0: a free place */
};

/* All zero: nothing is open. */
struct position_reader {
    struct position_file files[POSITIONS_MAX]; /* more: the oldest goes */
};

/* What LiteFS has now. 0, -EINVAL for a name that is none, -ENOENT, -EBADMSG
 * for a content that is none, or the negative errno of a system call.
 * -ENOTCONN or -ECONNABORTED: LiteFS is dead, and nothing is open any more. */
int position_reader_read(struct position_reader* reader, const char* directory,
                         const char* db, struct position* position);

bool position_reader_is_open(const struct position_reader* reader);

/* When the next one will not have been used for `keep_ms`; SCHEDULE_NEVER
 * where none is open. */
int64_t position_reader_due(const struct position_reader* reader,
                            int64_t keep_ms);

/* Close those that were not used for `keep_ms`; 0 closes all. */
void position_reader_close(struct position_reader* reader, int64_t keep_ms);

/* Another mount, or none: nothing is open and nothing is known to be missing
 * any more. */
void position_reader_forget(struct position_reader* reader);

#endif
