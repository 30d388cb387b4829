# SPDX-License-Identifier: BSD-2-Clause
# The demo, read by ../quickstart: a redis-server grows, is looked at while it
# runs, runs out of memory, and is looked at through its core.
# shellcheck shell=sh disable=SC3045 # dash knows ulimit -c
# shellcheck disable=SC2154 # top, build, prefix, say, die: see quickstart

memtrace=$prefix/bin/memtrace
work=$(mktemp -d "$build/demo.XXXXXX")
socket=$work/redis.sock
server=
watcher=

demo_cleanup() {
    status=$?
    trap - EXIT INT TERM HUP
    for pid in $watcher $server; do
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    exit $status
}
trap demo_cleanup EXIT
trap 'exit 130' INT TERM HUP

# find_core PID: where the kernel, as core_pattern says, left PID's core.
find_core() {
    pattern=$(cat /proc/sys/kernel/core_pattern)
    case $pattern in
    '|'*)
        command -v coredumpctl >/dev/null 2>&1 || return 1
        # systemd-coredump writes in its own time.
        for _ in 1 2 3 4 5 6 7 8 9 10; do
            coredumpctl -q dump "$1" -o "$work/core" >/dev/null 2>&1 && break
            sleep 1
        done
        [ -s "$work/core" ] && echo "$work/core"
        ;;
    /*) find "$(dirname "$pattern")" -maxdepth 1 -type f -newer "$work/start" \
        -name "*$1*" 2>/dev/null | head -n 1 | grep . ;;
    *) find "$work" -maxdepth 1 -type f -newer "$work/start" -name 'core*' |
        head -n 1 | grep . ;;
    esac
}

# cores_work: does a process that dies here leave a core that we can find?
cores_work() {
    touch -d '1 second ago' "$work/start"
    # shellcheck disable=SC2016 # $$ is the inner shell's
    { sh -c 'cd "$1" && ulimit -c unlimited && echo $$ >probe && kill -SEGV $$' \
        probe "$work" || true; } >/dev/null 2>&1
    [ -s "$work/probe" ] && core=$(find_core "$(cat "$work/probe")") &&
        rm -f "$core"
}

wait_for() { # wait_for SECONDS COMMAND...
    tries=$(($1 * 10))
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.1
    done
}

gone() {
    ! kill -0 "$1" 2>/dev/null || grep -q '^State:.*Z' "/proc/$1/status"
}

in_gdb() { # in_gdb WORDS OF GDB'S COMMAND LINE...
    printf '$ memtrace gdb'
    for word; do
        case $word in
        *' '*) printf ' "%s"' "$word" ;;
        *) printf ' %s' "$word" ;;
        esac
    done
    echo
    # After `make install` into /usr or /usr/local, plain gdb has the commands.
    DEBUGINFOD_URLS='' "$memtrace" gdb -q -batch -nx "$@" \
        >"$work/gdb.log" 2>&1 </dev/null || true
    grep -v -e '^\[New LWP' -e '^\[Thread debugging' -e '^\[Inferior' \
            -e '^Using host libthread_db' -e '^warning: ' \
            -e 'No such file or directory' -e '^\[Current thread' \
            "$work/gdb.log" || true
    grep -q Traceback "$work/gdb.log" || die "GDB printed no report"
}

# Debian's redis-server is this file under another name; its package would
# also start a service, which a demo should not.
program=$(readlink -f "$(command -v redis-server || command -v redis-check-rdb)")
ln -s "$program" "$work/redis-server"
# Its own report of a crash is not wanted; redis before 6.2 has no such option,
# and names what it does not know. (--version is not an option there.)
no_report='--crash-log-enabled no'
# shellcheck disable=SC2086 # two words
if "$work/redis-server" $no_report --version 2>&1 </dev/null |
    grep -q crash-log-enabled; then
    no_report=
fi

say "1. A redis-server on the traced heap, allowed 96 MiB of it"
if cores_work; then
    cores=yes
else
    cores=
fi
touch -d '1 second ago' "$work/start"
printf '$ memtrace run --heap-limit 96M -- redis-server ... &\n'
(
    cd "$work" || exit
    ulimit -c unlimited 2>/dev/null || true
    # shellcheck disable=SC2086 # two words
    exec "$memtrace" run --heap-limit 96M -- "$work/redis-server" --port 0 \
        --unixsocket "$socket" --save '' --appendonly no $no_report
) >"$work/redis.log" 2>&1 </dev/null &
server=$!
wait_for 20 redis-cli -s "$socket" ping || {
    tail -n 5 "$work/redis.log"
    die "redis-server did not start"
}

say "2. Some clients fill it"
load="-t set,lpush,hset -n 60000 -r 60000 -d 100"
echo "$ redis-benchmark $load ..."
# shellcheck disable=SC2086 # a list of words
redis-benchmark -s "$socket" -q $load | tr '\r' '\n' |
    grep 'requests per second'

say "3. Who holds the memory?  Asked from GDB, while it runs"
[ "${program##*/}" = redis-server ] ||
    echo "(Debian's file of redis-server is called ${program##*/}.)"
in_gdb -p "$server" -ex 'memtrace show --top 3'

say "4. The same from the shell; the server is not even stopped"
echo "$ memtrace show --top 3 $server"
"$memtrace" show --top 3 "$server"

say "5. The clients go on until the 96 MiB are full"
if [ -z "$cores" ]; then
    echo "(No core files here: core_pattern is \"$(cat \
        /proc/sys/kernel/core_pattern)\", the limit $(ulimit -Hc)." \
        "GDB's gcore makes the core instead.)"
    gdb -q -batch -nx -p "$server" -ex 'handle SIGPIPE nostop noprint pass' \
        -ex 'handle SIGABRT stop nopass' -ex continue \
        -ex "gcore $work/core" >"$work/gcore.log" 2>&1 </dev/null &
    watcher=$!
    wait_for 30 grep -q '^TracerPid:[[:space:]]*[1-9]' "/proc/$server/status" ||
        die "GDB cannot attach to $server: $(tail -n 1 "$work/gcore.log")"
fi
redis-benchmark -s "$socket" -q -t set -n 2000000 -r 100000000 -d 400 \
    >"$work/benchmark.log" 2>&1 </dev/null || true
if [ -n "$cores" ]; then
    wait_for 60 gone "$server" || die "the server did not die"
    core=$(find_core "$server") || die "the server left no core in $work"
else
    wait "$watcher" || true
    watcher=
    core=$work/core
    [ -s "$core" ] || die "gcore failed: $(tail -n 1 "$work/gcore.log")"
fi
grep -h -i 'out of memory' "$work/redis.log" | head -n 2
ls -sh "$core"

say "6. What filled it?  Asked of the core that it left"
echo "$ memtrace show --top 3 $core"
"$memtrace" show --top 3 "$core"

say "7. The same in GDB"
in_gdb "$program" "$core" -ex 'memtrace show --top 3'

say "Done"
echo "The core and the logs are in $work,"
echo "the command is $memtrace."
