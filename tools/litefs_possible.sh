# Can real LiteFS be built and mounted here? Each function prints the reason
# why not, or nothing. Sourced.

why_no_go() {
    local version major minor
    if ! command -v go >/dev/null; then
        echo "Go >= 1.21 is missing (Debian 12's own golang is 1.19: take it from go.dev)"
        return
    fi
    version=$(go env GOVERSION 2>/dev/null) || version=
    version=${version#go}
    IFS=. read -r major minor _ <<<"$version"
    minor=${minor%%[^0-9]*}
    if [ "${major:-0}" -lt 1 ] || { [ "$major" -eq 1 ] && [ "${minor:-0}" -lt 21 ]; }; then
        echo "Go is ${version:-of an unknown version}, and LiteFS needs >= 1.21"
    fi
}

why_no_litefs() {
    if [ ! -c /dev/fuse ]; then
        echo "no /dev/fuse"
    elif [ ! -r /dev/fuse ] || [ ! -w /dev/fuse ]; then
        echo "/dev/fuse may not be opened by this user"
    elif ! command -v fusermount3 >/dev/null; then
        echo "fusermount3 is missing (package fuse3)"
    else
        why_no_go
    fi
}
