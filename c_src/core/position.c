#include "position.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

enum { HEX_DIGITS = 16 };

/* strtoull() would take signs, blanks and "0x"; LiteFS writes none. */
static int hex_parse(const char* text, uint64_t* value)
{
    uint64_t sum = 0;

    for (int i = 0; i < HEX_DIGITS; i++) {
        char c = text[i];

        if (c >= '0' && c <= '9') {
            sum = sum << 4 | (uint64_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            sum = sum << 4 | (uint64_t)(c - 'a' + 10);
        } else {
            return -EBADMSG;
        }
    }
    *value = sum;
    return 0;
}

int position_parse(const char* text, size_t size, struct position* position)
{
    struct position parsed;

    if (size != POSITION_SIZE || text[HEX_DIGITS] != '/' ||
        text[POSITION_SIZE - 1] != '\n') {
        return -EBADMSG;
    }
    if (hex_parse(text, &parsed.txid) != 0 ||
        hex_parse(text + HEX_DIGITS + 1, &parsed.checksum) != 0) {
        return -EBADMSG;
    }
    *position = parsed;
    return 0;
}

void position_format(const struct position* position,
                     char text[POSITION_SIZE + 1])
{
    snprintf(text, POSITION_SIZE + 1, "%016" PRIx64 "/%016" PRIx64 "\n",
             position->txid, position->checksum);
}

enum position_order position_compare(const struct position* current,
                                     const struct position* wanted)
{
    if (current->txid != wanted->txid) {
        return current->txid < wanted->txid ? POSITION_BEFORE : POSITION_AFTER;
    }
    return current->checksum == wanted->checksum ? POSITION_SAME
                                                 : POSITION_FORKED;
}
