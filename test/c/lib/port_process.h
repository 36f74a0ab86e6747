/*
 * The port program as a process of its own, with this test in the VM's place.
 */
#ifndef ECTO_LITEFS_PORT_PROCESS_H
#define ECTO_LITEFS_PORT_PROCESS_H

#include <ei.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct port_process {
    pid_t pid;
    int input;  /* what is written here it reads; -1 when closed */
    int output; /* what it writes is read here; -1 when closed */
};

void port_process_start(struct port_process* process);

/* Kills it if it still runs. */
void port_process_end(struct port_process* process);

/* A packet with this content; ends `x`. */
void port_process_send(struct port_process* process, ei_x_buff* x);
void port_process_send_bytes(struct port_process* process, const char* bytes,
                             size_t size);

/* The next reply (reply_text.h). NULL where the output has ended. */
const char* port_process_receive(struct port_process* process);

/* Sends and checks the answer. */
void port_process_ask(struct port_process* process, ei_x_buff* x,
                      const char* wanted);

void port_process_close_input(struct port_process* process);
void port_process_close_output(struct port_process* process);

/* Waits for its end: its exit code, or 128 + the signal that ended it. */
int port_process_wait(struct port_process* process);

/* How many descriptors it has open, without 0, 1 and 2. */
int port_process_descriptors(const struct port_process* process);

#endif
