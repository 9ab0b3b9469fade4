#!/usr/bin/env bash
# startup.sh [node|manager] [HOME]: starts it in the background and returns when it really serves.
# HOME is the folder with conf/ (default: the one this script, or the link to it, lies in). Time to wait: OTTER_START_TIMEOUT, 60 s.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"

case ${1:-} in node | manager) role=$1; shift ;; *) role=node ;; esac
home=$(cd "${1:-$(dirname "$0")/..}" 2>/dev/null && pwd) || die "There is no folder ${1:-}."
[ -d "$home/conf" ] || die "$home has no conf/: give a home folder; \`otter node init DIR\` makes one."

pidfile="$home/bin/otter-$role.pid"
log="$home/logs/$role/$role.log"
out="$home/logs/$role/startup.log"
mkdir -p "$home/bin" "$home/logs/$role"

# alive PID: it runs, and it is ours (a number may have been given to another program since).
alive() { [ -n "$1" ] && tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline" | grep -q "otter.cli.main $role"; }

exec 9>"$pidfile.lock"
flock -n 9 || die "Another startup.sh is starting this $role."
pid=$(cat "$pidfile" 2>/dev/null || true)
if alive "$pid"; then die "This $role runs already (pid $pid, $pidfile); bin/stop.sh $role stops it."; fi

need_venv
[ "$role" = manager ] || command -v aria2c >/dev/null || say "Warning: aria2c is not installed; big batches need it: apt-get install aria2"
if [ "$role" = manager ] && [ ! -e "$home/conf/cluster.key" ] && [ -z "${OTTER_CLUSTER_KEYFILE:-}" ]; then
  "$PYTHON" -m otter.cli.main manager init --home "$home" >&2
fi

size=$(stat -c %s "$log" 2>/dev/null || echo 0)
cd "$home"
nohup "$PYTHON" -m otter.cli.main "$role" run --home "$home" >"$out" 2>&1 </dev/null 9>&- &
pid=$!
echo "$pid" >"$pidfile"

# new: what the log got since the start (a rotated log is read from its beginning).
new() {
  local now
  now=$(stat -c %s "$log" 2>/dev/null || echo 0)
  if [ "$now" -ge "$size" ]; then tail -c "+$((size + 1))" "$log" 2>/dev/null; else cat "$log"; fi
}

deadline=$((SECONDS + ${OTTER_START_TIMEOUT:-60}))
while [ $SECONDS -lt $deadline ]; do
  if line=$(new | grep -m1 -o '## the .* server is running now \.\.\.\.\.\.'); then
    echo "$line"
    exit 0
  fi
  if ! kill -0 "$pid" 2>/dev/null; then
    code=0
    wait "$pid" || code=$?
    rm -f "$pidfile"
    say "The $role did not start:"
    tail -n 15 "$out" >&2
    exit $((code == 0 ? 1 : code))
  fi
  sleep 0.1
done
say "The $role (pid $pid) is not ready after ${OTTER_START_TIMEOUT:-60} s and goes on trying; last lines of $log:"
new | tail -n 3 >&2
exit 4
