#include "mountinfo.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mount_call.h"

static bool is_octal(char c)
{
    return c >= '0' && c <= '7';
}

/* The kernel writes blank, tab, newline and backslash as \ooo. */
static void unescape(const char* text, size_t length, char* out, size_t size)
{
    size_t used = 0;

    for (size_t i = 0; i < length && used + 1 < size; used++) {
        if (text[i] == '\\' && i + 3 < length && is_octal(text[i + 1]) &&
            is_octal(text[i + 2]) && is_octal(text[i + 3])) {
            out[used] = (char)((text[i + 1] - '0') << 6 |
                               (text[i + 2] - '0') << 3 | (text[i + 3] - '0'));
            i += 4;
        } else {
            out[used] = text[i];
            i += 1;
        }
    }
    out[used] = '\0';
}

bool mountinfo_match(const char* line, const struct mountinfo_key* key,
                     char* source, size_t size)
{
    uint64_t id;
    unsigned major;
    unsigned minor;
    const char* field;

    if (sscanf(line, "%" SCNu64 " %*u %u:%u ", &id, &major, &minor) != 3) {
        return false;
    }
    if (key->has_id ? id != key->mnt_id
                    : major != key->major || minor != key->minor) {
        return false;
    }
    /* Optional fields end with a lone dash; blanks in paths are escaped, so
     * the first one is it. Then come the file system type and the source. */
    field = strstr(line, " - ");
    field = field != NULL ? strchr(field + 3, ' ') : NULL;
    if (field == NULL) {
        return false;
    }
    field++;
    unescape(field, strcspn(field, " \n"), source, size);
    return true;
}

int mountinfo_source(const struct mountinfo_key* key, char* source, size_t size)
{
    int fd = mount_call_open(CALL_MOUNTINFO_OPEN, MOUNTINFO_PATH);
    FILE* file;
    char* line = NULL;
    size_t capacity = 0;
    int rv = -ENOENT;

    if (fd < 0) {
        return fd;
    }
    file = fdopen(fd, "r");
    if (file == NULL) {
        close(fd);
        return -ENOMEM;
    }
    while (getline(&line, &capacity, file) >= 0) {
        if (mountinfo_match(line, key, source, size)) {
            rv = 0;
        }
    }
    if (ferror(file)) {
        rv = -EIO;
    }
    free(line);
    fclose(file);
    return rv;
}
