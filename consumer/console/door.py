"""The two doors: a signed link that leads to a cookie, or the header of a trusted proxy."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Literal
from uuid import uuid4

from itsdangerous import BadData, URLSafeSerializer
from starlette.requests import Request
from starlette.responses import Response

from consumer.console.base import Base
from consumer.console.person import NOBODY, Visitor
from consumer.settings.door import UserHeader

LINK_TIME = timedelta(minutes=10)
# A working day with its evening: an operator signs in once a day.
COOKIE_TIME = timedelta(hours=12)
# What a name may have, in a link and in a header: it is shown on each page and kept with each action.
NAME_CHARACTERS_MAX = 64


@dataclass(frozen=True, slots=True)
class SignInLink:
    """What a link says: its id, a UUID that is used once, the person, and its end in seconds of Unix."""

    id: str
    name: str
    role: Literal["viewer", "operator"]
    until: int


class Signer:
    """Makes and reads links and cookies, which one secret signs; each counts at one console URL alone."""

    def __init__(self, secret: str, base: Base, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        signing = {"key_derivation": "hmac", "digest_method": sha256}
        self._links, self._cookies = (
            URLSafeSerializer(secret, salt=f"{salt} {base.origin}{base.path}", signer_kwargs=signing)
            for salt in ("console link", "console cookie")
        )

    def link(self, name: str, role: Literal["viewer", "operator"]) -> str:
        """Return the token of a new link."""
        link = SignInLink(str(uuid4()), name, role, self._after(LINK_TIME))
        return str(self._links.dumps(asdict(link)))

    def read_link(self, token: str) -> SignInLink | None:
        """Return what a token says, also one whose time is over; None if it is not ours."""
        return SignInLink(**values) if (values := self._read(self._links, token)) else None

    def cookie(self, link: SignInLink) -> str:
        """Return the cookie of the person in a link."""
        values = {"name": link.name, "role": link.role, "until": self._after(COOKIE_TIME)}
        return str(self._cookies.dumps(values))

    def read_cookie(self, text: str) -> Visitor:
        """Return the person of a cookie; nobody if it is not ours or its time is over."""
        values = self._read(self._cookies, text)
        if not values or self.is_over(values["until"]):
            return NOBODY
        until = datetime.fromtimestamp(values["until"], self._clock().tzinfo)
        return Visitor(values["name"], values["role"], until)

    def is_over(self, until: int) -> bool:
        """Tell whether a link or cookie that is good *until* then, in seconds of Unix, is so no more."""
        return until <= self._clock().timestamp()

    def _after(self, time: timedelta) -> int:
        return int((self._clock() + time).timestamp())

    def _read(self, serializer: URLSafeSerializer, text: str) -> Mapping[str, Any] | None:
        try:
            values: Mapping[str, Any] = serializer.loads(text)
        except BadData:
            return None
        return values


class Door:
    """Tells who asks; sets and takes the cookie."""

    def __init__(self, signer: Signer, base: Base, header: UserHeader | None) -> None:
        self.signer = signer
        self._base = base
        self._header = header
        # With one of these prefixes a browser takes the cookie from no other host and over no plain HTTP. Ports share
        # cookies, so on plain HTTP the port is part of the name.
        prefix = f"__{'Secure' if base.path else 'Host'}-" if base.is_secure else ""
        self._cookie = f"{prefix}console{'' if base.is_secure else f'-{base.port}'}"

    def visitor(self, request: Request) -> Visitor:
        """Return the person behind a request: named by a trusted proxy, else by the cookie."""
        if self._header and request.client and self._header.is_from(request.client.host):
            names = request.headers.getlist(self._header.name)
            if len(names) == 1 and is_name(names[0]):
                return Visitor(names[0], "operator" if names[0] in self._header.operators else "viewer")
        return self.signer.read_cookie(request.cookies.get(self._cookie, ""))

    def let_in(self, response: Response, link: SignInLink) -> None:
        """Give the person in a link a cookie."""
        self._set(response, self.signer.cookie(link), int(COOKIE_TIME.total_seconds()))

    def let_out(self, response: Response) -> None:
        """Take the cookie away."""
        self._set(response, "", 0)

    def _set(self, response: Response, value: str, seconds: int) -> None:
        response.set_cookie(
            self._cookie,
            value,
            max_age=seconds,
            path=self._base.path or "/",
            secure=self._base.is_secure,
            httponly=True,
            samesite="strict",
        )


def is_name(text: str) -> bool:
    """Tell whether a person may have this name."""
    return 0 < len(text) <= NAME_CHARACTERS_MAX and text.isprintable() and text == text.strip()
