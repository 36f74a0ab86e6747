#include "failure.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>

static const char* const names[] = {
    [-FAILURE_BAD_REQUEST] = "bad_request",
    [-FAILURE_NOT_OPEN] = "not_open",
    [-FAILURE_MISSING] = "missing",
    [-FAILURE_NOT_A_FILE] = "not_a_file",
    [-FAILURE_CANNOT_OPEN] = "cannot_open",
    [-FAILURE_NOT_A_DATABASE] = "not_a_database",
    [-FAILURE_CORRUPT] = "corrupt",
    [-FAILURE_BUSY] = "busy",
    [-FAILURE_TIMEOUT] = "timeout",
    [-FAILURE_READ_ONLY] = "read_only",
    [-FAILURE_IO_ERROR] = "io_error",
    [-FAILURE_FULL] = "full",
    [-FAILURE_NO_MEMORY] = "no_memory",
    [-FAILURE_NOT_OUR_TABLE] = "not_our_table",
    [-FAILURE_BAD_ROW] = "bad_row",
    [-FAILURE_SQLITE] = "sqlite",
    [-FAILURE_STOPPED] = "stopped",
};

const char* failure_name(enum failure_code code)
{
    size_t at = (size_t)-code;

    assert(at < sizeof names / sizeof names[0] && names[at] != NULL);
    return names[at];
}

int failure_set(struct failure* failure, enum failure_code code, int extended,
                const char* text)
{
    failure->code = code;
    failure->extended = extended;
    snprintf(failure->text, sizeof failure->text, "%s", text);
    return code;
}
