/*
 * A file system in a thread that has LiteFS's root directory and nothing
 * else: a root whose mode tells whether it is primary, `.primary`, `.lag`,
 * `<db>-pos`, and LiteFS's cache times, which are what makes plain stat() and
 * short reads lie.
 */
#ifndef ECTO_LITEFS_FUSE_STUB_H
#define ECTO_LITEFS_FUSE_STUB_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { FUSE_STUB_DBS = 4 };

struct fuse_stub {
    pthread_t thread;
    int device_fd;
    int stop_fd;

    pthread_mutex_t mutex; /* guards the rest */
    pthread_cond_t thawed;
    bool primary;
    bool frozen;
    bool has_primary_file;
    char primary_file[512];
    char lag[16];
    struct {
        char name[64]; /* "app.db-pos" */
        char content[64];
    } positions[FUSE_STUB_DBS];
    unsigned lookups;  /* of any name */
    unsigned requests; /* of any kind */
    int open_files;
    bool position_frozen; /* position files are not answered for */
};

/* Whether this process may use /dev/fuse at all. */
bool fuse_stub_possible(void);

/* Mount at `directory` in the name of `source` ("litefs") as a replica that
 * does not know its primary. The process needs its own mount namespace. */
void fuse_stub_start(struct fuse_stub* stub, const char* directory,
                     const char* source);
/* The daemon dies and leaves its mount behind. */
void fuse_stub_die(struct fuse_stub* stub);

void fuse_stub_set_primary(struct fuse_stub* stub, bool primary);
/* NULL: there is no `.primary`. */
void fuse_stub_name_primary(struct fuse_stub* stub, const char* content);
void fuse_stub_set_lag(struct fuse_stub* stub, const char* content);
/* `<db>-pos` has this content from now on, NULL: it is gone. What the kernel
 * has of it in its cache is taken away, as LiteFS does. */
void fuse_stub_set_position(struct fuse_stub* stub, const char* db,
                            const char* content);
/* Frozen, it answers nothing. */
void fuse_stub_freeze(struct fuse_stub* stub, bool frozen);
/* The same, but only for what is done to a file `<db>-pos` that is known. */
void fuse_stub_freeze_positions(struct fuse_stub* stub, bool frozen);
unsigned fuse_stub_lookups(struct fuse_stub* stub);
unsigned fuse_stub_requests(struct fuse_stub* stub);
/* Descriptors that are open on it. */
int fuse_stub_open_files(struct fuse_stub* stub);

#endif
