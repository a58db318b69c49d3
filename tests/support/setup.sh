# shellcheck shell=bash
# What the scripts need of the machine, and how to get it. To be sourced:
#
#     . tests/support/setup.sh
#     setup_require build demo
#
# On Debian and its relatives what is missing is installed; elsewhere it is listed, with the names
# that Debian and Fedora have for it, and the script ends with status 69.

# group | what must be there | Debian's package | Fedora's
#   cmd:NAME  a command          pc:NAME  a pkg-config module
#   lib:NAME  a library for -l   py:NAME  a module of /usr/bin/python3
#   so:NAME   a shared library, as it is loaded
#   m32:c++   32-bit programs can be built
#   clang-rt:NAME  a runtime of the clang that is installed, which has its version in its package
SETUP_TABLE='
build | cmd:gcc          | gcc                | gcc
build | cmd:g++          | g++                | gcc-c++
build | cmd:cmake        | cmake              | cmake
build | cmd:ninja        | ninja-build        | ninja-build
build | cmd:pkg-config   | pkg-config         | pkgconf-pkg-config
build | pc:libdw         | libdw-dev          | elfutils-devel
build | pc:libelf        | libelf-dev         | elfutils-libelf-devel
build | lib:iberty       | libiberty-dev      | binutils-devel
build | pc:jansson       | libjansson-dev     | jansson-devel
build | pc:libxxhash     | libxxhash-dev      | xxhash-devel
build | pc:libarchive    | libarchive-dev     | libarchive-devel
build | pc:zlib         | zlib1g-dev         | zlib-devel
build | pc:cunit         | libcunit1-dev      | CUnit-devel
tests | cmd:git          | git                | git
core  | cmd:gdb          | gdb                | gdb
core  | cmd:gcore        | gdb                | gdb
tests | py:pytest        | python3-pytest     | python3-pytest
tests | py:jsonschema    | python3-jsonschema | python3-jsonschema
tests | cmd:zstd         | zstd               | zstd
tests | cmd:lz4          | lz4                | lz4
tests | cmd:xz           | xz-utils           | xz
tests | cmd:gzip         | gzip               | gzip
full  | cmd:clang        | clang              | clang
full  | cmd:clang-format | clang-format       | clang-tools-extra
full  | cmd:clang-tidy   | clang-tidy         | clang-tools-extra
full  | cmd:gcovr        | gcovr              | gcovr
fuzz  | clang-rt:fuzzer  | @clang-rt          | compiler-rt
other | m32:c++          | @multilib          | glibc-devel.i686 libstdc++-devel.i686
other | cmd:aarch64-linux-gnu-g++ | g++-aarch64-linux-gnu | gcc-c++-aarch64-linux-gnu
other | cmd:qemu-aarch64-static   | qemu-user-static      | qemu-user-static
suite | cmd:debootstrap  | debootstrap        | debootstrap
real  | cmd:fish         | fish               | fish
real  | cmd:zsh          | zsh                | zsh
real  | cmd:sqlite3      | sqlite3            | sqlite
real  | cmd:perl         | perl               | perl
real  | cmd:lua5.4       | lua5.4             | lua
real  | cmd:redis-server | redis-server       | redis
real  | cmd:php          | php-cli            | php-cli
real  | cmd:go           | golang-go          | golang
real  | cmd:musl-gcc     | musl-tools         | musl-gcc
real  | cmd:valgrind     | valgrind           | valgrind
real  | so:libjemalloc.so.2             | libjemalloc2         | jemalloc
real  | so:libtcmalloc_minimal.so.4     | libtcmalloc-minimal4 | gperftools-libs
real  | so:libmimalloc.so.2.0           | libmimalloc2.0       | mimalloc
'

setup_has() {
    case $1 in
    cmd:*) command -v "${1#cmd:}" >/dev/null ;;
    pc:*) pkg-config --exists "${1#pc:}" 2>/dev/null ;;
    lib:*) echo 'int main(void) { return 0; }' |
        gcc -x c - -o /dev/null "-l${1#lib:}" 2>/dev/null ;;
    so:*) LD_PRELOAD="${1#so:}" /bin/true 2>&1 | { ! grep -q .; } ;;
    clang-rt:*) echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
        clang "-fsanitize=${1#clang-rt:}" -x c - -o /dev/null 2>/dev/null ;;
    m32:*) echo 'int main() { return 0; }' | g++ -m32 -x c++ - -o /dev/null 2>/dev/null ;;
    py:*) /usr/bin/python3 -c "import ${1#py:}" 2>/dev/null ;;
    esac
}

# Prints "Debian's package|Fedora's" of each thing that the groups need and the machine lacks.
setup_missing() {
    local group what debian fedora
    while IFS='|' read -r group what debian fedora; do
        if [[ " $* " == *" ${group// /} "* ]] && ! setup_has "${what// /}"; then
            echo "${debian// /}|${fedora// /}"
        fi
    done <<<"$SETUP_TABLE" | sort -u
}

setup_as_root() {
    if [[ $EUID -eq 0 ]]; then
        "$@"
    else
        sudo "$@"
    fi
}

# Debian's package of a table entry. clang's runtimes were once part of libclang-common. The package
# g++-multilib cannot be there with compilers for other machines; those that it stands for can.
setup_debian_name() {
    local major
    if [[ $1 == @multilib ]]; then
        echo "g++-$(g++ -dumpversion 2>/dev/null)-multilib"
        return
    fi
    if [[ $1 != @clang-rt ]]; then
        echo "$1"
        return
    fi
    major=$(clang -dumpversion 2>/dev/null)
    major=${major%%.*}
    if apt-cache show "libclang-rt-$major-dev" >/dev/null 2>&1; then
        echo "libclang-rt-$major-dev"
    else
        echo "libclang-common-$major-dev"
    fi
}

# Takes the table's entries; their names are settled once apt knows what there is.
setup_apt_install() {
    local log entry packages=()
    log=$(mktemp)
    if ! setup_as_root apt-get update >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        return 1
    fi
    for entry in "$@"; do
        packages+=("$(setup_debian_name "$entry")")
    done
    echo "installing: ${packages[*]}"
    if ! setup_as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "${packages[@]}" >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

setup_list() {
    local entry
    echo "these packages are missing:" >&2
    printf '  %-20s %s\n' "Debian, Ubuntu" "Fedora" >&2
    for entry in "$@"; do
        printf '  %-20s %s\n' "$(setup_debian_name "${entry%|*}")" "${entry#*|}" >&2
    done
}

# Whether packages can be installed here: apt-get, as root or by sudo.
setup_can_install() {
    command -v apt-get >/dev/null && { [[ $EUID -eq 0 ]] || command -v sudo >/dev/null; }
}

setup_require() {
    local missing
    mapfile -t missing < <(setup_missing "$@")
    if [[ ${#missing[@]} -eq 0 ]]; then
        return
    fi
    if setup_can_install && setup_apt_install "${missing[@]%|*}"; then
        mapfile -t missing < <(setup_missing "$@")
    fi
    if [[ ${#missing[@]} -gt 0 ]]; then
        setup_list "${missing[@]}"
        exit 69
    fi
}

# The same for what is good to have: installed where that is possible, else done without.
setup_want() {
    local missing
    mapfile -t missing < <(setup_missing "$@")
    if [[ ${#missing[@]} -gt 0 ]] && setup_can_install; then
        setup_apt_install "${missing[@]%|*}" || true
    fi
}
