#!/usr/bin/env bash
# stop.sh [node|manager] [HOME]: asks it to finish (TERM), after 30 s to end at once (second TERM), after 60 s kills it.
set -euo pipefail

case ${1:-} in node | manager) role=$1; shift ;; *) role=node ;; esac
home=$(cd "${1:-$(dirname "$0")/..}" 2>/dev/null && pwd) || { echo "There is no folder ${1:-}." >&2; exit 1; }
pidfile="$home/bin/otter-$role.pid"

alive() { tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline" | grep -q "otter.cli.main $role"; }
gone() {
  local end=$((SECONDS + $1))
  while alive "$pid"; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.1
  done
}

pid=$(cat "$pidfile" 2>/dev/null || true)
if [ -z "$pid" ] || ! alive "$pid"; then
  rm -f "$pidfile" "$pidfile.lock"
  echo "The $role in $home does not run."
  exit 0
fi
kill -TERM "$pid"
if ! gone 30; then
  echo "Still finishing its batches; asking it to end at once ..."
  kill -TERM "$pid" 2>/dev/null || true
  if ! gone 30; then
    echo "It does not answer; killing it (nothing is lost: the target knows what it has)."
    kill -KILL "$pid" 2>/dev/null || true
    gone 10 || { echo "Process $pid cannot be killed." >&2; exit 1; }
  fi
fi
rm -f "$pidfile" "$pidfile.lock"
echo "The $role in $home is stopped."
