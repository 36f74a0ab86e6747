#include "role.h"

/* No default in these switches: the compiler must complain about a missing
 * name. What follows them is for values that are none of the enum's. */

const char* role_name(enum role role)
{
    switch (role) {
    case ROLE_UNKNOWN:
        return "unknown";
    case ROLE_PRIMARY:
        return "primary";
    case ROLE_REPLICA:
        return "replica";
    case ROLE_NO_PRIMARY:
        return "no_primary";
    case ROLE_NOT_LITEFS:
        return "not_litefs";
    }
    return "invalid";
}

const char* role_source_name(enum role_source source)
{
    switch (source) {
    case SOURCE_NONE:
        return "none";
    case SOURCE_STREAM:
        return "stream";
    case SOURCE_MOUNT:
        return "mount";
    case SOURCE_MANUAL:
        return "manual";
    }
    return "invalid";
}

const char* mount_kind_name(enum mount_kind kind)
{
    switch (kind) {
    case MOUNT_UNSEEN:
        return "unseen";
    case MOUNT_LITEFS:
        return "litefs";
    case MOUNT_PLAIN:
        return "plain";
    case MOUNT_MISSING:
        return "missing";
    case MOUNT_DEAD:
        return "dead";
    case MOUNT_UNREADABLE:
        return "unreadable";
    case MOUNT_TIMEOUT:
        return "timeout";
    }
    return "invalid";
}

const char* stream_state_name(enum stream_state state)
{
    switch (state) {
    case STREAM_UNSEEN:
        return "unseen";
    case STREAM_OFF:
        return "off";
    case STREAM_UP:
        return "up";
    case STREAM_DOWN:
        return "down";
    }
    return "invalid";
}
