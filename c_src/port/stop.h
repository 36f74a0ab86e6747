/*
 * Why the program is to end: its input has ended, or SIGTERM, SIGINT or SIGHUP
 * has come.
 *
 * The signals are blocked, and come through only in the waits below, so that
 * none is missed between a look and a wait, and none interrupts SQLite. There
 * is one input, because signals belong to the whole process, too. A call into
 * a hung LiteFS sees neither: only SIGKILL ends that.
 */
#ifndef ECTO_LITEFS_STOP_H
#define ECTO_LITEFS_STOP_H

#include <stdbool.h>

/* 0 or a negative errno. */
int stop_init(int input);

/* Waits until the input has bytes or has ended; false when a signal asks the
 * program to end, now or before. */
bool stop_wait_input(void);

/* Waits for `ms` (0: only looks); true as soon as the program is to end. Bytes
 * that nobody has read do not hide the end of the input. */
bool stop_pause(int ms);

#endif
