"""Why deliveries died, in words, and what cures it: by the error's code, as in docs/OPERATIONS.md."""

from typing import NamedTuple


class Cause(NamedTuple):
    """What an error code means, and its cure; both may have backquotes around what can be typed."""

    sentence: str
    cure: str


CHECKED_AGAIN = "A later release may accept it: a retry checks it again by the present one."
CHECK_RULE = "Correct the rule in your tables, or the row that it protects; then retry."
# By the code; of an SQLSTATE that is not here, its class of two digits.
CAUSES = {
    "23505": Cause("A unique index of your application refuses the row", "Drop or widen the index, then retry."),
    "23503": Cause("A foreign key of your application refuses the row", "Add the row that it refers to, then retry."),
    "23001": Cause("Rows of your application still refer to this one", "Remove or move them, then retry."),
    "23502": Cause("A column of your application must not be empty", "Give it a default, then retry."),
    "23514": Cause("A check of your application refuses the row", CHECK_RULE),
    "23P01": Cause("An exclusion constraint of your application refuses the row", CHECK_RULE),
    "P0001": Cause("A trigger of your application refuses the row", CHECK_RULE),
    "22021": Cause("A character that PostgreSQL can't hold", "The next delivery about the user heals it. Discard."),
    "nul": Cause("A NUL character in a text, which PostgreSQL can't hold", "The next snapshot heals it. Discard."),
    "54000": Cause("The row is larger than PostgreSQL allows", "The next snapshot may be smaller. Discard."),
    "54001": Cause("The body nests deeper than PostgreSQL can read", "The next snapshot may be flatter. Discard."),
    "55P03": Cause("Another session held the rows locked", "End that session (`consumer doctor`), then retry."),
    "57014": Cause("Applying it took too long", "Look for a slow trigger or a lock (`consumer doctor`), then retry."),
    "lost": Cause("A trigger on our tables, or a bug of ours, left it out", "Remove the trigger, then retry."),
    "no_subject": Cause(
        "It names no user or team, where its type needs one", "No receiver of ours stores such a one. Discard."
    ),
    "unknown_type": Cause("This source must not send this type", "Have another source send it, or discard."),
    "bad_shape": Cause("The body is not what its type promises", CHECKED_AGAIN),
    "bad_type": Cause("The body names no type", CHECKED_AGAIN),
    "unknown_field": Cause("The edit names a field that can't be edited", "Correct your backend. Discard."),
    "not_an_object": Cause("The body is no JSON object", "Discard."),
    "not_json": Cause("The body is no JSON", "Discard."),
    "too_deep": Cause("The body nests too many levels", "Discard."),
    "number_out_of_range": Cause("A number is too large", CHECKED_AGAIN),
    "22": Cause("PostgreSQL can't hold a value of it", CHECKED_AGAIN),
    "23": Cause("A constraint of your application refuses the row", CHECK_RULE),
}
UNKNOWN = Cause("An error that has no cure of its own here", "Read the reason, mend what it names, then retry.")


def cause(code: str) -> Cause:
    """Return what a code means."""
    return CAUSES.get(code) or CAUSES.get(code[:2] if len(code) == 5 else "") or UNKNOWN
