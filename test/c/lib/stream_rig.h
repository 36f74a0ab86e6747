/*
 * One scripted LiteFS, one real status cell and one stream source.
 *
 * The cell is in MODE_PLAIN on an empty directory, where the stream alone
 * decides. Most tests need one rig and use the globals; who needs several
 * keeps them and makes one of them the current one with rig_use().
 */
#ifndef STREAM_RIG_H
#define STREAM_RIG_H

#include <check.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "clock.h"
#include "fake_litefs.h"
#include "status_cell.h"
#include "stream_source.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define PRIMARY FAKE_INIT("\"isPrimary\":true")
#define REPLICA(name) FAKE_INIT("\"isPrimary\":false,\"hostname\":\"" name "\"")
#define LINE(text)         \
    {                      \
        FAKE_LINE, text, 0 \
    }
#define TX(db, txid, checksum)                                           \
    LINE("{\"type\":\"tx\",\"db\":\"" db "\",\"data\":{\"txID\":\"" txid \
         "\",\"postApplyChecksum\":\"" checksum "\"}}")
#define HEADERS               \
    {                         \
        FAKE_HEADERS, NULL, 0 \
    }
#define END               \
    {                     \
        FAKE_END, NULL, 0 \
    }
#define HANG_UP               \
    {                         \
        FAKE_HANG_UP, NULL, 0 \
    }
#define LAST                        \
    {                               \
        FAKE_END_OF_SCRIPT, NULL, 0 \
    }

struct rig {
    struct fake_litefs* fake;
    struct status_cell* cell;
    struct stream_source* source; /* NULL until rig_start() */
};

extern struct fake_litefs* fake;
extern struct status_cell* cell;
extern struct stream_source* source;
extern atomic_int hints;   /* calls of the source's hint */
extern atomic_int changes; /* calls of the cell's hint */

void rig_use(const struct rig* rig);
void rig_set_up(void);
void rig_tear_down(void);
void rig_start(void);
struct rig rig_open(const struct fake_step* script);

/* Wait for something, for ten seconds at the most. */
#define AWAIT(condition)                                               \
    do {                                                               \
        int64_t give_up_ = clock_now_ms() + 10000;                     \
        while (!(condition)) {                                         \
            ck_assert_msg(clock_now_ms() < give_up_, "never came: %s", \
                          #condition);                                 \
            rig_pause();                                               \
        }                                                              \
    } while (0)
void rig_pause(void);

bool stream_is(enum stream_state state);
bool names(const char* hostname); /* replica of it */
bool position_is(const char* db, uint64_t txid, uint64_t checksum);
void await_primary(void);
struct status snapshot(void);
struct stream_counters counters(void);

#endif
