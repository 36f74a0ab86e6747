/*
 * Lines of LiteFS's event stream and bodies of /info; `make -C c_src fuzz`
 * builds and runs it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "event.h"

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size);

/* Whatever comes in, a published string is terminated and clean. */
static void check_text(const char* text, size_t max)
{
    size_t length = strnlen(text, max + 1);

    if (length > max)
        abort();
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] < 0x20)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size)
{
    struct event event;
    char hostname[HOSTNAME_MAX + 1];

    if (event_parse_info((const char*)bytes, size, hostname))
        check_text(hostname, HOSTNAME_MAX);
    event_parse((const char*)bytes, size, &event);
    if (event.type == EVENT_INIT || event.type == EVENT_PRIMARY_CHANGE)
        check_text(event.primary.hostname, HOSTNAME_MAX);
    if (event.type == EVENT_TX)
        check_text(event.position.db, DB_NAME_MAX);
    return 0;
}
