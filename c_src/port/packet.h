/*
 * Packets as `{packet, 4}` frames them: four bytes of size, the greatest
 * first, and the content.
 */
#ifndef ECTO_LITEFS_PACKET_H
#define ECTO_LITEFS_PACKET_H

#include <stddef.h>

/* Of the content, in bytes. The largest request is a tenth of it. */
enum { PACKET_MAX = 65536 };

enum packet_error {
    PACKET_ENDED = -1,     /* the input ended between two packets, or a signal
                              asks the program to end (stop.h) */
    PACKET_CUT = -2,       /* it ended inside of one */
    PACKET_TOO_LARGE = -3, /* the size is above PACKET_MAX */
    PACKET_FAILED = -4,    /* errno says why */
};

/* Waits without limit for the next packet of the input of stop_init(). 0 and
 * the size of its content (which may be 0), or one of packet_error. */
int packet_read(int fd, char content[PACKET_MAX], size_t* size);

/* 0 or PACKET_FAILED. */
int packet_write(int fd, const char* content, size_t size);

#endif
