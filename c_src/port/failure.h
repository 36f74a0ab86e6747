/*
 * Why a request failed: the closed list of docs/PROTOCOL.md.
 */
#ifndef ECTO_LITEFS_FAILURE_H
#define ECTO_LITEFS_FAILURE_H

/* What the functions of the port return, negative so that 0 is success. */
enum failure_code {
    FAILURE_BAD_REQUEST = -1,    /* not a request, or a field out of bounds */
    FAILURE_NOT_OPEN = -2,       /* no database is open */
    FAILURE_MISSING = -3,        /* no such file */
    FAILURE_NOT_A_FILE = -4,     /* a directory, a device, a pipe */
    FAILURE_CANNOT_OPEN = -5,    /* permissions, a dead mount, ... */
    FAILURE_NOT_A_DATABASE = -6, /* a file, but not one of SQLite's */
    FAILURE_CORRUPT = -7,        /* a database that is damaged */
    FAILURE_BUSY = -8,           /* another connection had it locked */
    FAILURE_TIMEOUT = -9,        /* a statement took longer than allowed */
    FAILURE_READ_ONLY = -10,     /* opened so, or LiteFS refused the write */
    FAILURE_IO_ERROR = -11,      /* LiteFS refuses a WAL write in this way */
    FAILURE_FULL = -12,          /* the disk */
    FAILURE_NO_MEMORY = -13,     /* the system gives no more */
    FAILURE_NOT_OUR_TABLE = -14, /* without the columns that 1.0 made */
    FAILURE_BAD_ROW = -15,       /* not as this library or 1.0 writes it */
    FAILURE_SQLITE = -16,        /* whatever else SQLite says */
    FAILURE_STOPPED = -17,       /* the program is to end; nobody is told */
};

enum { FAILURE_TEXT_MAX = 255 };

struct failure {
    enum failure_code code;
    int extended; /* SQLite's extended result code, 0 where it was not asked */
    char text[FAILURE_TEXT_MAX + 1]; /* for people; one line */
};

/* The atom of the reply. */
const char* failure_name(enum failure_code code);

/* Fills `failure` and returns `code`. A text that is too long is cut. */
int failure_set(struct failure* failure, enum failure_code code, int extended,
                const char* text);

#endif
