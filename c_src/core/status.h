/*
 * What this node believes about its role: the value that is published.
 *
 * A status is plain data and is always copied whole. The words are LiteFS's
 * own; `not_litefs` is ours, for a directory that has no LiteFS at all.
 */
#ifndef ECTO_LITEFS_STATUS_H
#define ECTO_LITEFS_STATUS_H

#include <stdbool.h>
#include <stdint.h>

/* Longest hostname kept, without the final NUL. POSIX HOST_NAME_MAX is 64
 * and DNS allows 253; LiteFS itself sets no limit. */
enum { HOSTNAME_MAX = 255, DB_NAME_MAX = 127, POSITIONS_MAX = 16 };

/* `.lag` could not be read, or this is not a LiteFS mount. */
#define LAG_UNKNOWN INT64_MIN

enum role {
    ROLE_UNKNOWN = 0, /* nothing proven: writes wait or are refused */
    ROLE_PRIMARY,     /* positive proof: this node may write */
    ROLE_REPLICA,     /* another node is primary (hostname may be empty) */
    ROLE_NO_PRIMARY,  /* LiteFS is there and names nobody */
    ROLE_NOT_LITEFS,  /* no LiteFS at all: writes are local */
};

/* Which source gave the evidence that the role rests on. */
enum role_source {
    SOURCE_NONE = 0,
    SOURCE_STREAM,
    SOURCE_MOUNT,
    SOURCE_MANUAL,
};

enum mount_kind {
    MOUNT_UNSEEN = 0, /* not looked at yet */
    MOUNT_LITEFS,     /* the root of a LiteFS mount */
    MOUNT_PLAIN,      /* a directory that is not a LiteFS mount */
    MOUNT_MISSING,    /* no such directory, or not a directory */
    MOUNT_DEAD,       /* ENOTCONN, ECONNABORTED: LiteFS died under it */
    MOUNT_UNREADABLE, /* any other error: EACCES, EIO, ... */
    MOUNT_TIMEOUT,    /* a probe missed its deadline: LiteFS hangs */
};

enum stream_state {
    STREAM_UNSEEN = 0, /* the first connection attempt has not ended */
    STREAM_OFF,        /* switched off: event_stream_url is nil */
    STREAM_UP,         /* connected, an init event was read, /info answers */
    STREAM_DOWN,       /* refused, cut, hung, or answering nonsense */
};

/* The last transaction that the event stream reported for one database. */
struct db_position {
    char db[DB_NAME_MAX + 1];
    uint64_t txid;
    uint64_t checksum;
};

struct status {
    enum role role;
    enum role_source source;
    char hostname[HOSTNAME_MAX + 1]; /* the primary's, "" where not known */
    /* What LiteFS calls this node, "" until it was primary on this stream. */
    char own_hostname[HOSTNAME_MAX + 1];
    int64_t since_ms;    /* monotonic time at which role or hostname changed */
    uint64_t generation; /* grows by one with every published change */
    enum mount_kind mount;
    enum stream_state stream;
    int64_t lag_ms;           /* `.lag`, or LAG_UNKNOWN */
    bool settled;             /* both halves have reported at least once */
    bool litefs_seen;         /* a LiteFS was seen here: never plain again */
    bool reconnect_pending;   /* the Repo's pool must reconnect first */
    uint64_t reconnect_epoch; /* the number to hand back when it has */
};

#endif
