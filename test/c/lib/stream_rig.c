#include "stream_rig.h"

#include <string.h>
#include <time.h>

struct fake_litefs* fake;
struct status_cell* cell;
struct stream_source* source;
atomic_int hints;
atomic_int changes;

void rig_use(const struct rig* rig)
{
    fake = rig->fake;
    cell = rig->cell;
    source = rig->source;
}

static void count(void* ctx)
{
    atomic_fetch_add((atomic_int*)ctx, 1);
}

static void post_empty_directory(void)
{
    struct role_input input = {.type = INPUT_MOUNT};

    input.mount.kind = MOUNT_PLAIN;
    input.mount.started_ms = clock_now_ms();
    input.mount.primary_file = PRIMARY_FILE_ABSENT;
    status_cell_post(cell, &input, NULL);
}

void rig_set_up(void)
{
    const struct role_config config = {
        .mode = MODE_PLAIN,
        .stream_enabled = true,
        .probe_timeout_ms = 300,
    };
    const struct status_cell_hooks hooks = {.changed = count, .ctx = &changes};

    ck_assert_int_eq(status_cell_open(&config, &hooks, &cell), 0);
    post_empty_directory();
    fake = fake_litefs_open();
    source = NULL;
}

void rig_tear_down(void)
{
    if (source)
        stream_source_close(source);
    status_cell_unref(cell);
    fake_litefs_close(fake);
}

void rig_start(void)
{
    const char* url = fake_litefs_url(fake);
    int rc = stream_source_open(url, cell, count, &hints, &source);
    ck_assert_int_eq(rc, 0);
}

struct rig rig_open(const struct fake_step* script)
{
    rig_set_up();
    fake_litefs_script(fake, script);
    rig_start();
    return (struct rig){fake, cell, source};
}

void rig_pause(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

struct status snapshot(void)
{
    struct status status;
    status_cell_snapshot(cell, &status);
    return status;
}

bool stream_is(enum stream_state state)
{
    return snapshot().stream == state;
}

bool names(const char* hostname)
{
    struct status status = snapshot();
    return status.role == ROLE_REPLICA && !strcmp(status.hostname, hostname);
}

bool position_is(const char* db, uint64_t txid, uint64_t checksum)
{
    struct db_position positions[POSITIONS_MAX];
    int kept = status_cell_positions(cell, positions);

    for (int i = 0; i < kept; i++) {
        if (!strcmp(positions[i].db, db) && positions[i].txid == txid &&
            positions[i].checksum == checksum)
            return true;
    }
    return false;
}

void await_primary(void)
{
    AWAIT(status_cell_role(cell) == ROLE_PRIMARY);
    ck_assert(stream_is(STREAM_UP));
}

struct stream_counters counters(void)
{
    struct stream_counters now;
    stream_source_counters(source, &now);
    return now;
}
