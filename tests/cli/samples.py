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
# Not to be built elsewhere from their sources alone.
OTHER_SAMPLES = ["two_libcs", "threads_static", "mmapped_static"]
KERNEL_SAMPLES = ["threads", "mmapped", "fragmented", "blocked_brk", "big_tls", "mmapped_static"]

SUBJECTS = [(name, "gcore") for name in SAMPLES + OTHER_SAMPLES]
SUBJECTS += [(name, "kernel") for name in KERNEL_SAMPLES]

each_core = pytest.mark.parametrize(
    "subject", SUBJECTS, ids=lambda subject: f"{subject[0]}-{subject[1]}"
)
