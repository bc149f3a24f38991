#!/bin/sh
# Take out of a running builder what building it left, by the list that the bake itself uses (images/common/residue.txt):
#
#   clean.sh LIST          all but what lets the builder's owner in, so that the result can be looked at
#   clean.sh LIST LOGIN    that too, with the login: nobody comes in afterwards, but by what is open already
#   clean.sh LIST LOGIN off    and shut down a moment later, as there is nobody left who could
set -eu
list=$1 login=${2-} then=${3-}
cd "${TRAINSHED_ROOT:-/}" # another one in tests
lives=no
[ -d run/systemd/system ] && lives=yes

if [ $lives = yes ]; then
    # Both would write their files again: the journal now, the seed at shutdown.
    journalctl --relinquish-var
    systemctl --quiet mask --runtime systemd-random-seed.service
    systemctl daemon-reload
fi

while read -r glob; do
    case $glob in
    '' | '#'*) continue ;;
    dev/* | run/*) continue ;;              # mounts of a running system
    etc/apt/sources.list*) continue ;;      # where this base gets its updates from
    etc/ssh/ssh_host_* | */.ssh | */.ssh/*) [ -n "$login" ] || continue ;;
    esac
    # shellcheck disable=SC2086 # globs, relative to the root
    rm -rf -- $glob
done <"$list"

: >etc/machine-id
if [ $lives = yes ]; then # a container's runtime gives it its name
    echo localhost >etc/hostname
fi
touch etc/.updated var/.updated

[ -n "$login" ] || exit 0
if [ "$login" != root ]; then
    rm -f etc/sudoers.d/90-cloud-init-users
    userdel --force --remove "$login" 2>/dev/null || [ $? = 12 ] # 12: it had no mail folder
    rm -f etc/passwd- etc/group- etc/shadow- etc/gshadow- etc/subuid- etc/subgid-
fi
left=$(find root home etc/ssh \( -name 'authorized_keys*' -o -name 'ssh_host_*' \) -size +0)
[ -z "$left" ] || { echo "clean.sh: still there: $left" >&2; exit 1; }
sync
[ "$then" != off ] || systemd-run --quiet --no-block --on-active=5 systemctl poweroff
