/* Between role.c, which keeps the state, role_life.c, which says how long it
 * holds, and role_decide.c, which judges it. Nobody else includes this. */
#ifndef ECTO_LITEFS_ROLE_RULES_H
#define ECTO_LITEFS_ROLE_RULES_H

#include "role.h"

/* While the stream is down the mount source looks this often. */
enum { ROLE_DOWN_POLL_MS = 1000 };

/* What the evidence says, before the grace of rule 5. `hostname` points into
 * the state. */
struct role_verdict {
    enum role role;
    enum role_source source;
    const char* hostname;
};

struct role_verdict role_decide(const struct role_state* state);

/* What has run out by now. A set of enum role_effect bits. */
unsigned role_expire(struct role_state* state, int64_t now_ms);

/* Whether the mount sample may speak for the role (rules 3 and 4). */
bool role_sample_counts(const struct role_state* state);

#endif
