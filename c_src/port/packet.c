#include "packet.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <unistd.h>

#include "stop.h"

enum { HEADER_SIZE = 4 };

/* How many of `size` bytes were there before the end or the order to end;
 * PACKET_FAILED for an error. */
static ssize_t read_all(int fd, char* bytes, size_t size)
{
    size_t have = 0;

    while (have < size && stop_wait_input()) {
        ssize_t got = read(fd, bytes + have, size - have);

        if (got == 0) {
            break;
        }
        if (got > 0) {
            have += (size_t)got;
        } else if (errno != EINTR && errno != EAGAIN) {
            return PACKET_FAILED;
        }
    }
    return (ssize_t)have;
}

int packet_read(int fd, char content[PACKET_MAX], size_t* size)
{
    unsigned char header[HEADER_SIZE];
    ssize_t got = read_all(fd, (char*)header, HEADER_SIZE);
    uint32_t length;

    if (got <= 0) {
        return got == 0 ? PACKET_ENDED : PACKET_FAILED;
    }
    if (got < HEADER_SIZE) {
        return PACKET_CUT;
    }
    length = (uint32_t)header[0] << 24 | (uint32_t)header[1] << 16 |
             (uint32_t)header[2] << 8 | header[3];
    if (length > PACKET_MAX) {
        return PACKET_TOO_LARGE;
    }
    got = read_all(fd, content, length);
    if (got < 0) {
        return PACKET_FAILED;
    }
    *size = length;
    return (size_t)got == length ? 0 : PACKET_CUT;
}

static int write_all(int fd, const char* bytes, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, bytes, size);

        if (written >= 0) {
            bytes += written;
            size -= (size_t)written;
        } else if (errno != EINTR) {
            return PACKET_FAILED;
        }
    }
    return 0;
}

int packet_write(int fd, const char* content, size_t size)
{
    char header[HEADER_SIZE] = {
        (char)(size >> 24),
        (char)(size >> 16),
        (char)(size >> 8),
        (char)size,
    };

    assert(size <= PACKET_MAX);
    if (write_all(fd, header, HEADER_SIZE) != 0) {
        return PACKET_FAILED;
    }
    return write_all(fd, content, size);
}
