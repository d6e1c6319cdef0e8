"""The statement of CONSUMER_PROJECTION_SQL: one file with one statement, whose text is checked."""

import re
from pathlib import Path

# It goes to the server with every batch.
BYTES_MAX = 256 * 1024
# Statements that EXPLAIN takes, so that the doctor can rehearse them. None of them ends our transaction or changes the
# session.
VERBS = ("DELETE", "INSERT", "MERGE", "SELECT", "UPDATE", "WITH")
PARAMETER = "%(user_ids)b"
# Comments and quoted text: a semicolon inside them ends nothing.
OPAQUE = re.compile(
    r"""--[^\n]*|/\*.*?\*/|\bE'(?:[^'\\]|\\.)*'|'[^']*'|"[^"]*"|(\$\w*\$).*?\1""", re.DOTALL | re.IGNORECASE
)


def read(path: str) -> bytes:
    """Return the statement in a file; raise ValueError that says what is wrong with it.

    A relative path begins at the working directory, so the sentence names the whole one.
    """
    try:
        path = str(Path(path).expanduser().absolute())
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, RuntimeError, UnicodeDecodeError) as error:  # RuntimeError: an unknown home directory.
        raise ValueError(f"names {path}, which cannot be read ({type(error).__name__})") from None
    if problem := _problem(text):
        raise ValueError(f"names {path}, which {problem}")
    return text.encode()


def _problem(text: str) -> str | None:
    if len(text.encode()) > BYTES_MAX:
        return f"is larger than {BYTES_MAX // 1024} kB"
    bare = OPAQUE.sub(" ", text).strip().removesuffix(";")
    if not bare:
        return "holds no statement"
    if ";" in bare:
        return "holds more than one statement; join them by WITH, or SELECT a function that runs them"
    if (verb := re.split(r"\W", bare)[0].upper()) not in VERBS:
        return f"begins with {verb or bare[0]}; it must begin with one of {', '.join(VERBS)}"
    if PARAMETER not in bare:
        return f"does not use {PARAMETER}::uuid[], the users that changed"
    if "%" in text.replace("%%", "").replace(PARAMETER, ""):
        return f"holds a percent sign outside of {PARAMETER}; write %% for one, in comments too"
    return None
