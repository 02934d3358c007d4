#!/usr/bin/env bash
# From a fresh checkout to a cross-domain report: environment, embedded data, FLIP-MCL on four unseen domains, one page.
# Safe to run again: finished parts are kept. Everything lands in runs/quickstart of this repository.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

ensure_env prep
cd "$REPO"
python -m data_prep.synthetic --out=runs/data/synthetic --domains=syn_a,syn_b,syn_c,syn_d
python launch/sweep.py --sweep=configs/sweeps/quickstart.py --out=runs/quickstart --jobs=2
echo
echo "metrics: $REPO/runs/quickstart/metrics.json"
echo "report:  $REPO/runs/quickstart/report.html (open it in a browser)"
