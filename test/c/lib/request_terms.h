/*
 * Requests as Erlang would send them, and memory that ends where they end.
 */
#ifndef ECTO_LITEFS_REQUEST_TERMS_H
#define ECTO_LITEFS_REQUEST_TERMS_H

#include <ei.h>
#include <stddef.h>
#include <stdint.h>

#include "row.h"

/* Each begins a new packet in `x`, which term_free() ends. */
void term_begin(ei_x_buff* x, uint64_t id, long long time_left_ms);
void term_text(ei_x_buff* x, const char* text);
void term_open(ei_x_buff* x, uint64_t id, const char* path, const char* mode);
void term_read_row(ei_x_buff* x, uint64_t id, const char* table);
void term_write_row(ei_x_buff* x, uint64_t id, const char* table,
                    const struct row* row);
void term_word(ei_x_buff* x, uint64_t id, const char* word);
void term_row(ei_x_buff* x, const struct row* row);
void term_free(ei_x_buff* x);

/* How much time the four of them leave; longer than a test may take. */
enum { TERM_TIME_LEFT_MS = 60000 };

/* A row with all its columns. */
extern const struct row full_row;

/* A copy behind whose last byte nothing can be read. */
char* guarded_copy(const char* bytes, size_t size);
void guarded_free(char* copy, size_t size);

#endif
