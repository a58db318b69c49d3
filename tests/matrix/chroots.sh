#!/usr/bin/env bash
# Makes a system of the release matrix: a Debian suite in a folder, with a compiler and gdb.
#
#     tests/matrix/chroots.sh FOLDER SYSTEM
#
# FOLDER/SYSTEM is made if it is not there, and completed if it lacks a tool. SYSTEM is
# SUITE or SUITE-ARCH; "experimental" is sid with experimental's C library. As root.
#
# COREWALK_MIRROR   where debootstrap and apt get packages; without it, debootstrap's own default
set -euo pipefail

folder=$1
system=$2
suite=${system%%-*}
arch=${system#"$suite"}
arch=${arch#-}
arch=${arch:-amd64}
root=$folder/$system

base_suite() {
    case $suite in
    experimental) echo sid ;;
    *) echo "$suite" ;;
    esac
}

# A debootstrap that is older than a suite has no script of that name; sid's does for it.
script_of() {
    if [[ -e /usr/share/debootstrap/scripts/$1 ]]; then
        echo "$1"
    else
        echo sid
    fi
}

bootstrap() {
    local base script
    base=$(base_suite)
    script=/usr/share/debootstrap/scripts/$(script_of "$base")
    rm -rf "$root.new"
    debootstrap --variant=minbase --arch="$arch" "$base" "$root.new" "${COREWALK_MIRROR:-}" \
        "$script"
    mv "$root.new" "$root"
}

# The lists of unstable suites expire in mirrors that are not fed daily.
apt() {
    chroot "$root" env DEBIAN_FRONTEND=noninteractive LC_ALL=C \
        apt-get -qq -y --no-install-recommends -o Acquire::Check-Valid-Until=false "$@"
}

newer_libc() {
    sed 's/ sid / experimental /' "$root/etc/apt/sources.list" \
        >"$root/etc/apt/sources.list.d/experimental.list"
    apt update
    apt -t experimental install libc6 libc6-dev libc6-dbg libc-bin
}

complete() {
    apt update
    apt install gcc g++ libc6-dev libc6-dbg
    # gdb brings a virtual package with it that needs a second look in some suites.
    apt install gdb || apt -f install
    if [[ $suite == experimental ]]; then
        newer_libc
    fi
    chroot "$root" apt-get clean
}

[[ -d $root ]] || bootstrap
for tool in gcc g++ gdb; do
    if [[ ! -e $root/usr/bin/$tool ]]; then
        complete
        break
    fi
done
