#!/usr/bin/env bash
# Everything a machine can say about the code without running the tests: format, lint, types, layers, sizes, doctests.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

ensure_env test,prep
cd "$REPO"
ruff format --check .
ruff check .
pyright
lint-imports
python launch/size_gate.py
JAX_PLATFORMS=cpu python -m pytest --doctest-modules flipjax data_prep -p no:cacheprovider
echo "all checks passed"
