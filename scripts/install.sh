#!/usr/bin/env bash
# Installs what is missing: Debian packages (the arguments name further ones) and the npm packages of the lock file.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "kontiki: $*" >&2; exit 1; }
[ "$(uname -sm)" = "Linux x86_64" ] || fail "this needs Linux on x86_64; here it is $(uname -sm)"
[ "$(id -u)" = 0 ] || fail "pods need namespaces and cgroups: run this as root"
command -v npm >/dev/null || fail "npm is missing; install Node.js 20 or newer with npm"

packages=(runc conmon iproute2 nftables socat skopeo tar zstd util-linux busybox-static procps golang-github-containers-common "$@")
missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  command -v apt-get >/dev/null || fail "these programs are missing and apt-get is not here to install them: ${missing[*]}"
  echo "== installing Debian packages: ${missing[*]}"
  log=$(mktemp)
  install() { DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >"$log" 2>&1; }
  # An old package list is the usual reason for a failure: bring it up to date and try once more.
  install || { apt-get update -q >>"$log" 2>&1 && install; } || { tail -20 "$log" >&2; fail "apt-get could not install: ${missing[*]}"; }
  rm -f "$log"
fi

# npm ci would empty what the link leads to.
[ ! -L node_modules ] || fail "node_modules is a link; remove it, then try again"
stamp=node_modules/.kontiki-installed
if [ ! -e "$stamp" ] || [ package-lock.json -nt "$stamp" ]; then
  echo "== installing npm packages"
  npm ci --no-progress --loglevel=error
  touch "$stamp"
fi
