"""The objects that the migrations of this release make, by kind and name, read from their text."""

import re
from collections.abc import Collection

from consumer.postgres.queries import sql_root

# As pg_identify_object names both, a function without its arguments.
Object = tuple[str, str]

# A CREATE or DROP of the migrations begins its line; those in a function's body do not.
CHANGE = re.compile(
    r"^(CREATE(?: OR REPLACE)?|DROP) (TABLE|VIEW|FUNCTION|SEQUENCE) (?:IF (?:NOT )?EXISTS )?"
    r"([^;(]+?)(?=[;(]| WITH| AS)",
    re.MULTILINE,
)


def made_by(migration_ids: Collection[str]) -> frozenset[Object]:
    """Return the objects that exist after these migrations."""
    made: set[Object] = set()
    for migration_id in sorted(migration_ids):
        text = (sql_root() / "migrations" / f"{migration_id}.sql").read_text()
        for verb, kind, names in CHANGE.findall(text):
            objects = {(kind.lower(), name.strip().split()[0]) for name in names.split(",")}
            made = made - objects if verb == "DROP" else made | objects
    return frozenset(made)
