#!/bin/sh
# Run a command with a root file system's /proc, /sys, /dev mounted and its temporary folders empty and in memory:
#
#   unshare --mount --propagation private in-root.sh ROOT COMMAND...
#
# The mounts live in the caller's private namespace, so they end with the command whatever kills it, and what is
# written to /tmp, /run or /root leaves nothing behind.
set -eu
root=$1
shift
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount --bind /dev "$root/dev"
for folder in run tmp root; do mount -t tmpfs tmpfs "$root/$folder"; done
chmod 1777 "$root/tmp"
exec "$@"
