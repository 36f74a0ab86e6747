#include "info_url.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int code_errno(CURLUcode code)
{
    return code == CURLUE_OUT_OF_MEMORY ? -ENOMEM : -EINVAL;
}

/* "/litefs/events" -> "/litefs/info", for free(). */
static char* sibling(const char* path)
{
    static const char name[] = "info";
    const char* slash = strrchr(path, '/');
    size_t keep = slash ? (size_t)(slash - path) + 1 : 0;
    char* result = malloc(keep + sizeof(name));

    if (!result)
        return NULL;
    memcpy(result, path, keep);
    memcpy(result + keep, name, sizeof(name));
    return result;
}

static CURLUcode replace_path(CURLU* parts)
{
    char* old_path;
    CURLUcode code = curl_url_get(parts, CURLUPART_PATH, &old_path, 0);

    if (code)
        return code;
    char* path = sibling(old_path);
    curl_free(old_path);
    if (!path)
        return CURLUE_OUT_OF_MEMORY;
    code = curl_url_set(parts, CURLUPART_PATH, path, 0);
    free(path);
    return code;
}

/* curl's URL parser knows ftp, file and many more. */
static CURLUcode check_scheme(CURLU* parts)
{
    char* scheme;
    CURLUcode code = curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0);

    if (code)
        return code;
    if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
        code = CURLUE_UNSUPPORTED_SCHEME;
    curl_free(scheme);
    return code;
}

int info_url(const char* url, char** result)
{
    CURLU* parts = curl_url();
    char* text = NULL;
    CURLUcode code;

    if (!parts)
        return -ENOMEM;
    if ((code = curl_url_set(parts, CURLUPART_URL, url, 0)) ||
        (code = check_scheme(parts)) || (code = replace_path(parts)) ||
        (code = curl_url_set(parts, CURLUPART_QUERY, NULL, 0)) ||
        (code = curl_url_set(parts, CURLUPART_FRAGMENT, NULL, 0)) ||
        (code = curl_url_get(parts, CURLUPART_URL, &text, 0))) {
        curl_url_cleanup(parts);
        return code_errno(code);
    }
    *result = strdup(text);
    curl_free(text);
    curl_url_cleanup(parts);
    return *result ? 0 : -ENOMEM;
}
