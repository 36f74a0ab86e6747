/* The URL of the liveness probe, which lies beside the event stream. */
#ifndef ECTO_LITEFS_INFO_URL_H
#define ECTO_LITEFS_INFO_URL_H

/* `url` with its last path segment replaced by "info" and without query and
 * fragment. 0 and a string for free(), -EINVAL (not an http or https URL) or
 * -ENOMEM. */
int info_url(const char* url, char** result);

#endif
