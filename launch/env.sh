# Sourced by the other scripts: makes or reuses the environment .venv in the repository and activates it.
# ensure_env EXTRA[,EXTRA] installs the package with these extras at the tested versions; PYTHON chooses the interpreter.

REPO="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3.11 python3.12 python3; do
    if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "error: no Python 3.11 or newer found; install one, or name it: PYTHON=/path/to/python3.11 bash launch/quickstart.sh" >&2
  return 1
}

ensure_env() {
  local extras="$1" venv="$REPO/.venv" wanted python
  if [ ! -x "$venv/bin/python" ]; then
    python="$(find_python)" || return 1
    echo "making the environment $venv"
    "$python" -m venv "$venv" || return 1
  fi
  # shellcheck disable=SC1091
  . "$venv/bin/activate"
  wanted="$(cat "$REPO/pyproject.toml" "$REPO/constraints.txt" | cksum) $REPO"
  local stamp="$venv/.flipjax-$extras"
  if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ]; then
    echo "installing flipjax[$extras] (a minute or two, once)"
    python -m pip install --quiet --disable-pip-version-check -c "$REPO/constraints.txt" -e "$REPO[$extras]" || return 1
    printf '%s' "$wanted" >"$stamp"
  fi
}
