"""Names of variables that look like a setting's: a typing error would leave the setting unset without a word."""

from collections.abc import Iterable, Iterator

# So many letters are typed wrongly, left out, added or swapped.
EDITS_MAX = 2
# A shorter name in the environment may mean anything: HOME is not HOST.
CHARACTERS_MIN = 9


def in_environment(names: Iterable[str], settings: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield each long name that has the first word of one of the *settings* and is near to one, and that one."""
    words = {setting.partition("_")[0] for setting in settings if "_" in setting}
    ours = [name for name in names if len(name) >= CHARACTERS_MIN and _written(name).partition("_")[0] in words]
    yield from near(ours, settings)


def near(names: Iterable[str], settings: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield each name that is none of the *settings* but near to one, and the nearest."""
    for name in names:
        if name not in settings:
            for edits in range(EDITS_MAX + 1):
                if found := next((one for one in sorted(settings) if _is_within(edits, _written(name), one)), None):
                    yield name, found
                    break


def _written(name: str) -> str:
    """Return the name as settings are written: capitals are not counted as errors."""
    return name.upper().replace("-", "_")


def _is_within(edits: int, one: str, other: str) -> bool:
    """Tell whether the Damerau-Levenshtein distance is at most *edits*."""
    if abs(len(one) - len(other)) > edits:
        return False
    letters = enumerate(zip(one, other, strict=False))
    at = next((number for number, (a, b) in letters if a != b), min(len(one), len(other)))
    one, other = one[at:], other[at:]
    if one == other:
        return True
    # Below none the lengths never fit.
    rest = edits - 1
    return (
        _is_within(rest, one[1:], other[1:])
        or _is_within(rest, one[1:], other)
        or _is_within(rest, one, other[1:])
        or (len(one) > 1 and _is_within(rest, one[1] + one[0] + one[2:], other))
    )
