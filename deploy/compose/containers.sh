# shellcheck shell=bash
# What the scripts in this folder share: which Docker and which Compose there is, and where this stack's files are.
#
# Needs $here, this folder. Sets $docker and $secret_files, compose() for this project, and within() for one of its containers.
: "${here:?}"

fail() {
    printf '%s: %s\n' "$0" "$*" >&2
    exit 1
}

# Begins this script anew as the only one that works on a stack of this folder. What it starts does not hold the lock.
alone() {
    local code=0
    [[ -z ${POSTERN_COMPOSE_ALONE-} ]] || return 0
    POSTERN_COMPOSE_ALONE=yes flock --nonblock --close --conflict-exit-code 75 "$here" "$0" "$@" || code=$?
    ((code != 75)) || fail "another script in $here is at work"
    exit "$code"
}

docker=${DOCKER:-docker}
command -v "$docker" >/dev/null || fail "docker is missing: https://docs.docker.com/engine/install/"
"$docker" version >/dev/null 2>&1 || fail "Docker does not answer: is it running, and may you use it? Try: $docker version"
if "$docker" compose version >/dev/null 2>&1; then
    compose_command=("$docker" compose)
elif command -v docker-compose >/dev/null; then
    compose_command=(docker-compose)
else
    fail "Compose is missing: https://docs.docker.com/compose/install/"
fi

# setting NAME DEFAULT: as Compose sees it, from the environment or from .env.
setting() {
    local written=
    [[ ! -f $here/.env ]] || written=$(sed -n "s/^$1=//p" "$here/.env" | tail -n 1 |
        sed -E -e 's/\r$//; s/[[:space:]]+#.*$//' -e "s/^(['\"])(.*)\1\$/\2/")
    printf '%s' "${!1:-${written:-$2}}"
}

COMPOSE_PROJECT_NAME=$(setting COMPOSE_PROJECT_NAME postern)
POSTERN_SECRETS=$(cd "$here" && realpath -m -- "$(setting POSTERN_SECRETS secrets)")
export COMPOSE_PROJECT_NAME POSTERN_SECRETS
# What make-secrets makes and down --volumes removes.
# shellcheck disable=SC2034 # of whoever sources this
secret_files=("$POSTERN_SECRETS"/{master.key,database-password,postgres-password})

compose() {
    (cd "$here" && "${compose_command[@]}" "$@")
}

# Within a container of this stack, without a terminal.
within() {
    compose exec -T "$@" </dev/null
}
