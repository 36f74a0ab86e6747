/* Replies in Erlang's own notation, to compare them with. */
#ifndef ECTO_LITEFS_REPLY_TEXT_H
#define ECTO_LITEFS_REPLY_TEXT_H

#include <stddef.h>

/* The term of a whole packet, without a blank: {7,{error,{busy,5,<<"...">>}}}.
 * Binaries of more than 64 bytes are <<size>>. The next call overwrites it. */
const char* reply_text(const char* reply, size_t size);

#endif
