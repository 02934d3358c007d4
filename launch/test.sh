#!/usr/bin/env bash
# Runs the tests in their own environment; arguments go to pytest, such as tests/parity or -m slow.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

ensure_env test,prep
cd "$REPO"
export JAX_PLATFORMS="${JAX_PLATFORMS:-cpu}"
if [ "$#" -eq 0 ]; then set -- -m "not slow"; fi
mkdir -p runs
python -m pytest -n "${TEST_WORKERS:-2}" --dist loadfile --durations=15 --junitxml=runs/tests.xml "$@"
echo "results: $REPO/runs/tests.xml"
