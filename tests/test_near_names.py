"""Names that look like a setting's: they are told, because the setting itself stays unset."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from consumer.settings import settings
from consumer.settings.near_names import in_environment, near
from tests.test_env_file import nothing_set, read

__all__ = ["nothing_set"]

LETTERS = "ABC_"


def distance(one: str, other: str) -> int:
    """Return the Damerau-Levenshtein distance, by the textbook's table."""
    last: dict[str, int] = {}
    most = len(one) + len(other)
    table = {(-1, -1): most}
    table |= {(i, -1): most for i in range(len(one) + 1)} | {(i, 0): i for i in range(len(one) + 1)}
    table |= {(-1, j): most for j in range(len(other) + 1)} | {(0, j): j for j in range(len(other) + 1)}
    for i in range(1, len(one) + 1):
        match = 0
        for j in range(1, len(other) + 1):
            k, el = last.get(other[j - 1], 0), match
            cost = int(one[i - 1] != other[j - 1])
            match = match if cost else j
            table[i, j] = min(
                table[i - 1, j - 1] + cost,
                table[i, j - 1] + 1,
                table[i - 1, j] + 1,
                table[k - 1, el - 1] + (i - k - 1) + 1 + (j - el - 1),
            )
        last[one[i - 1]] = i
    return table[len(one), len(other)]


@example("AB", "BA")
@example("CAB", "_BA")
@example("BAC_", "AB_C")
@example("ABC_", "AC")
@example("AC", "ABC_")
@example("ABC", "BCA")
@example("AAAA", "BBAA")
@example("AAAA", "BBBA")
@example("AB", "ABC_A")
@example("A", "B")
@given(st.text(LETTERS, min_size=1, max_size=7), st.text(LETTERS, min_size=1, max_size=7))
def test_near_is_a_distance_of_two_at_most(one: str, other: str) -> None:
    found = list(near([one], frozenset({other})))

    assert bool(found) == (0 < distance(one, other) <= 2)


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("STACK_WEBHOOK_SECERT", "STACK_WEBHOOK_SECRET"),
        ("STACK_WEBHOK_SECRETS", "STACK_WEBHOOK_SECRETS"),
        ("HEXCLAVE_WEBHOOKS_SECRET", "HEXCLAVE_WEBHOOK_SECRET"),
        ("database_url", "DATABASE_URL"),
        ("DATABASE-URL", "DATABASE_URL"),
        ("DATABASE_URI", "DATABASE_URL"),
        ("DATABASE_URL_FLIE", "DATABASE_URL_FILE"),
        ("MAX_ATTEMTPS", "MAX_ATTEMPTS"),
        ("CONSUMER_PGBIN", "CONSUMER_PG_BIN"),
        ("NEXT_PUBLIC_STACK_PROJECTID", "NEXT_PUBLIC_STACK_PROJECT_ID"),
    ],
)
def test_a_long_name_is_told_in_the_file_and_in_the_environment(
    name: str, setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_file = read(tmp_path, f"\n{name}=x\n")
    (tmp_path / ".env").unlink()
    monkeypatch.setenv(name, "x")

    assert in_file[0].warnings == (f".env line 2 sets {name}, which is no setting; did you mean {setting}?",)
    assert settings.from_process(tmp_path)[0].warnings == (
        f"{name} is set, which is no setting; did you mean {setting}?",
    )
    assert in_file[1] == []


@pytest.mark.parametrize("name", ["HOME", "PROT", "port", "OPS_PROT", "TSACK_WEBHOOK_SECRETS"])
def test_a_short_name_or_another_prefix_is_told_in_the_file_only(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "x")
    in_environment = settings.from_process(tmp_path)[0].warnings
    monkeypatch.delenv(name)

    assert in_environment == ()
    assert len(read(tmp_path, f"{name}=x\n")[0].warnings) == 1


@pytest.mark.parametrize("name", ["POSTGRES_URL", "APP_WEBHOOK_URL", "STACK_API_KEY", "NODE_ENV", "CONSUMER_RUN"])
def test_other_names_are_not_told(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_file = read(tmp_path, f"{name}=x\n")[0].warnings
    (tmp_path / ".env").unlink()
    monkeypatch.setenv(name, "x")

    assert (in_file, settings.from_process(tmp_path)[0].warnings) == ((), ())


def test_each_of_several_names_is_told_with_the_nearest() -> None:
    settings_of_ours = frozenset({"OPS_PORT", "OPS_HOST", "OPS_POST"})

    assert list(near(["OPS_PROT", "OPS_PORT", "ops-hosts", "OTHER"], settings_of_ours)) == [
        ("OPS_PROT", "OPS_PORT"),
        ("ops-hosts", "OPS_HOST"),
    ]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("ABCDEFHG", "ABCDEFGH"),
        ("XBCDEFHG", "ABCDEFGH"),
        ("ABCDEFG", "ABCDEFGH"),
        ("ABCDEFGHI", "ABCDEFGH"),
        ("ABCDQQGH", "ABCDEFGH"),
        ("ABCDEFQQ", "ABCDEFGH"),
        ("BADCEFGH", "ABCDEFGH"),
        ("ABCDEF_", "ABCDEFG_"),
        ("ABQQQFGH", None),
        ("ABCDE", None),
        ("ABCDEFGHIJK", None),
    ],
)
def test_of_several_names_the_one_with_fewest_errors_is_meant(name: str, nearest: str | None) -> None:
    found = list(near([name], frozenset({"ABCDEFGH", "ABCDEFG_", "ZZZZZZZZ"})))

    assert found == ([(name, nearest)] if nearest else [])


def test_in_the_environment_nine_characters_and_the_first_word_are_needed() -> None:
    names = ["OPS_PORTS", "OPS_PROT", "POS_PORTS", "ops_ports", "OPS_HOSTS"]

    assert list(in_environment(names, frozenset({"OPS_PORT", "PORT"}))) == [
        ("OPS_PORTS", "OPS_PORT"),
        ("ops_ports", "OPS_PORT"),
    ]
