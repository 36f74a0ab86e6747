#include "event.h"

#include <jansson.h>
#include <string.h>

static bool blank(const char* line, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (!strchr(" \t\r", line[i]) || line[i] == '\0')
            return false;
    }
    return true;
}

static bool nesting_bounded(const char* line, size_t size)
{
    int depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < size; i++) {
        char c = line[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || c == '['))
            depth++;
        else if (!in_string && (c == '}' || c == ']'))
            depth--;
        if (depth > EVENT_DEPTH_MAX)
            return false;
    }
    return true;
}

/* A string without control characters; NULL for anything else. */
static const char* text(const json_t* value)
{
    const char* string = json_string_value(value);
    if (!string)
        return NULL;
    for (size_t i = 0; i < json_string_length(value); i++) {
        unsigned char c = (unsigned char)string[i];
        if (c < 0x20 || c == 0x7f)
            return NULL;
    }
    return string;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

/* Exactly 16 lower-case hex digits, as LiteFS writes them. */
static bool parse_hex(const json_t* value, uint64_t* number)
{
    const char* string = json_string_value(value);
    if (!string || json_string_length(value) != 16)
        return false;
    *number = 0;
    for (int i = 0; i < 16; i++) {
        int digit = hex_digit(string[i]);
        if (digit < 0)
            return false;
        *number = *number << 4 | (uint64_t)digit;
    }
    return true;
}

/* A hostname that is kept; NULL for anything else. */
static const char* host(const json_t* value)
{
    const char* name = text(value);
    return name && strlen(name) <= HOSTNAME_MAX ? name : NULL;
}

static void parse_primary(const json_t* data, enum event_type type,
                          struct event* event)
{
    const json_t* is_primary = json_object_get(data, "isPrimary");
    const json_t* hostname = json_object_get(data, "hostname");
    const char* name = hostname ? host(hostname) : "";

    if (!json_is_boolean(is_primary) || !name)
        return;
    event->type = type;
    event->primary.is_primary = json_is_true(is_primary);
    memcpy(event->primary.hostname, name, strlen(name) + 1);
}

static void parse_tx(const json_t* root, const json_t* data,
                     struct event* event)
{
    const char* db = text(json_object_get(root, "db"));
    struct db_position position = {.db = ""};

    if (!db || *db == '\0' ||
        !parse_hex(json_object_get(data, "txID"), &position.txid) ||
        !parse_hex(json_object_get(data, "postApplyChecksum"),
                   &position.checksum))
        return;
    if (strlen(db) > DB_NAME_MAX) {
        event->type = EVENT_IGNORED;
        return;
    }
    memcpy(position.db, db, strlen(db) + 1);
    event->type = EVENT_TX;
    event->position = position;
}

static void parse_object(const json_t* root, struct event* event)
{
    const char* type = text(json_object_get(root, "type"));
    const json_t* data = json_object_get(root, "data");

    if (!type)
        return;
    if (!strcmp(type, "init"))
        parse_primary(data, EVENT_INIT, event);
    else if (!strcmp(type, "primaryChange"))
        parse_primary(data, EVENT_PRIMARY_CHANGE, event);
    else if (!strcmp(type, "tx"))
        parse_tx(root, data, event);
    else
        event->type = EVENT_IGNORED;
}

/* NULL where it is no JSON. An integer of more than 63 bits must not spoil the
 * line, because no number matters to us. Such a one is read as a real, which
 * takes longer, so that the others are not. */
static json_t* load(const char* bytes, size_t size)
{
    if (!nesting_bounded(bytes, size))
        return NULL;
    json_t* root = json_loadb(bytes, size, JSON_ALLOW_NUL, NULL);
    if (root)
        return root;
    return json_loadb(bytes, size, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL,
                      NULL);
}

void event_parse(const char* line, size_t size, struct event* event)
{
    memset(event, 0, sizeof(*event));
    event->type = EVENT_MALFORMED;
    if (blank(line, size)) {
        event->type = EVENT_IGNORED;
        return;
    }
    json_t* root = load(line, size);
    if (!root)
        return;
    parse_object(root, event);
    json_decref(root);
}

bool event_parse_info(const char* body, size_t size,
                      char hostname[HOSTNAME_MAX + 1])
{
    json_t* root = load(body, size);
    const json_t* primary = json_object_get(root, "primary");
    const char* name = host(json_object_get(primary, "hostname"));
    bool own = name && *name != '\0' &&
               json_is_true(json_object_get(root, "isPrimary"));

    if (own)
        memcpy(hostname, name, strlen(name) + 1);
    json_decref(root);
    return own;
}
