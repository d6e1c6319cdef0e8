"""The release after this tree: a copy with a planted migration, a type that it teaches, and another effect."""

import shutil
from pathlib import Path

from consumer.postgres import ledger
from tests.support import hashes
from tests.support.processes import ROOT

TYPE = "user.suspended"
NAMELESS = "Nameless"
NUMBER = ledger.release_number() + 1
MIGRATION_ID = f"{NUMBER:04}.suspensions"

# Old receivers do not fill the new column. What was ignored is queued again, because this release knows the type.
MIGRATION = f"""\
-- The next release teaches `{TYPE}`.
-- depends: {ledger.carried_ids()[-1]}

SELECT consumer.pause_work();
INSERT INTO consumer.fence (migration, oldest_release) VALUES ({NUMBER}, {{oldest_release}});

ALTER TABLE consumer.outbox ADD COLUMN note text;
CREATE TABLE consumer.suspensions (user_id uuid PRIMARY KEY);
GRANT SELECT, INSERT ON consumer.suspensions TO consumer_worker;

WITH ignored AS (
    DELETE FROM consumer.outcomes AS d
    USING consumer.outbox AS o
    WHERE d.seq = o.seq AND d.outcome = 'ignored' AND o.event_type = '{TYPE}'
    RETURNING d.seq
)

INSERT INTO consumer.pending (seq)
SELECT seq FROM ignored;
"""
ROLLBACK = f"""\
SELECT consumer.pause_work();
DELETE FROM consumer.fence WHERE migration = {NUMBER};
DROP TABLE consumer.suspensions;
ALTER TABLE consumer.outbox DROP COLUMN note;
"""
EFFECT = """\
-- Note each suspended user once.
WITH noted AS (
    INSERT INTO consumer.suspensions (user_id)
    SELECT DISTINCT user_id
    FROM consumer.outbox
    WHERE seq = ANY(%(seqs)b::bigint[])
    ON CONFLICT DO NOTHING
)

SELECT %(seqs)b::bigint[];
"""
LINE = f'''    "{TYPE}": EventType(Reference, STACK, Fact.OWN, user="id", effect="suspended"),
'''
# A user without a name gets another one: rows that an older worker would write otherwise.
OTHER_EFFECT = "UPDATE identity.profiles SET full_name = '{}' WHERE full_name = 'Unknown User';\n"


# The tree itself, a planted successor that lets older releases work beside it, and one that does not.
THIS_TREE, ADDS, CHANGES = KINDS = ("this tree", "adds a type", "changes an effect")


def made(kind: str, folder: Path) -> Path:
    """Return the folder to run the newer release of a kind from, made in *folder* unless it is this tree."""
    if kind == THIS_TREE:
        return ROOT
    for name in ("consumer", "sql"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    migrations, queries = folder / "sql" / "migrations", folder / "sql" / "queries"
    text = MIGRATION.format(oldest_release=NUMBER if kind == CHANGES else 1)
    if kind == CHANGES:
        text += OTHER_EFFECT.format(NAMELESS)
        _change(queries / "users" / "put_profiles.sql", "'Unknown User'", f"'{NAMELESS}'")
    (migrations / f"{MIGRATION_ID}.sql").write_text(text)
    (migrations / f"{MIGRATION_ID}.rollback.sql").write_text(ROLLBACK)
    hashes.write(migrations)
    (queries / "effects" / "suspended.sql").write_text(EFFECT)
    _change(folder / "consumer" / "events" / "registry.py", '    "stack.test"', f'{LINE}    "stack.test"')
    return folder


def _change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text, f"{file.name} reads otherwise now"
    file.write_text(text.replace(old, new))
