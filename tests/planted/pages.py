"""Bugs of the pages that an operator follows."""

from tests.planted.bug import Bug

PAGES = (
    Bug(
        "the page of the lost table only compares",
        "docs/recovery/lost-table.md",
        "consumer rebuild --check\nconsumer rebuild\n",
        "consumer rebuild --check\nconsumer rebuild --check\n",
        "tests/test_recovery_rows.py::test_lost_table",
    ),
    Bug(
        "the page of the leaked secret forgets the time",
        "docs/recovery/leaked-secret.md",
        'discard --verified-by "$VERIFIED_BY" --since "$SINCE" --reason "leaked secret"\n',
        'discard --verified-by "$VERIFIED_BY" --reason "leaked secret"\n',
        "tests/test_recovery_secrets.py::test_what_the_old_secret_signed_before_the_leak_stays",
    ),
    Bug(
        "the page of the dead letters retries all at once",
        "docs/recovery/dead-letters.md",
        'consumer dead retry --error "$ERROR" --limit 100\n',
        "",
        "tests/test_recovery_rows.py::test_dead_letters_are_tried_in_small_first",
    ),
    Bug(
        "a secret's hash is of its text",
        "docs/recovery/leaked-secret.md",
        " | base64 -d | sha256sum",
        " | sha256sum",
        "tests/test_recovery_secrets.py::test_the_page_computes_the_beginning_of_a_secret_s_hash",
    ),
)
