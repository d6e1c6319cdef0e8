"""Whose a file must be, and who may write it, by each owner, group and mode."""

import grp
import os
import pwd
import stat

import pytest

from consumer.settings.ownership import foreign, objection, writable

# Root, the process's user, and people: of them only Ada is alone in a group of her own.
ROOT, SELF, ADA, EVE, NOBODY_KNOWN = 0, 500, 501, 502, 900
PEOPLE = {ROOT: ("root", 0), SELF: ("consumer", 500), ADA: ("ada", 501), EVE: ("eve", 700), 503: ("bob", 503)}
GROUPS: dict[int, tuple[str, list[str]]] = {
    0: ("root", []),
    500: ("consumer", ["consumer", "eve"]),
    501: ("ada", ["ada"]),
    503: ("bobs", []),
    700: ("eve", []),
    701: ("eve", []),
}
CURE = "can be written by other users: run chmod go-w on it"


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    people = {uid: pwd.struct_passwd((name, "x", uid, gid, "", "/", "")) for uid, (name, gid) in PEOPLE.items()}
    groups = {gid: grp.struct_group((name, "x", gid, members)) for gid, (name, members) in GROUPS.items()}
    monkeypatch.setattr(pwd, "getpwuid", people.__getitem__)
    monkeypatch.setattr(grp, "getgrgid", groups.__getitem__)
    monkeypatch.setattr(os, "geteuid", lambda: SELF)


def status(uid: int = SELF, gid: int = 500, mode: int = stat.S_IFREG | 0o644) -> os.stat_result:
    return os.stat_result((mode, 1, 1, 1, uid, gid, 0, 0, 0, 0))


@pytest.mark.parametrize("uid", [ROOT, SELF])
def test_a_file_of_the_process_s_user_or_of_root_is_trusted(uid: int) -> None:
    assert (foreign(status(uid)), objection(status(uid))) == (None, None)


@pytest.mark.parametrize(("uid", "name"), [(1, "uid 1"), (ADA, "ada (uid 501)"), (NOBODY_KNOWN, "uid 900")])
def test_a_file_of_anybody_else_is_not(uid: int, name: str) -> None:
    sentence = f"belongs to {name}, not to consumer (uid 500) or root"

    assert (foreign(status(uid)), objection(status(uid))) == (sentence, sentence)


def test_to_root_only_root_s_own_are_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: ROOT)

    assert foreign(status(ROOT, 0)) is None
    assert foreign(status(SELF)) == "belongs to consumer (uid 500), not to root"


def test_an_account_that_is_named_is_trusted_too() -> None:
    assert objection(status(ADA, 501), others=frozenset({ADA})) is None
    assert (
        foreign(status(ADA, 501), others=frozenset({EVE}))
        == "belongs to ada (uid 501), not to consumer (uid 500) or root"
    )
    assert objection(status(ADA, 501, stat.S_IFREG | 0o666), others=frozenset({ADA})) == CURE


@pytest.mark.parametrize("kind", [stat.S_IFREG, stat.S_IFDIR])
@pytest.mark.parametrize(
    ("mode", "is_refused"), [(0o600, False), (0o755, False), (0o664, True), (0o646, True), (0o666, True)]
)
def test_nobody_else_may_write_a_file_or_a_folder(kind: int, mode: int, *, is_refused: bool) -> None:
    assert writable(status(mode=kind | mode)) == (CURE if is_refused else None)
    assert objection(status(mode=kind | mode)) == (CURE if is_refused else None)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_the_mode_of_a_link_a_device_or_a_pipe_says_nothing(kind: int) -> None:
    assert writable(status(mode=kind | 0o666)) is None


@pytest.mark.parametrize(
    ("uid", "gid", "mode", "is_refused"),
    [
        pytest.param(ADA, 501, 0o664, False, id="alone in a group of one's own name"),
        pytest.param(ADA, 501, 0o646, True, id="but anybody may write"),
        pytest.param(SELF, 500, 0o664, True, id="another is in the group too"),
        pytest.param(ADA, 700, 0o664, True, id="another's group"),
        pytest.param(EVE, 701, 0o664, True, id="a group of one's name that is not one's first"),
        pytest.param(503, 503, 0o664, True, id="one's first group, of another name"),
        pytest.param(EVE, 700, 0o664, False, id="a group of another number than one's own"),
        pytest.param(ROOT, 0, 0o664, True, id="root's group has others"),
        pytest.param(NOBODY_KNOWN, 501, 0o664, True, id="an unknown owner"),
        pytest.param(ADA, 999, 0o664, True, id="an unknown group"),
    ],
)
def test_a_group_may_write_if_the_owner_is_alone_in_it(uid: int, gid: int, mode: int, *, is_refused: bool) -> None:
    assert writable(status(uid, gid, stat.S_IFREG | mode)) == (CURE if is_refused else None)
