"""The samples, and the kinds of core that are taken of them."""

import pytest

SAMPLES = [
    "list",
    "hash_table",
    "cxx_containers",
    "threads",
    "mmapped",
    "fragmented",
    "foreign_sbrk",
    "blocked_brk",
    "big_tls",
    "trimmed",
    "odd_brk",
]
# Static programs, and one with another libc: built with the project only.
OTHER_SAMPLES = ["two_libcs", "threads_static", "mmapped_static"]
KERNEL_SAMPLES = ["threads", "mmapped", "fragmented", "blocked_brk", "big_tls"]

# By kind of core; a kind is how it is taken and, where that is not ours, of which machine.
TAKEN = {
    "gcore": SAMPLES + OTHER_SAMPLES,
    "kernel": [*KERNEL_SAMPLES, "mmapped_static"],
    "gcore-i386": SAMPLES,
    "kernel-i386": KERNEL_SAMPLES,
    "qemu-aarch64": [*KERNEL_SAMPLES, "cxx_containers", "foreign_sbrk"],
}

SUBJECTS = [(name, kind) for kind, names in TAKEN.items() for name in names]

each_core = pytest.mark.parametrize(
    "subject", SUBJECTS, ids=lambda subject: f"{subject[0]}-{subject[1]}"
)
