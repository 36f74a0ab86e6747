/*
 * The port program: everything of the library that opens the database. A
 * process of its own, because a close() in the VM would drop the locks of the
 * Repo's connections, and because what hangs in LiteFS can be left behind.
 *
 * One request, one reply, until the input ends. docs/PROTOCOL.md has both.
 */
#include <ei.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "database.h"
#include "exit_code.h"
#include "packet.h"
#include "reply.h"
#include "request.h"
#include "stop.h"
#include "tracking.h"

enum { INPUT = STDIN_FILENO, OUTPUT = STDOUT_FILENO };

static struct database* database; /* NULL: closed */

/* -- the requests ---------------------------------------------------------- */

/* Each writes its reply into `reply` and returns its size; 0, where the
 * program is to end instead. */

static size_t failed(const struct request* request, struct failure* failure,
                     char* reply)
{
    return failure->code == FAILURE_STOPPED
               ? 0
               : reply_failure(reply, request->id, failure);
}

static size_t not_open(const struct request* request, char* reply)
{
    struct failure failure;

    failure_set(&failure, FAILURE_NOT_OPEN, 0, "no database is open");
    return failed(request, &failure, reply);
}

static size_t run_close(const struct request* request, char* reply)
{
    database_close(database);
    database = NULL;
    return reply_ok(reply, request->id);
}

static size_t run_open(const struct request* request, int64_t deadline_ms,
                       char* reply)
{
    struct failure failure;

    database_close(database);
    database = NULL;
    if (database_open(request->path, request->query_only, stop_pause,
                      deadline_ms, &database, &failure) != 0) {
        return failed(request, &failure, reply);
    }
    return reply_ok(reply, request->id);
}

static size_t run_write(const struct request* request, char* reply)
{
    struct failure failure;

    if (tracking_write(database, request->table, &request->row, &failure) !=
        0) {
        return failed(request, &failure, reply);
    }
    return reply_ok(reply, request->id);
}

static size_t run_read(const struct request* request, char* reply)
{
    struct failure failure;
    struct row row;
    bool found;

    if (tracking_read(database, request->table, &row, &found, &failure) != 0) {
        return failed(request, &failure, reply);
    }
    return reply_row(reply, request->id, found ? &row : NULL);
}

static size_t run(const struct request* request, char* reply)
{
    int64_t deadline_ms = clock_now_ms() + request->time_left_ms;

    switch (request->type) {
    case REQUEST_PING:
        return reply_ok(reply, request->id);
    case REQUEST_CLOSE:
        return run_close(request, reply);
    case REQUEST_OPEN:
        return run_open(request, deadline_ms, reply);
    default:
        break;
    }
    if (database == NULL) {
        return not_open(request, reply);
    }
    database_set_deadline(database, deadline_ms);
    return request->type == REQUEST_WRITE_ROW ? run_write(request, reply)
                                              : run_read(request, reply);
}

/* -- the loop -------------------------------------------------------------- */

static size_t bad_request(const struct request* request, char* reply)
{
    struct failure failure;

    failure_set(&failure, FAILURE_BAD_REQUEST, 0,
                "not a request, or a field out of bounds");
    return failed(request, &failure, reply);
}

/* Runs one packet. */
static enum exit_code serve(const char* packet, size_t size)
{
    static struct request request;
    static char reply[REPLY_MAX];
    int rv = request_decode(packet, size, &request);
    size_t reply_size;

    if (rv == REQUEST_NO_ID) {
        return EXIT_BAD_PACKET;
    }
    reply_size = rv == 0 ? run(&request, reply) : bad_request(&request, reply);
    if (reply_size == 0) {
        return EXIT_ENDED;
    }
    return packet_write(OUTPUT, reply, reply_size) == 0 ? EXIT_NOT_YET
                                                        : EXIT_OUTPUT;
}

static enum exit_code exit_code_of(enum packet_error error)
{
    switch (error) {
    case PACKET_CUT:
        return EXIT_CUT_PACKET;
    case PACKET_TOO_LARGE:
        return EXIT_BAD_PACKET;
    case PACKET_FAILED:
        return EXIT_INPUT;
    default:
        return EXIT_ENDED;
    }
}

static enum exit_code serve_all(void)
{
    static char packet[PACKET_MAX];
    enum exit_code code = EXIT_NOT_YET;

    while (code == EXIT_NOT_YET) {
        size_t size;
        int rv = packet_read(INPUT, packet, &size);

        code =
            rv == 0 ? serve(packet, size) : exit_code_of((enum packet_error)rv);
    }
    return code;
}

/* The VM leaves nothing open, but another parent might; and whatever is open
 * on the mount would keep LiteFS from unmounting. */
static void close_inherited(void)
{
#ifdef SYS_close_range
    syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0);
#endif
}

int main(int argc, char** argv)
{
    enum exit_code code;

    (void)argv;
    if (argc != 1 || isatty(INPUT)) {
        fputs(
            "ecto_litefs_port is a port program: the Erlang VM starts it, "
            "without arguments, and talks to it in packets\n",
            stderr);
        return EXIT_USAGE;
    }
    close_inherited();
    /* So would a working directory. */
    if (chdir("/") != 0 || stop_init(INPUT) != 0 || ei_init() != 0 ||
        database_init() != 0) {
        return EXIT_SYSTEM;
    }
    code = serve_all();
    database_close(database);
    return code;
}
