"""The settings of notifications: who is told of findings, and the heartbeat that tells by its absence."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from consumer.settings import signing_secrets
from consumer.settings.environment import Reader

VARIABLES = ("NOTIFY_URL", "NOTIFY_SECRET", "NOTIFY_COMMAND", "HEARTBEAT_URL")
ADDRESS = "must be an http:// or https:// URL of printable ASCII without blanks"


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """Where notifications go; its repr shows nothing, because an address or an argument may be a secret.

    Without a secret they are not signed: a chat can't check signatures.
    """

    url: str | None = field(default=None, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    command: tuple[str, ...] = field(default=(), repr=False)
    heartbeat_url: str | None = field(default=None, repr=False)

    @property
    def is_on(self) -> bool:
        """Whether anybody is told anything."""
        return bool(self.url or self.command or self.heartbeat_url)


def read(reader: Reader, senders: Mapping[str, Sequence[str]]) -> NotifySettings:
    """Read the variables; a bad one and each combination that can't work are among the reader's problems.

    *senders* holds the secrets of webhooks by their variable: NOTIFY_SECRET may be none of them.
    """
    found = NotifySettings(
        url=reader.parse("NOTIFY_URL", _address, None, is_shown=False),
        secrets=reader.secrets("NOTIFY_SECRET"),
        command=reader.parse("NOTIFY_COMMAND", _words, (), is_shown=False),
        heartbeat_url=reader.parse("HEARTBEAT_URL", _address, None, is_shown=False),
    )
    reader.problems += _problems(reader.variables, found, senders)
    return found


def _problems(
    variables: Mapping[str, str], found: NotifySettings, senders: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """Judge combinations by what is set, because a bad value has a problem of its own."""
    if {"NOTIFY_URL", "NOTIFY_COMMAND"} <= variables.keys():
        yield f"{variables['NOTIFY_URL']} and {variables['NOTIFY_COMMAND']} are both set; keep one of them."
    if "NOTIFY_SECRET" in variables and "NOTIFY_URL" not in variables:
        yield f"{variables['NOTIFY_SECRET']} is set without NOTIFY_URL: it signs what is sent there."
    if signing_secrets.are_examples(found.secrets):
        cure = "make another by `openssl rand -base64 32`"
        yield f"{variables['NOTIFY_SECRET']} holds an example key that documents show: {cure}."
    for name, secrets in senders.items():
        if signing_secrets.keys(found.secrets) & signing_secrets.keys(secrets):
            notify, webhooks = variables["NOTIFY_SECRET"], variables[name]
            sentence = "who checks notifications could forge events"
            yield f"{notify} and {webhooks} hold the same key: {sentence}. Make another for {notify}."


def _address(text: str) -> str:
    try:
        parts = urlsplit(text)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(ADDRESS)
    return text


def _words(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError:
        raise ValueError("has a quote or a backslash without its end") from None
