"""SQL as tokens: each with the bracket it stands in, so that a clause ends where its own bracket does."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

TOKEN = re.compile(
    r"""
    (?P<space>\s+)
    |(?P<comment>--[^\n]*|/\*.*?\*/)
    |(?P<text>[eE]?'(?:[^']|'')*')
    |(?P<parameter>%\(\w+\)[bst])
    |(?P<dollar>\$\w*\$)
    |(?P<word>[A-Za-z_]\w*|"[^"]*")
    |(?P<number>\d+(?:\.\d+)?)
    |(?P<sign><>|<=|>=|:=|=>|::|->>|->|\#>>|\#>|@>|<@|\?\||\|\||[-+*/<>=^~?|&])
    |(?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
# What ends a predicate, an ORDER BY or a branch of a union, standing in the same bracket.
ENDS = frozenset(
    {
        *("AND", "OR", "THEN", "WHEN", "ELSE", "END", "GROUP", "ORDER", "LIMIT", "OFFSET", "FOR", "WINDOW", "UNION"),
        *("RETURNING", "ON", "USING", "WHERE", "HAVING", "LEFT", "RIGHT", "INNER", "CROSS", "JOIN", "SELECT", "FROM"),
        *("SET", "AS", "DO", "LOOP", "INTO", "FILTER", "OVER"),
    }
)


@dataclass(frozen=True, slots=True)
class Token:
    """One word or sign; *bracket* numbers the innermost (…), CASE … END or $$ … $$ that it stands in."""

    kind: str
    text: str
    start: int
    end: int
    bracket: int

    @property
    def word(self) -> str:
        """In capitals, as a keyword is compared."""
        return self.text.upper()


def tokens(text: str) -> list[Token]:
    """Return the tokens but for spaces and comments; one that opens or closes a bracket stands outside of it."""
    found: list[Token] = []
    numbers = count(1)
    stack: list[tuple[str, int]] = [("", 0)]
    for match in TOKEN.finditer(text):
        kind, word = str(match.lastgroup), match[0].upper()
        if kind in ("space", "comment"):
            continue
        opener = stack[-1][0]
        closes = (
            (word == ")" and opener == "(") or (word == "]" and opener == "[") or (word == "END" and opener == "CASE")
        )
        closes |= kind == "dollar" and opener == word
        if closes:
            stack.pop()
        found.append(Token(kind, match[0], match.start(), match.end(), stack[-1][1]))
        if not closes and (word in ("(", "[", "CASE") or kind == "dollar"):
            stack.append((word, next(numbers)))
    return found


@dataclass(frozen=True)
class Statement:
    """A statement of a file, and the place of its tokens among all."""

    tokens: list[Token]
    text: str

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(token.word for token in self.tokens)

    def begins(self, *starts: str) -> bool:
        return " ".join(self.words[:8]).startswith(starts)

    def siblings(self, place: int, step: int) -> Iterator[int]:
        """Yield the places of the tokens before or behind one, in its bracket and up to the bracket's end."""
        bracket, at = self.tokens[place].bracket, place + step
        while 0 <= at < len(self.tokens) and self.tokens[at].bracket >= bracket:
            if self.tokens[at].bracket == bracket:
                yield at
            at += step

    def clause_of(self, place: int) -> str:
        """Return the last keyword before a token in its bracket, "" when there is none."""
        return next((self.words[at] for at in self.siblings(place, -1) if self.words[at] in ENDS | {"WITH"}), "")

    def end_of(self, place: int, keeps: frozenset[str] = frozenset()) -> int:
        """Return where the predicate or clause behind a token ends; keywords in *keeps* belong to it."""
        last = place
        is_between = False
        for at in range(place + 1, len(self.tokens)):
            token = self.tokens[at]
            if token.bracket < self.tokens[place].bracket:
                break
            if token.bracket == self.tokens[place].bracket:
                if token.word == "AND" and is_between:
                    is_between = False
                elif self._ends(at, keeps):
                    break
                is_between |= token.word == "BETWEEN"
            last = at
        return last

    def _ends(self, at: int, keeps: frozenset[str]) -> bool:
        token = self.tokens[at]
        if token.text in (")", "]"):
            return self.tokens[at - 1].bracket <= token.bracket and self.tokens[at - 1].text not in ("(", "[")
        if token.text in (",", ";"):
            return token.text not in keeps
        return token.word in ENDS - keeps and not self._belongs(at)

    def _belongs(self, at: int) -> bool:
        """Whether a keyword is part of an expression: IS DISTINCT FROM, the END of a CASE."""
        return (self.words[at] == "FROM" and self.words[at - 1] == "DISTINCT") or (
            self.words[at] == "END" and self.tokens[at - 1].bracket > self.tokens[at].bracket
        )


def statements(text: str) -> list[Statement]:
    """Split a file at the semicolons that stand in no bracket."""
    found: list[Statement] = []
    current: list[Token] = []
    for token in tokens(text):
        current.append(token)
        if token.text == ";" and token.bracket == 0:
            found.append(Statement(current, text))
            current = []
    return [*found, Statement(current, text)] if current else found
