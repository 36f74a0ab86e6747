/*
 * A scripted LiteFS: an HTTP server on 127.0.0.1 in a thread of its own.
 *
 * Every GET of /events plays the script that is set at that moment and then
 * keeps the connection open, unless a step ended it. fake_litefs_play() plays
 * more steps on the connections that are open. /info is answered, left
 * unanswered or hung up on. Everything may be called from any thread.
 */
#ifndef FAKE_LITEFS_H
#define FAKE_LITEFS_H

#include "fake_steps.h"

struct fake_litefs;

enum fake_info { FAKE_INFO_ANSWER, FAKE_INFO_HANG, FAKE_INFO_HANG_UP };

/* Aborts when there is no socket or thread: nothing could be tested. */
struct fake_litefs* fake_litefs_open(void);
void fake_litefs_close(struct fake_litefs* fake);

/* "http://127.0.0.1:PORT/events" */
const char* fake_litefs_url(const struct fake_litefs* fake);

/* What the next connections get; at the most 15 steps, copied. */
void fake_litefs_script(struct fake_litefs* fake,
                        const struct fake_step* script);
/* More for the connections that are open now. */
void fake_litefs_play(struct fake_litefs* fake, const struct fake_step* steps);
/* FAKE_INFO_ANSWER answers those that hang, too. */
void fake_litefs_info(struct fake_litefs* fake, enum fake_info info);
/* What the next answers to it say; the text must outlive the server. */
void fake_litefs_info_body(struct fake_litefs* fake, const char* body);

/* Refuse connections from now on, or accept them again, on the same port.
 * Open connections stay. */
void fake_litefs_refuse(struct fake_litefs* fake);
void fake_litefs_accept(struct fake_litefs* fake);

/* GETs of /events, GETs of /info, connections open now. */
int fake_litefs_events_requests(struct fake_litefs* fake);
int fake_litefs_info_requests(struct fake_litefs* fake);
int fake_litefs_connections(struct fake_litefs* fake);

#endif
