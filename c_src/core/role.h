/*
 * The pure decision: which role does this node have?
 *
 * role_step() takes the state, one input and the time, and gives the status
 * to publish and what the caller must now do. It reads no clock, does no I/O,
 * takes no lock and allocates nothing. Every rule about LiteFS's signals is
 * in role.c and nowhere else.
 *
 * The rules, in order of strength:
 *  1. `.primary` present proves "not primary", on any kind of directory.
 *  2. `isPrimary:true` from a live stream, or a LiteFS mount root of mode
 *     0777, proves "primary". `.primary` absent proves nothing on a mount.
 *  3. Of two contradicting proofs the newer wins. A mount sample that began
 *     before the latest stream event may be older than it and is not used
 *     for the role (EFFECT_PROBE asks for another).
 *  4. Evidence has a life: the stream's ends with the stream, the mount's
 *     one second after the stream went down unless it is renewed, and both
 *     when a probe misses its deadline. A sample is as old as the moment at
 *     which its first system call began. One that ran out takes an older
 *     "primary" of the stream with it.
 *  5. replica -> no_primary only after grace_ms, because LiteFS drops the
 *     primary's name for a second on every reconnect.
 *  6. While reconnect_pending, the role is unknown: SQLite handles may point
 *     at a file that the mount hides.
 *  7. A directory that is no LiteFS mount is `.primary` and manual roles'
 *     business, as the mode says, and unknown once LiteFS was seen there; in
 *     MODE_AUTO also once one answered on the events URL.
 */
#ifndef ECTO_LITEFS_ROLE_H
#define ECTO_LITEFS_ROLE_H

#include "status.h"

/* The option `mount`. */
enum mount_mode {
    MODE_AUTO = 0, /* a plain directory is decided by the file alone */
    MODE_REQUIRED, /* anything but a LiteFS mount is unknown */
    MODE_PLAIN,    /* tests, simulator: file and stream decide together */
};

enum primary_file {
    PRIMARY_FILE_ABSENT = 0,
    PRIMARY_FILE_PRESENT,    /* hostname is its content, "" where unusable */
    PRIMARY_FILE_UNREADABLE, /* it is there or not; nothing is known */
};

/* One look at the directory. */
struct mount_sample {
    enum mount_kind kind;
    int64_t started_ms; /* when the first system call of it began */
    uint64_t mnt_id;    /* identity of the mount: statx mnt_id and ... */
    uint64_t dev;       /* ... st_dev; both 0 unless kind is LITEFS */
    bool root_writable; /* kind LITEFS: mode & 0777 == 0777 */
    enum primary_file primary_file;
    char hostname[HOSTNAME_MAX + 1];
    int64_t lag_ms;
    int err; /* errno for DEAD and UNREADABLE, else 0 */
};

enum manual_role { MANUAL_NONE = 0, MANUAL_PRIMARY, MANUAL_REPLICA };

enum role_input_type {
    INPUT_STREAM_OPENED,  /* 200 on /events; litefs_id is the header's */
    INPUT_STREAM_PRIMARY, /* an init or primaryChange line */
    INPUT_OWN_HOSTNAME,   /* /info has told it, as of a primary */
    INPUT_STREAM_DOWN,    /* refused, cut, hung (/info did not answer) */
    INPUT_PROBE_STARTED,  /* the mount thread enters system calls */
    INPUT_MOUNT,          /* ... and has come back */
    INPUT_PROBE_ENDED,    /* ... without anything that tells the role */
    INPUT_MANUAL,         /* set_primary/2, set_replica/1 */
    INPUT_RECONNECTED,    /* the Repo's pool was told to reconnect */
    INPUT_TICK,           /* nothing but time has passed */
};

struct role_input {
    enum role_input_type type;
    union {
        struct {
            char litefs_id[17]; /* 16 hex digits, "" where not given */
        } opened;
        struct {
            bool is_primary;
            char hostname[HOSTNAME_MAX + 1];
        } primary;
        char own_hostname[HOSTNAME_MAX + 1];
        struct mount_sample mount;
        enum manual_role manual;
        uint64_t reconnected; /* the reconnect_epoch that is done */
    };
};

struct role_config {
    enum mount_mode mode;
    bool stream_enabled;      /* event_stream_url is not nil */
    bool poll_enabled;        /* poll_interval is not :disabled */
    bool litefs_seen;         /* an earlier detector of this VM saw one */
    int64_t poll_interval_ms; /* life of mount evidence, stream healthy */
    int64_t grace_ms;         /* 2500 */
    int64_t probe_timeout_ms; /* 2000: a probe longer than this hangs */
};

/* What the caller must do after a step, beside publishing. */
enum role_effect {
    EFFECT_CHANGED = 1u << 0, /* the status differs by more than its lag */
    EFFECT_PROBE = 1u << 1,   /* look at the mount again, in a burst */
};

/* Filled by role_init; its fields belong to role.c. It contains the last
 * published status, so one struct is the whole memory of the decision. */
struct role_state {
    struct role_config config;
    struct status status;

    /* stream half */
    bool stream_answers;  /* something that calls itself LiteFS is connected */
    bool stream_has_role; /* an init or primaryChange came on this stream */
    bool stream_is_primary;
    char stream_hostname[HOSTNAME_MAX + 1];
    int64_t stream_at_ms;   /* time of the latest such event, for ever */
    int64_t stream_down_ms; /* when the stream went down last */
    char litefs_id[17];     /* the last one given */

    /* mount half */
    bool mount_has_sample;
    bool sample_expired; /* its life is over until another one comes */
    struct mount_sample sample;
    int64_t probe_started_ms; /* 0 while no probe runs */
    bool probe_overdue;       /* it missed its deadline and is not back */
    bool has_mount;           /* mnt_id and dev are those of a live mount */
    uint64_t mnt_id;
    uint64_t dev;

    /* Grows whenever the primary may be another one than before, also where
     * neither role nor hostname tells: with each init and primaryChange, each
     * time that the stream comes or goes, and with the mount's identity. */
    uint64_t era;

    enum manual_role manual;
    int64_t grace_end_ms; /* replica is held until then, 0 = not held */
};

void role_init(struct role_state* state, const struct role_config* config,
               int64_t now_ms);

/*
 * Apply one input. `now_ms` never goes back. Afterwards state->status is what
 * must be published. Returns a set of enum role_effect bits. The generation
 * grows with every difference; a new lag alone is no EFFECT_CHANGED, because
 * who wants the lag polls for it and would else be woken by every sample.
 */
unsigned role_step(struct role_state* state, const struct role_input* input,
                   int64_t now_ms);

/* The time at which an INPUT_TICK may change the status, or 0 for never. Any
 * step at or after it moves it on. */
int64_t role_deadline(const struct role_state* state);

/* Lower-case names, as in the documentation: "primary", "not_litefs", ... */
const char* role_name(enum role role);
const char* role_source_name(enum role_source source);
const char* mount_kind_name(enum mount_kind kind);
const char* stream_state_name(enum stream_state state);

#endif
