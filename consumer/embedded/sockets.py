"""The folder of the server's socket: only the server's account may enter it, and nobody else can take its place."""

import os
import shutil
import stat
import tempfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

APPLICATION = "stack-auth-consumer"
PORT = 5432  # Part of the socket file's name; there is no TCP.
PATH_BYTES_MAX = 103  # sockaddr_un holds 104 bytes on macOS and 108 on Linux, one of them the final NUL.


def folder(data_dir: Path) -> Path:
    """Return the socket's folder; where no client could use the data folder's name, a link leads to a short one."""
    link = data_dir / "socket"
    return link.readlink() if link.is_symlink() else link


def make(data_dir: Path, uid: int, gid: int) -> None:
    """Make the folder for the server's account, and empty: a killed server leaves files, and the data may have moved.

    FileExistsError when another user took the name meanwhile.
    """
    path = data_dir / "socket"
    is_too_long = len(os.fsencode(path / f".s.PGSQL.{PORT}")) > PATH_BYTES_MAX
    # libpq takes a host with a comma for several hosts.
    if is_too_long or "," in str(path):
        _make_short(path, uid, gid)
    else:
        _remove(path)
        path.mkdir(mode=0o700)
        os.chown(path, uid, gid)


def _make_short(link: Path, uid: int, gid: int) -> None:
    """Link to a folder among the temporary files, where any user may take a name: so nobody can know it before.

    The folder is used again while it is ours, because the clients of a killed server keep its name.
    """
    prefix = f"{APPLICATION}-{sha256(os.fsencode(link.parent)).hexdigest()[:16]}-"
    if link.is_symlink() and (short := link.readlink()).name.startswith(prefix) and _is_private(short, uid):
        for left in short.iterdir():
            left.unlink()
        return
    _remove(link)
    short = Path(tempfile.mkdtemp(prefix=prefix))
    os.chown(short, uid, gid)
    link.symlink_to(short)


def _is_private(path: Path, uid: int) -> bool:
    """Tell whether it is a folder, no link to one, that nobody but this user can enter."""
    with suppress(FileNotFoundError):
        status = path.lstat()
        return stat.S_ISDIR(status.st_mode) and status.st_uid == uid and not status.st_mode & 0o077
    return False


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
