"""An earlier release, kept whole as an archive: `python -m tests.releases.kept` keeps this tree.

The file is named by the release's number. It needs no history, and no package that this tree does not need.
"""

import tarfile
from pathlib import Path

from consumer.postgres import ledger
from tests.support.processes import ROOT

FOLDER = ROOT / "tests" / "data" / "releases"
SUFFIX = ".tar.xz"
PARTS = ("consumer", "sql/migrations", "sql/privileges.sql", "sql/queries", "sql/templates")


def keep(folder: Path = FOLDER) -> Path:
    """Write this tree's release; the same tree makes the same bytes."""
    target = folder / f"{ledger.release_number():04}{SUFFIX}"
    found = (file for name in PARTS for file in (ROOT / name, *(ROOT / name).rglob("*")) if file.is_file())
    with tarfile.open(target, "w:xz", preset=9, format=tarfile.USTAR_FORMAT) as archive:
        for file in sorted(file for file in found if "__pycache__" not in file.parts):
            entry = tarfile.TarInfo(file.relative_to(ROOT).as_posix())
            entry.size = file.stat().st_size
            with file.open("rb") as stream:
                archive.addfile(entry, stream)
    return target


def oldest() -> Path:
    """Return the archive of the oldest release that is kept."""
    return min(FOLDER.glob(f"*{SUFFIX}"))


def unpacked(archive: Path, folder: Path) -> Path:
    """Unpack a release and return the folder to run it from."""
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder


if __name__ == "__main__":
    for archive in FOLDER.glob(f"*{SUFFIX}"):
        archive.unlink()
    print(keep().relative_to(ROOT))
