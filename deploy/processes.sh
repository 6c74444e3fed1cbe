# shellcheck shell=bash
# The processes of deploy/up: started in sessions of their own, recorded with the moment of their start, so that a number
# that was given to somebody else's process in the meantime is never signalled.
#
# Needs $state, the folder of all files. $state/processes holds lines of `NAME PID STARTED PORT…`.
: "${state:?}"
boot=$(cut -c1-8 /proc/sys/kernel/random/boot_id)

# When a process was started, in clock ticks since this boot; empty when there is no such process.
started() {
    local ticks
    ticks=$(sed -n 's/.*) //p' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20)
    printf '%s' "${ticks:+$ticks@$boot}"
}

# Succeeds while the recorded process runs.
is_ours() {
    local pid=$1 since=$2
    [[ -n $since && $(started "$pid") == "$since" ]] && [[ $(sed -n 's/.*) //p' "/proc/$pid/stat" 2>/dev/null) != Z* ]]
}

# Succeeds while the recorded process has ended and children of it run, as the workers of a killed NGINX do. They keep its
# number as their group's, and the kernel gives that to nobody else as long as one of them lives.
has_orphans() {
    local pid=$1 since=$2 now
    now=$(started "$pid")
    [[ ${since#*@} == "$boot" && (-z $now || $now == "$since") ]] || return 1
    # By what is printed and not by exit codes: some process always ends while `cat` is at it.
    [[ -n $(cat /proc/[0-9]*/stat 2>/dev/null | sed -n "s/.*) \([^Z]\) [0-9]* $pid .*/\1/p") ]]
}

# Succeeds while any recorded process, or a child that it left, runs.
any_running() {
    local pid since
    [[ -f $state/processes ]] || return 1
    while read -r _ pid since _; do
        if is_ours "$pid" "$since" || has_orphans "$pid" "$since"; then return 0; fi
    done 2>/dev/null <"$state/processes"
    return 1
}

# Sends a signal to every recorded process that still runs, or to the children that it left. SIGKILL goes to both, for who is
# killed cannot end its children.
signal_all() {
    local signal=$1 pid since
    while read -r _ pid since _; do
        if [[ $signal != KILL ]] && is_ours "$pid" "$since"; then
            kill -"$signal" "$pid" 2>/dev/null || true
        elif is_ours "$pid" "$since" || has_orphans "$pid" "$since"; then
            kill -"$signal" -- "-$pid" 2>/dev/null || true
        fi
    done <"$state/processes"
}

# Waits until all have ended, for at most this many tenths of a second.
await_end() {
    local left=$1
    while any_running; do
        ((left-- > 0)) || return 1
        sleep 0.1
    done
}

# Ends everything within two seconds: gracefully for one, then at once (a second signal), then by force. Fails, and keeps the
# record, when something runs on all the same.
stop_all() {
    [[ -f $state/processes ]] || return 0
    signal_all TERM
    await_end 10 || { signal_all TERM; await_end 5; } || { signal_all KILL; await_end 3; } || return 1
    rm -f "$state/processes" "$state/up.json"
}
