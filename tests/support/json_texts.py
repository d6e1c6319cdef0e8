"""Scraps of JSON text, right and wrong, that parsers and PostgreSQL disagree about."""

from hypothesis import strategies as st

NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,12})?", fullmatch=True)
STRINGS = st.from_regex(r'"([^\x00-\x1f"\\]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4}|\\u0000|\\\\u0000){0,8}"', fullmatch=True)
ODDITIES = st.sampled_from(["", "NaN", "01", "'", "\ufeff", "1e131071", "1e-16384", "0e2147483648", '{"\\u0000":1}'])
NESTS = st.integers(500, 520).map(lambda levels: "[" * levels + "]" * levels)
