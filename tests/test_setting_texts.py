"""Settings as people paste them: what is wrong is named with its cure, and the value is not shown."""

import base64

import pytest

from consumer.settings import signing_secrets
from tests.support.settings import HIDDEN, faults, load

KEY = HIDDEN.removeprefix("whsec_")
COPY = "copy the whole secret anew"
OTHER = "whsec_bmV3bmV3bmV3bmV3bmV3bmV3"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('"{}"', "is in quotes: write it without them"),
        ("'{}'", "is in quotes: write it without them"),
        ("`{}`", "is in quotes: write it without them"),
        ("“{}”", "is in typographic quotes: write it without them"),
        ("‘{}’", "is in typographic quotes: write it without them"),
        ("„{}“", "is in typographic quotes: write it without them"),
        ("’{}’", "is in typographic quotes: write it without them"),
        ("\ufeff{}", "begins with a byte order mark (BOM): save it as UTF-8 without one"),
        ("ï»¿{}", "begins with a byte order mark (BOM): save it as UTF-8 without one"),
        ("{}\0", "holds a NUL character: type it anew"),
        *(
            (text, "is or holds a reference to a variable that was not expanded: write the value itself")
            for text in ("${{SECRET}}", "$SECRET", "whsec_${{KEY}}", "${{SECRET:-}}", "$(cat secret)", "%SECRET%")
        ),
        ("{{{{ secret }}}}", "is or holds a reference to a variable that was not expanded: write the value itself"),
    ],
)
@pytest.mark.parametrize("name", ["STACK_WEBHOOK_SECRETS", "HEXCLAVE_WEBHOOK_SECRET", "DATABASE_URL", "HOST"])
def test_a_text_in_a_wrong_form_is_named_for_every_setting(name: str, text: str, problem: str) -> None:
    assert faults(**{name: text.format(HIDDEN)}) == [f"{name} {problem}."]


@pytest.mark.parametrize("text", ["pa$$word", "a$b", "$", "it's", '5" disk', "100%", "50% of %d", "Boss’", "’n", "’"])
def test_a_dollar_sign_a_quote_or_a_percent_sign_may_belong_to_a_value(text: str) -> None:
    assert load({"DEFAULT_DEPARTMENT": text}).shaping.default_department == text


def test_a_password_with_a_dollar_sign_is_no_reference() -> None:
    url = "postgresql://u:p$HOME@h/d"

    assert load({"DATABASE_URL": url}).database_url == url


def test_a_reference_inside_a_connection_string_is_named() -> None:
    assert faults(DATABASE_URL="postgresql://u:${PASSWORD}@h/d") == [
        "DATABASE_URL is or holds a reference to a variable that was not expanded: write the value itself."
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"v1,{HIDDEN}", "begins with v1, of a signature: the secret begins after it, with whsec_"),
        (f"v1a,{HIDDEN}", "begins with v1a, of a signature: the secret begins after it, with whsec_"),
        (f"{HIDDEN};{OTHER}", "holds a semicolon: separate secrets by spaces or commas"),
        (f"v1,{KEY}", "begins with v1, of a signature: the secret begins after it, with whsec_"),
        (
            f"whpk_{KEY}",
            "is a public key, half of an asymmetric pair; the signing secret starts with whsec_",
        ),
        (f"whsk_{KEY}", "is half of an asymmetric pair; the signing secret starts with whsec_"),
        (f"ssk_{KEY}", "is a key of Stack's API; the signing secret starts with whsec_"),
        (f"WHSEC_{KEY}", "has its prefix in capitals: write whsec_"),
        (f"whsec_{HIDDEN}", "has its prefix twice"),
        *((text, "has a quote at one end: write it without") for text in (f'{HIDDEN}"', f"{HIDDEN}”", f"‘{HIDDEN}")),
        ("whsec_…", f"is shortened, hidden or a placeholder: {COPY}"),
        (f"{HIDDEN[:20]}...", f"is shortened, hidden or a placeholder: {COPY}"),
        ("whsec_********************************", f"is shortened, hidden or a placeholder: {COPY}"),
        ("<secret>", f"is shortened, hidden or a placeholder: {COPY}"),
        (f"{HIDDEN}\u200b", f"holds an invisible character: {COPY}"),
        (HIDDEN[:-3], f"is not base64: {COPY}"),
        ("whsec_eA==", f"is empty or shorter than 16 bytes: {COPY}"),
        ("whsec_", f"is empty or shorter than 16 bytes: {COPY}"),
        ("whsec_" + "x" * 32, "is one byte or character repeated, which anybody can guess: make a new one"),
        *(
            (
                f"whsec_{base64.b64encode(bytes([byte]) * length).decode()}",
                "is one byte or character repeated, which anybody can guess: make a new one",
            )
            for byte, length in ((0, 24), (255, 32), (97, 25), (1, 16))
        ),
    ],
)
@pytest.mark.parametrize("name", ["STACK_WEBHOOK_SECRETS", "APP_WEBHOOK_SECRET"])
def test_an_unusable_secret_is_named_with_its_cure(name: str, text: str, problem: str) -> None:
    assert faults(**{name: text}) == [f"{name}: Webhook secret 1 of 1 {problem}."]


@pytest.mark.parametrize("separator", [" ", ",", "\n", "\t", "\u00a0"])
def test_white_space_inside_a_secret_is_named_even_if_both_parts_could_be_secrets(separator: str) -> None:
    long = base64.b64encode(bytes(range(48))).decode()

    assert faults(APP_WEBHOOK_SECRETS=f"whsec_{long[:32]}{separator}{long[32:]}") == [
        "APP_WEBHOOK_SECRETS: Webhook secret 2 of 2 does not begin with whsec_ as another does; "
        "a space or comma inside a secret splits it."
    ]


def test_a_version_stays_with_its_secret() -> None:
    assert faults(APP_WEBHOOK_SECRETS=f"{OTHER},v1,{HIDDEN}") == [
        "APP_WEBHOOK_SECRETS: Webhook secret 2 of 2 begins with v1, of a signature: "
        "the secret begins after it, with whsec_."
    ]


@pytest.mark.parametrize("app", [HIDDEN, KEY, f"{OTHER} {HIDDEN}", f" {HIDDEN},"])
def test_one_key_at_both_doors_is_refused(app: str) -> None:
    [problem] = faults(STACK_WEBHOOK_SECRETS=HIDDEN, APP_WEBHOOK_SECRETS=app)

    assert problem.startswith("STACK_WEBHOOK_SECRETS and APP_WEBHOOK_SECRETS hold the same key: ")


def test_one_key_at_both_doors_is_refused_by_the_names_that_are_set() -> None:
    [problem] = faults(HEXCLAVE_WEBHOOK_SECRET=HIDDEN, APP_WEBHOOK_SECRET=HIDDEN)

    assert problem.startswith("HEXCLAVE_WEBHOOK_SECRET and APP_WEBHOOK_SECRET hold the same key: ")
    assert problem.endswith(" Make another for APP_WEBHOOK_SECRET.")


def test_one_key_at_both_doors_is_refused_whatever_the_padding() -> None:
    key = base64.b64encode(bytes(range(16))).decode()

    assert len(faults(HEXCLAVE_WEBHOOK_SECRET=f"whsec_{key}", APP_WEBHOOK_SECRETS=key.rstrip("="))) == 1


@pytest.mark.parametrize(
    ("example", "expected"), [(example, True) for example in signing_secrets.EXAMPLES] + [(HIDDEN, False)]
)
def test_an_example_is_known_with_or_without_its_prefix(example: str, expected: bool) -> None:
    for text in (example, example.removeprefix("whsec_")):
        assert signing_secrets.are_examples([OTHER, text]) == expected


@pytest.mark.parametrize(
    ("name", "usual", "unusual"), [("TOLERANCE_SECONDS", 3600, 3601), ("MAX_BODY_BYTES", 524_288, 524_287)]
)
def test_an_unusual_limit_is_taken_with_a_warning(name: str, usual: int, unusual: int) -> None:
    assert load({name: str(usual)}).warnings == ()

    loaded = load({name: str(unusual)})

    assert getattr(loaded, name.lower()) == unusual
    assert [warning.split()[0] for warning in loaded.warnings] == [name]
