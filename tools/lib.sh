# Steps with a log file and one line of result each. Sourced by the tools.
#
# A step that counts tests prints, or has a runner that prints, its figures;
# counts() below knows the forms. The sums are kept for the closing line.

export LC_ALL=C.UTF-8
export LANG=C.UTF-8
# rebar3 and Mix look at it: no colours in log files.
export TERM=${TERM:-dumb}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

passed=0 failed=0 skipped=0
bad_steps=()
skip_reasons=()

say() {
    printf '%s\n' "$*"
}

# sum FILE: "passed failed skipped" over every runner's own summary.
#   libcheck  100%: Checks: 12, Failures: 0, Errors: 0
#   EUnit     All 12 tests passed. | Test passed. | Failed: 1.  Skipped: 0.  Passed: 11.
#             12 tests, 0 failures, 1 skipped, 1 cancelled
#   CT        All 12 tests passed. | Failed 1 tests. Skipped 2 (1, 1) tests. Passed 9 tests.
#   ours      12 passed, 0 failed, 0 skipped
sum() {
    awk '
    function number(text, pattern) {
        if (!match(text, pattern)) return 0
        text = substr(text, RSTART, RLENGTH)
        gsub(/[^0-9]/, " ", text)
        return text + 0
    }
    { gsub(/\033\[[0-9;]*m/, "") }
    /Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+/ {
        bad = number($0, "Failures: [0-9]+") + number($0, "Errors: [0-9]+")
        p += number($0, "Checks: [0-9]+") - bad; f += bad; next
    }
    /^ *[0-9]+ tests?, [0-9]+ failures?/ {
        bad = number($0, "[0-9]+ failure") + number($0, "[0-9]+ cancelled")
        skip = number($0, "[0-9]+ skipped")
        p += number($0, "[0-9]+ test") - number($0, "[0-9]+ failure") - skip
        f += bad; s += skip; next
    }
    /^ *(All )?[0-9]+ tests passed\./ { p += number($0, "[0-9]+ tests"); next }
    /^ *Test passed\./ { p += 1; next }
    /^ *Failed: [0-9]+\. +Skipped: [0-9]+\. +Passed: [0-9]+\./ {
        p += number($0, "Passed: [0-9]+"); f += number($0, "Failed: [0-9]+")
        s += number($0, "Skipped: [0-9]+"); next
    }
    /^One or more tests were cancelled\./ { f += 1; next }
    /^(Failed|Skipped|Passed) [0-9]+ .*tests\./ {
        p += number($0, "Passed [0-9]+"); f += number($0, "Failed [0-9]+")
        s += number($0, "Skipped [0-9]+"); next
    }
    /[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped/ {
        p += number($0, "[0-9]+ passed"); f += number($0, "[0-9]+ failed")
        s += number($0, "[0-9]+ skipped"); next
    }
    END { print p + 0, f + 0, s + 0 }' "$1"
}

# While a step runs: seconds and its newest line of output, so that nobody
# wonders whether it hangs. One line that is rewritten on a terminal, one line
# every 30 s elsewhere.
heartbeat() {
    local log=$1 start=$SECONDS every=30
    [ -t 1 ] && every=1
    # its output closed, or a reader of ours would wait for the last sleep
    while sleep "$every" >/dev/null 2>&1; do
        local last
        last=$(tail -c 400 "$log" 2>/dev/null | tr '\r' '\n' |
               sed 's/\x1b\[[0-9;]*m//g' | grep -v '^ *$' | tail -n 1 |
               cut -c 1-56) || true
        if [ -t 1 ]; then
            printf '\r\033[K   %4d s  %s' $((SECONDS - start)) "$last"
        else
            printf '   %4d s  %s\n' $((SECONDS - start)) "$last"
        fi
    done
}

# run LOG COMMAND...: its exit status, output in LOG, with a heartbeat.
run() {
    local log=$1 status=0
    shift
    mkdir -p "$(dirname "$log")"
    : >"$log"
    heartbeat "$log" &
    local beat=$!
    "$@" >"$log" 2>&1 </dev/null || status=$?
    kill "$beat" 2>/dev/null || true
    wait "$beat" 2>/dev/null || true
    [ -t 1 ] && printf '\r\033[K'
    return "$status"
}

# The lines that say what failed, then the end: a test may print a lot more
# after its failure than anybody wants to see here.
show_failure() {
    local title=$1 log=$2
    say "---- $title: what failed, and the end of ${log#"$root"/}"
    # A log that a case prints (LiteFS's lines begin with their time) is no
    # verdict. awk reads to the end, where head would end the tool by SIGPIPE.
    sed 's/\x1b\[[0-9;]*m//g' "$log" |
        awk '/^time=/ { next }
             /FAILED|Failure\/Error|\*failed\*|error: |:[EF]:/ { left = 7 }
             left > 0 && shown < 80 { print "    " NR ": " substr($0, 1, 200)
                                      left--; shown++ }'
    say "    ..."
    tail -n 40 "$log" | cut -c 1-200 | sed 's/^/    /'
    say "----"
}

# step_check TITLE COMMAND...: a step that passes or fails as a whole.
step_check() {
    local title=$1 start=$SECONDS
    shift
    local log=$root/logs/$suite/${title//[^a-zA-Z0-9]/-}.log
    say "== $title"
    if run "$log" "$@"; then
        # what a step wants to be seen although it passed
        grep '^NOTE: ' "$log" | sed 's/^NOTE: /   /' || true
        say "   ok ($((SECONDS - start)) s)"
        passed=$((passed + 1))
    else
        show_failure "$title" "$log"
        say "   FAILED ($((SECONDS - start)) s)"
        failed=$((failed + 1))
        bad_steps+=("$title")
    fi
}

# step_tests TITLE COMMAND...: a runner of tests; its own figures are summed.
# A runner that ran nothing and says nothing of a skip has failed.
step_tests() {
    local title=$1 start=$SECONDS status=0 p f s
    shift
    local log=$root/logs/$suite/${title//[^a-zA-Z0-9]/-}.log
    say "== $title"
    run "$log" "$@" || status=$?
    read -r p f s < <(sum "$log")
    if [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then
        f=1
    fi
    if [ "$p" -eq 0 ] && [ "$f" -eq 0 ] && [ "$s" -eq 0 ]; then
        say "   it ran no test at all" | tee -a "$log"
        f=1
    fi
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    if [ "$f" -ne 0 ]; then
        show_failure "$title" "$log"
        bad_steps+=("$title")
        say "   FAILED: $p passed, $f failed, $s skipped ($((SECONDS - start)) s)"
        return 0
    fi
    local verdict=ok reason
    [ "$p" -gt 0 ] || verdict=SKIPPED
    if [ "$s" -gt 0 ]; then
        reason=$(grep -i -m 1 -E '^skipped: [^0-9]' "$log") || true
        skip_reasons+=("$title: $s${reason:+ (${reason#*: })}")
    fi
    say "   $verdict: $p passed, $f failed, $s skipped ($((SECONDS - start)) s)"
}

# step_skip TITLE REASON: loud, and never in CI.
step_skip() {
    local title=$1 reason=$2
    say "== $title"
    if [ -n "${CI:-}" ]; then
        say "   FAILED: $reason, and CI must not skip this"
        failed=$((failed + 1))
        bad_steps+=("$title")
    else
        say "   SKIPPED: $reason"
        skipped=$((skipped + 1))
        skip_reasons+=("$title: $reason")
    fi
}

# The closing line, always the last one; the exit status is its verdict.
closing_line() {
    local line
    say ""
    for line in ${skip_reasons[@]+"${skip_reasons[@]}"}; do
        say "SKIPPED  $line"
    done
    for line in ${bad_steps[@]+"${bad_steps[@]}"}; do
        say "FAILED   $line"
    done
    say "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
