/*
 * The decoder of the port program's requests; `make -C c_src fuzz` builds and
 * runs it. Its seeds are what term_to_binary/1 makes of a request.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "packet.h"
#include "request.h"

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size);

enum { PAGE = 4096 };

/* The end of the input is the end of what can be read. ASan would do for our
 * own code, but ei is not compiled with it. */
static char* end_of_memory(void)
{
    static char* end;

    if (end == NULL) {
        char* start = mmap(NULL, PACKET_MAX + PAGE, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        end = start + PACKET_MAX;
        if (start == MAP_FAILED || mprotect(end, PAGE, PROT_NONE) != 0)
            abort();
    }
    return end;
}

static void check_text(const char* text, size_t max)
{
    if (strnlen(text, max + 1) > max)
        abort();
}

/* Whatever comes in, what is decoded keeps its bounds. */
static void check(const struct request* request)
{
    if (request->time_left_ms < 0 || request->time_left_ms > REQUEST_TIME_MAX)
        abort();
    if (request->type == REQUEST_OPEN) {
        check_text(request->path, PATH_MAX - 1);
        if (request->path[0] != '/')
            abort();
    }
    if (request->type == REQUEST_READ_ROW ||
        request->type == REQUEST_WRITE_ROW) {
        check_text(request->table, REQUEST_TABLE_MAX);
        if (strpbrk(request->table, "\"'; \n") != NULL ||
            request->table[0] == '\0')
            abort();
    }
    if (request->type == REQUEST_WRITE_ROW) {
        check_text(request->row.node, ROW_NODE_MAX);
        check_text(request->row.hostname, ROW_HOSTNAME_MAX);
        check_text(request->row.term, ROW_TERM_SIZE);
        check_text(request->row.version, ROW_VERSION_MAX);
        if (request->row.updated_at < 0 || request->row.started_at < 0)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size)
{
    static struct request request;
    char* copy;

    if (size > PACKET_MAX)
        return 0;
    copy = end_of_memory() - size;
    memcpy(copy, bytes, size);
    memset(&request, 0xff, sizeof request);
    if (request_decode(copy, size, &request) == 0)
        check(&request);
    return 0;
}
