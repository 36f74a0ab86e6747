/*
 * A LiteFS position: the last transaction of one database and the checksum
 * of the whole content after it.
 *
 * A TXID alone is not enough: after a failover the same number can name
 * another transaction, so equal TXIDs need equal checksums.
 */
#ifndef ECTO_LITEFS_POSITION_H
#define ECTO_LITEFS_POSITION_H

#include <stddef.h>
#include <stdint.h>

/* `<db>-pos`: 16 hex digits, a slash, 16 hex digits, a newline. */
enum { POSITION_SIZE = 34 };

struct position {
    uint64_t txid;
    uint64_t checksum;
};

enum position_order {
    POSITION_BEFORE, /* not there yet */
    POSITION_SAME,
    POSITION_AFTER,
    POSITION_FORKED, /* the same TXID, another content */
};

/* 0, or -EBADMSG for anything but exactly what LiteFS writes. */
int position_parse(const char* text, size_t size, struct position* position);

/* Writes POSITION_SIZE characters and a NUL. */
void position_format(const struct position* position,
                     char text[POSITION_SIZE + 1]);

/* Where `current` is, seen from `wanted`. */
enum position_order position_compare(const struct position* current,
                                     const struct position* wanted);

#endif
