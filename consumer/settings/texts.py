"""The text of a setting as people paste it: what is wrong with its form, each with the cure."""

import re
from pathlib import Path

# UTF-8's mark as text, and as text of a program that took it for Latin-1.
BYTE_ORDER_MARKS = ("\ufeff", "\u00ef\u00bb\u00bf")
UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
PLAIN_QUOTES = "\"'`"
TYPOGRAPHIC_QUOTES = "“”„‟‘’‚‛«»‹›"
# What a shell, Compose, Windows or a template would have replaced. A dollar sign elsewhere may belong to a password.
REFERENCE = re.compile(r"\$\{|^\$\(|^\$[A-Za-z_]\w*(?=/|$)|^%\w+%$|^\{\{.*\}\}$")
# A connection string, a list of secrets or an env file has a few kilobytes.
FILE_BYTES_MAX = 1024 * 1024
MARK_FLAW = "begins with a byte order mark (BOM): save it as UTF-8 without one"


def flaw(text: str) -> str | None:
    """Return what is wrong with the form of a setting's text: the predicate of a sentence that shows none of it."""
    if text.startswith(BYTE_ORDER_MARKS):
        return MARK_FLAW
    if "\0" in text:
        return "holds a NUL character: type it anew"
    if printable(text) != text:
        return "holds bytes that are not UTF-8: save it as UTF-8"
    if text and text[0] in PLAIN_QUOTES and text[-1] == text[0]:
        return "is in quotes: write it without them"
    # At one end alone it may be an apostrophe of the value.
    if len(text) > 1 and text[0] in TYPOGRAPHIC_QUOTES and text[-1] in TYPOGRAPHIC_QUOTES:
        return "is in typographic quotes: write it without them"
    if REFERENCE.search(text):
        return "is or holds a reference to a variable that was not expanded: write the value itself"
    return None


def printable(text: str) -> str:
    """Return the text with a number for each byte that is not UTF-8: no log could write it."""
    return text.encode(errors="backslashreplace").decode()


def decoded(content: bytes, *, errors: str = "strict") -> str:
    """Return a file's text; raise ValueError with the predicate of a sentence on the file.

    *errors* says what becomes of bytes that are not UTF-8.
    """
    if content.startswith(UTF_16_MARKS):
        raise ValueError("is UTF-16: save it as UTF-8")
    if len(content) > FILE_BYTES_MAX:
        raise ValueError(f"is larger than {FILE_BYTES_MAX // 1024} kB")
    try:
        text = content.decode(errors=errors)
    except UnicodeDecodeError:
        raise ValueError("cannot be read (UnicodeDecodeError): save it as UTF-8") from None
    if "\0" in text:
        raise ValueError("holds NUL characters: save it as UTF-8")
    return text


def content(path: str) -> str:
    """Return the text of the file at this path, without the white space around it; ValueError as `decoded`."""
    try:
        with Path(path).expanduser().open("rb") as file:
            text = decoded(file.read(FILE_BYTES_MAX + 1)).strip()
    except (OSError, RuntimeError) as error:  # RuntimeError: an unknown home directory.
        raise ValueError(f"cannot be read ({type(error).__name__})") from None
    if not text:
        raise ValueError("is empty")
    return text
