# shellcheck shell=bash
# Where cargo builds when nobody says otherwise: outside the clone, so that the next fresh clone does not start from nothing.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/postern/target}
