"""Whose a file or folder is: a stranger's must not decide what this process does."""

import grp
import os
import pwd
import stat


def objection(status: os.stat_result, *, others: frozenset[int] = frozenset()) -> str | None:
    """Return why it is not trusted, as the predicate of a sentence.

    It must belong to the process's user, to root or to one of the *others*, and nobody else may write it.
    """
    return foreign(status, others=others) or writable(status)


def foreign(status: os.stat_result, *, others: frozenset[int] = frozenset()) -> str | None:
    """Return the half of `objection` that is about the owner."""
    if status.st_uid in {os.geteuid(), 0, *others}:
        return None
    own = f"{_name(os.geteuid())} or root" if os.geteuid() else "root"
    return f"belongs to {_name(status.st_uid)}, not to {own}"


def writable(status: os.stat_result) -> str | None:
    """Return the half of `objection` that is about the rights of others."""
    # The mode of a link means nothing, and anybody may write to a device such as /dev/stdin.
    is_judged = stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)
    bits = stat.S_IWOTH if _has_private_group(status) else stat.S_IWOTH | stat.S_IWGRP
    return "can be written by other users: run chmod go-w on it" if is_judged and status.st_mode & bits else None


def _has_private_group(status: os.stat_result) -> bool:
    """Tell whether a person is alone in the group: Ubuntu gives each user one, and lets it write new files."""
    try:
        owner, group = pwd.getpwuid(status.st_uid), grp.getgrgid(status.st_gid)
    except KeyError:
        return False
    is_own = owner.pw_gid == group.gr_gid and owner.pw_name == group.gr_name
    return status.st_uid != 0 and is_own and {*group.gr_mem} <= {owner.pw_name}


def _name(uid: int) -> str:
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"
