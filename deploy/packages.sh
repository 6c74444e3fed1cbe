# shellcheck shell=bash
# Installs Debian and Ubuntu packages for commands that are missing; elsewhere it says what is needed.

# install_missing COMMAND=PACKAGE…
install_missing() {
    local pair missing=() as_root=()
    for pair in "$@"; do
        # `type -P` looks for a file: `kill` is a word of the shell as well.
        PATH=$PATH:/usr/sbin:/sbin type -P "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
    done
    ((${#missing[@]})) || return 0
    if ! command -v apt-get >/dev/null; then
        printf 'please install: %s\n' "${missing[*]}" >&2
        return 1
    fi
    if ((EUID != 0)); then
        as_root=(sudo)
        if ! command -v sudo >/dev/null; then
            printf 'please install as root: apt-get install %s\n' "${missing[*]}" >&2
            return 1
        fi
    fi
    printf 'installing %s\n' "${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    without_starting_services "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# A package such as nginx would start a server on port 80. policy-rc.d says no; a machine's own policy is left as it is.
# In a subshell, so that ours goes away however this ends.
without_starting_services() (
    policy=/usr/sbin/policy-rc.d as_root=()
    ((EUID == 0)) || as_root=(sudo)
    if [[ ! -e $policy ]]; then
        trap '"${as_root[@]}" rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
        "${as_root[@]}" chmod 755 "$policy"
    fi
    "$@"
)
