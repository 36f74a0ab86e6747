/*
 * How the program ends. Whatever the code, the database is closed before.
 *
 * The numbers begin where neither a signal (128 + n) nor the dynamic linker
 * (127) nor an errno of a failed exec has its own.
 */
#ifndef ECTO_LITEFS_EXIT_CODE_H
#define ECTO_LITEFS_EXIT_CODE_H

enum exit_code {
    EXIT_NOT_YET = -1,     /* never seen outside: it goes on */
    EXIT_ENDED = 0,        /* its input has ended, or SIGTERM, SIGINT, SIGHUP */
    EXIT_USAGE = 200,      /* not started as a port */
    EXIT_BAD_PACKET = 201, /* no request id in it, or too large */
    EXIT_CUT_PACKET = 202, /* the input ended inside a packet */
    EXIT_INPUT = 203,      /* the input cannot be read */
    EXIT_OUTPUT = 204,     /* a reply cannot be written */
    EXIT_SYSTEM = 205,     /* the system refused something at the start */
};

#endif
