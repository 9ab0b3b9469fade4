# shellcheck shell=bash
# What the scripts in bin/ share: the Python environment and Debian packages, installed only when missing.
# Sourced, never run. Servers come as -core packages and jars: programs without a system service.

ROOT=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
VENV="$ROOT/.venv"
PYTHON="$VENV/bin/python"

say() { printf '%s\n' "$*" >&2; }

die() {
  say "$*"
  exit 1
}

# as_root COMMAND...: runs it as root, by sudo where needed.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else return 126
  fi
}

# need PACKAGE=PROOF...: installs the Debian packages whose proof (a program or a file) is missing.
need() {
  local pair missing=()
  for pair in "$@"; do
    case ${pair#*=} in
      /*) [ -e "${pair#*=}" ] || missing+=("${pair%%=*}") ;;
      *) PATH="$PATH:/usr/sbin" command -v "${pair#*=}" >/dev/null || missing+=("${pair%%=*}") ;;
    esac
  done
  [ ${#missing[@]} = 0 ] || install_debian "${missing[@]}"
}

# --no-remove: a MySQL server of the user's is never replaced.
install_debian() {
  local log mend="apt-get install $*"
  command -v apt-get >/dev/null || die "Missing: $*. There is no apt-get here; install them by hand and start again."
  say "Installing Debian packages: $* ..."
  log=$(mktemp)
  if ! { as_root apt-get update && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends --no-remove "$@"; } >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    rm -f "$log"
    die "Debian packages could not be installed. As root (or with sudo) run: $mend"
  fi
  rm -f "$log"
}

# need_servers: what demo and tests start on loopback, each in a folder of its own.
need_servers() {
  need mariadb-server-core=mariadbd mariadb-server-core=mariadb-install-db mariadb-client-core=my_print_defaults \
    libzookeeper-java=/usr/share/java/zookeeper.jar libslf4j-java=/usr/share/java/slf4j-simple.jar \
    default-jre-headless=java aria2=aria2c
  export PATH="$PATH:/usr/sbin"
}

# need_venv [EXTRA]: .venv with the project; pip runs only when pyproject.toml changed.
need_venv() {
  local extra=${1:-} stamp log base=${OTTER_PYTHON:-python3}
  stamp="$(sha256sum <"$ROOT/pyproject.toml" | cut -c1-16) $ROOT"
  if [ -x "$PYTHON" ]; then
    if grep -qxF "$stamp dev" "$VENV/.otter" 2>/dev/null; then return; fi
    if [ -z "$extra" ] && grep -qxF "$stamp run" "$VENV/.otter" 2>/dev/null; then return; fi
  fi
  make_venv "$base"
  say "Installing the project into .venv ..."
  log=$(mktemp)
  if ! "$PYTHON" -m pip install --quiet -e "$ROOT${extra:+[$extra]}" >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    die "pip could not install the project; is the package index reachable? (above: its last lines)"
  fi
  rm -f "$log"
  echo "$stamp ${extra:-run}" >"$VENV/.otter"
}

make_venv() {
  "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    die "Python 3.11 or newer is needed; OTTER_PYTHON names another program than python3."
  "$PYTHON" -m pip --version >/dev/null 2>&1 && return
  "$1" -c 'import ensurepip, venv' 2>/dev/null || install_debian python3-venv
  "$1" -m venv --clear "$VENV" || die "$1 -m venv $VENV failed; see above."
}
