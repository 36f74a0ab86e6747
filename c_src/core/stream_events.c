#include <string.h>

#include "clock.h"
#include "event.h"
#include "stream_state.h"

/* --- GET /info ---------------------------------------------------------- */

/* One that begins now: an answer that is under way may be of before. */
static void want_probe(struct stream_source* source)
{
    source->probe_wanted = true;
    source->probe_due_ms = clock_now_ms();
}

void stream_sign_of_life(struct stream_source* source)
{
    if (!source->probing)
        source->probe_due_ms =
            clock_now_ms() + (source->probe_wanted ? 0 : STREAM_PROBE_MS);
}

/* --- towards the cell --------------------------------------------------- */

void stream_post(struct stream_source* source, const struct role_input* input)
{
    unsigned effects = status_cell_post(source->cell, input, NULL);

    if ((effects & EFFECT_PROBE) && source->hint)
        source->hint(source->hint_ctx);
}

static void post_opened(struct stream_source* source)
{
    struct role_input input = {.type = INPUT_STREAM_OPENED};

    memcpy(input.opened.litefs_id, source->litefs_id,
           sizeof(input.opened.litefs_id));
    source->posted_down = false;
    stream_post(source, &input);
}

static void post_primary(struct stream_source* source,
                         const struct event* event)
{
    struct role_input input = {.type = INPUT_STREAM_PRIMARY};

    input.primary.is_primary = event->primary.is_primary;
    memcpy(input.primary.hostname, event->primary.hostname,
           sizeof(input.primary.hostname));
    if (event->primary.is_primary && !source->named)
        want_probe(source);
    stream_post(source, &input);
}

void stream_post_down(struct stream_source* source)
{
    if (source->posted_down)
        return;
    source->posted_down = true;
    stream_post(source, &(struct role_input){.type = INPUT_STREAM_DOWN});
}

/* --- lines --------------------------------------------------------------- */

/* Before the init line nothing proves that this is LiteFS: false unless the
 * line is one, or says nothing. */
static bool first_event(struct stream_source* source, const struct event* event)
{
    if (event->type == EVENT_IGNORED)
        return true;
    if (event->type != EVENT_INIT)
        return false;
    source->init_due_ms = 0;
    source->live_ms = clock_now_ms();
    want_probe(source);
    post_opened(source);
    post_primary(source, event);
    return true;
}

static void later_event(struct stream_source* source, const struct event* event)
{
    switch (event->type) {
    case EVENT_INIT:
    case EVENT_PRIMARY_CHANGE:
        post_primary(source, event);
        break;
    case EVENT_TX:
        status_cell_post_position(source->cell, &event->position);
        break;
    case EVENT_IGNORED:
    case EVENT_MALFORMED:
        break;
    }
}

bool stream_on_line(void* ctx, const char* line, size_t size)
{
    struct stream_source* source = ctx;
    struct event event;

    event_parse(line, size, &event);
    if (event.type == EVENT_MALFORMED)
        atomic_fetch_add(&source->malformed, 1);
    if (!source->live_ms)
        return first_event(source, &event);
    stream_sign_of_life(source);
    later_event(source, &event);
    return true;
}
