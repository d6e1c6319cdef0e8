"""Ours and its peers, drain and ingest, in one run on one PostgreSQL.

`python -m bench.peers` prints one table; `--json` one document. Every subject gets the same events, its own empty
database and its best documented settings (docs/PEERS.md); the repeats are interleaved, the medians shown. PostgreSQL,
the clients and the subjects share the machine: only ratios within one run mean anything.
"""

import argparse
import os
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import psycopg

from bench.checks import FalseFigure
from bench.load import cheapest_client
from bench.peers import drain, ingest
from bench.peers.drain import Events
from bench.peers.install import Environments, install, versions
from bench.peers.process import SubjectFailed
from bench.peers.report import Result, bounds, rows, troubles
from bench.peers.subjects import SUBJECTS, Subject, chosen
from bench.support import EVENT_BYTES, progress, server, show

# Debian's PostgreSQL is the one that PgQ is packaged for.
DEBIAN = Path("/usr/lib/postgresql/15/bin")
DEBIAN_PGQ = Path("/usr/share/postgresql/15/extension/pgq.control")
# Fewer would be done before they can be killed midway.
EVENTS_MIN = 1000


class Run:
    """One run over all chosen subjects; what fails is noted with its subject and stops nothing."""

    def __init__(self, server_url: str, folder: Path, events: int, environments: Environments) -> None:
        self._server_url = server_url
        self._folder = folder
        self._events = events
        self._environments = environments
        self._key = secrets.token_bytes(24)
        self._written: dict[int, Events] = {}

    def results(self, subjects: Sequence[Subject], repeats: int) -> list[Result]:
        """Measure in turn, *repeats* times over, then kill the workers of each queue as often."""
        known = versions(self._server_url)
        results = [Result(s, known.get(s.package, ""), trouble=self._missing(s, known)) for s in subjects]
        for repeat in range(repeats):
            for result in results:
                self._try(f"{result.subject.key}, {repeat + 1} of {repeats}", result, self._measure)
        for repeat in range(repeats):
            for result in results:
                if result.subject.kind == "drain":
                    self._try(f"{result.subject.key}, killed midway, {repeat + 1} of {repeats}", result, self._kill)
        return results

    def _missing(self, subject: Subject, known: dict[str, str]) -> str | None:
        if subject.package == "pgq" and "pgq" not in known:
            return "not installed: the server has no extension pgq (Debian: postgresql-15-pgq3)"
        reason = self._environments.reasons.get(subject.runtime)
        return f"not installed: {reason}" if reason else None

    def _try(self, what: str, result: Result, act: Callable[[Result, str], None]) -> None:
        if result.trouble:
            return
        progress(what)
        try:
            act(result, self._environments.programs[result.subject.runtime])
        except (SubjectFailed, FalseFigure, psycopg.Error, psutil.Error, OSError) as error:
            result.trouble = f"failed ({what}): {error}"

    def _measure(self, result: Result, program: str) -> None:
        subject = result.subject
        if subject.kind == "ingest":
            requests = self._count(subject)
            result.samples.append(ingest.measure(self._server_url, program, subject, requests, self._key))
        else:
            result.samples.append(drain.measure(self._server_url, program, subject, self._events_of(subject)))

    def _kill(self, result: Result, program: str) -> None:
        verdict = drain.kill_midway(self._server_url, program, result.subject, self._events_of(result.subject))
        result.verdicts.append(verdict)

    def _events_of(self, subject: Subject) -> Events:
        count = self._count(subject)
        if count not in self._written:
            self._written[count] = drain.write_events(self._folder, count)
        return self._written[count]

    def _count(self, subject: Subject) -> int:
        return max(EVENTS_MIN, int(self._events * subject.share))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    keys = [subject.key for subject in SUBJECTS]
    parser.add_argument("--events", type=int, default=40_000, help="slow subjects get a share of them")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--only", type=lambda text: text.split(","), default=[], help=f"some subjects: {', '.join(keys)}"
    )
    parser.add_argument(
        "--database-url",
        default=os.environ.get("DATABASE_URL"),
        help="a server to use instead of one of this run's own (default: DATABASE_URL); databases are made in it",
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if unknown := set(options.only) - set(keys):
        parser.error(f"unknown in --only: {', '.join(sorted(unknown))}")
    return options


def main() -> None:
    options = _options()
    subjects = chosen(options.only)
    environments = install({subject.runtime for subject in subjects})
    if not options.database_url and DEBIAN.exists() and DEBIAN_PGQ.exists():
        os.environ.setdefault("CONSUMER_PG_BIN", str(DEBIAN))
    started = time.monotonic()
    with TemporaryDirectory() as folder, server(options.database_url) as server_url:
        results = Run(server_url, Path(folder), options.events, environments).results(subjects, options.repeats)
        with psycopg.connect(server_url) as conn:
            [(version, fsync)] = conn.execute("SELECT version(), current_setting('fsync')").fetchall()
    facts = {
        "event bytes": EVENT_BYTES,
        "repeats": options.repeats,
        "server": version,
        "fsync": fsync,
        "client of the receivers": cheapest_client(),
        "load of the machine at the end": os.getloadavg()[0],
        "seconds": time.monotonic() - started,
        **bounds(results),
        **troubles(results),
    }
    show("Peers", rows(results), facts, as_json=options.json)


if __name__ == "__main__":
    main()
