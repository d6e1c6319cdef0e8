"""Whose a file or folder is: a stranger's must not decide what this process does."""

import os
import pwd
import stat


def objection(status: os.stat_result, *, others: frozenset[int] = frozenset()) -> str | None:
    """Return why it is not trusted, as the predicate of a sentence.

    It must belong to the process's user, to root or to one of the *others*, and nobody else may write it.
    """
    if status.st_uid not in {os.geteuid(), 0, *others}:
        own = f"{name(os.geteuid())} or root" if os.geteuid() else "root"
        return f"belongs to {name(status.st_uid)}, not to {own}"
    # The mode of a link means nothing, and anybody may write to a device such as /dev/stdin.
    if stat.S_IMODE(status.st_mode) & 0o022 and (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        return "can be written by other users: take that right away with chmod go-w"
    return None


def name(uid: int) -> str:
    """Return a user's name and number."""
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"
