#include "position_reader.h"

#include <errno.h>
#include <string.h>

#include "clock.h"
#include "mount.h"
#include "mount_call.h"
#include "mount_schedule.h"
#include "position_table.h"

/* More than the file has. */
enum { ASK_SIZE = 64 };

static bool is_open(const struct position_file* file)
{
    return file->used_ms != 0 && file->fd >= 0;
}

static void file_close(struct position_file* file)
{
    if (is_open(file)) {
        mount_call_close(CALL_POSITION_CLOSE, file->fd);
    }
    file->used_ms = 0;
}

/* Its place, or a free one, or that of the one that nobody asked for for the
 * longest time. */
static struct position_file* place(struct position_reader* reader,
                                   const char* db)
{
    struct position_file* oldest = &reader->files[0];

    for (int i = 0; i < POSITIONS_MAX; i++) {
        struct position_file* file = &reader->files[i];

        if (file->used_ms != 0 && strcmp(file->db, db) == 0) {
            return file;
        }
        if (file->used_ms < oldest->used_ms) {
            oldest = file;
        }
    }
    file_close(oldest);
    return oldest;
}

static int file_open(struct position_file* file, const char* directory,
                     const char* db)
{
    char path[PATH_MAX];
    int rv = mount_path(path, directory, db, "-pos");

    if (rv == 0) {
        rv = mount_call_open(CALL_POSITION_OPEN, path);
    }
    if (rv >= 0 || rv == -ENOENT) {
        db_name_copy(file->db, db);
        file->fd = rv >= 0 ? rv : -1;
        file->used_ms = clock_now_ms();
    }
    return rv < 0 ? rv : 0;
}

static int file_read(const struct position_file* file, size_t size,
                     struct position* position)
{
    char text[ASK_SIZE];
    int rv = mount_call_pread(CALL_POSITION_READ, file->fd, text, size);

    return rv < 0 ? rv : position_parse(text, (size_t)rv, position);
}

static bool is_dead(int rv)
{
    return rv == -ENOTCONN || rv == -ECONNABORTED;
}

/* One that was kept may be of a file that is gone; then it says nothing about
 * the one that is there now. */
static int read_kept(struct position_file* file, struct position* position)
{
    int rv = file_read(file, ASK_SIZE, position);

    if (rv != 0) {
        file_close(file);
    }
    return rv;
}

static int read_fresh(struct position_file* file, const char* directory,
                      const char* db, struct position* position)
{
    int rv = file_open(file, directory, db);

    if (rv == 0) {
        /* Not one byte more: that would cost a round trip. */
        rv = file_read(file, POSITION_SIZE, position);
        if (rv != 0) {
            file_close(file);
        }
    }
    return rv;
}

static bool is_missing(const struct position_file* file, int64_t now_ms)
{
    return file->used_ms != 0 && file->fd < 0 &&
           now_ms - file->used_ms < POSITION_MISSING_MS;
}

int position_reader_read(struct position_reader* reader, const char* directory,
                         const char* db, struct position* position)
{
    int64_t now_ms = clock_now_ms();
    struct position_file* file;
    int rv = -ENOENT;

    if (db[0] == '\0' || strchr(db, '/') != NULL || strlen(db) > DB_NAME_MAX) {
        return -EINVAL;
    }
    file = place(reader, db);
    if (is_missing(file, now_ms)) {
        return -ENOENT;
    }
    if (is_open(file)) {
        file->used_ms = now_ms;
        rv = read_kept(file, position);
    }
    if (!is_open(file) && !is_dead(rv)) {
        rv = read_fresh(file, directory, db, position);
    }
    if (is_dead(rv)) {
        position_reader_forget(reader);
    }
    return rv;
}

bool position_reader_is_open(const struct position_reader* reader)
{
    return position_reader_due(reader, 0) != SCHEDULE_NEVER;
}

int64_t position_reader_due(const struct position_reader* reader,
                            int64_t keep_ms)
{
    int64_t due = SCHEDULE_NEVER;

    for (int i = 0; i < POSITIONS_MAX; i++) {
        const struct position_file* file = &reader->files[i];

        if (is_open(file) && file->used_ms + keep_ms < due) {
            due = file->used_ms + keep_ms;
        }
    }
    return due;
}

void position_reader_close(struct position_reader* reader, int64_t keep_ms)
{
    int64_t now_ms = clock_now_ms();

    for (int i = 0; i < POSITIONS_MAX; i++) {
        struct position_file* file = &reader->files[i];

        if (is_open(file) && file->used_ms + keep_ms <= now_ms) {
            file_close(file);
        }
    }
}

void position_reader_forget(struct position_reader* reader)
{
    for (int i = 0; i < POSITIONS_MAX; i++) {
        file_close(&reader->files[i]);
    }
}
