"""Where members of JSON objects and elements of arrays are: values are found, not parsed, as they may be anything."""

import re
from itertools import accumulate
from typing import NamedTuple

# The sender's objects have about 30.
MEMBERS_MAX = 1_000
# Blocks without the end of a value are skipped by counting, which takes 10 ms for 2 MiB; a look at each byte takes 80.
BLOCK_BYTES = 8_192
# Most values are small.
FIRST_BLOCK_BYTES = 256

SPACE = rb"[ \t\n\r]*+"
STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
OBJECT_START = re.compile(rb"%b\{%b(\}?)" % (SPACE, SPACE))
ARRAY_START = re.compile(rb"%b\[%b(\]?)%b" % (SPACE, SPACE, SPACE))
KEY = re.compile(rb"(%b)%b:%b" % (STRING, SPACE, SPACE), re.DOTALL)
SCALAR = re.compile(rb'%b|[^ \t\n\r,"\[\]{}]++' % STRING, re.DOTALL)
MEMBER_END = re.compile(rb"%b(?:,%b|(\})%b)" % (SPACE, SPACE, SPACE))
ELEMENT_END = re.compile(rb"%b(?:,%b|(\])%b)" % (SPACE, SPACE, SPACE))
# What a byte does to the level of nesting; as a signed byte 255 is -1.
UP, DOWN = 1, 255
LEVELS = bytes(UP if byte in b"[{" else DOWN if byte in b"]}" else 0 for byte in range(256))


class Member(NamedTuple):
    """The places of a member's key, quotes included, and of its value."""

    key: slice
    value: slice


class JsonText:
    """A text that may be JSON."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        parts = body.replace(rb"\\", b"__").replace(rb"\"", b"__").split(b'"')
        # Each second part is a string, whose brackets are none.
        parts[1::2] = [bytes(len(part)) for part in parts[1::2]]
        self._levels = b'"'.join(parts).translate(LEVELS)

    def members(self, place: slice) -> list[Member] | None:
        """Return the members of the object at *place*; None if it is no object, or has too many.

        What is found of a value is its end: the value itself may not be JSON.
        """
        start = OBJECT_START.match(self.body, place.start, place.stop)
        if start is None:
            return None
        found: list[Member] = []
        at, is_last = start.end(), bool(start[1])
        while not is_last:
            key = KEY.match(self.body, at, place.stop)
            end = self._value_end(key.end(), place.stop) if key else None
            after = MEMBER_END.match(self.body, end, place.stop) if end else None
            if not (key and end and after) or len(found) == MEMBERS_MAX:
                return None
            found.append(Member(slice(*key.span(1)), slice(key.end(), end)))
            at, is_last = after.end(), bool(after[1])
        return found if at == place.stop else None

    def elements(self, place: slice) -> list[slice] | None:
        """Return the places of the elements of the array at *place*; None if it is no array.

        As with members, only the end of each is found.
        """
        start = ARRAY_START.match(self.body, place.start, place.stop)
        if start is None:
            return None
        found: list[slice] = []
        at, is_last = start.end(), bool(start[1])
        while not is_last:
            end = self._value_end(at, place.stop)
            after = ELEMENT_END.match(self.body, end, place.stop) if end else None
            if not (end and after):
                return None
            found.append(slice(at, end))
            at, is_last = after.end(), bool(after[1])
        return found if at == place.stop else None

    def _value_end(self, start: int, stop: int) -> int | None:
        if self.body[start : start + 1] not in {b"[", b"{"}:
            scalar = SCALAR.match(self.body, start, stop)
            return scalar.end() if scalar else None
        level, at, size = 0, start, FIRST_BLOCK_BYTES
        while at < stop:
            block = self._levels[at : min(at + size, stop)]
            down = block.count(DOWN)
            if down >= level:
                levels = list(accumulate(memoryview(block).cast("b"), initial=level))[1:]
                if 0 in levels:
                    return at + levels.index(0) + 1
            level += block.count(UP) - down
            at, size = at + size, BLOCK_BYTES
        return None
