"""Each alert rule parses, names metrics and labels that exist, and fires on its fault and on nothing else."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import promql_parser as promql
import pytest
import yaml
from prometheus_client.metrics_core import InfoMetricFamily, Metric

from consumer.events.registry import EVENT_TYPES
from consumer.gauges import JobTimes, StoreState, Tables
from consumer.metrics import Metrics
from consumer.verdict.findings import CODES, open_findings
from consumer.verdict.queue import DYING_MIN
from consumer.verdict.senders import UNMATCHED_MIN
from tests.support.processes import ROOT
from tests.support.promql import Scrape, Scrapes, evaluate, fires, scrape, selectors, values

[GROUP] = yaml.safe_load((ROOT / "docs" / "prometheus" / "alerts.yaml").read_text())["groups"]
RULES = {rule["alert"]: rule for rule in GROUP["rules"]}
PAGE = (ROOT / "docs" / "ALERTS.md").read_text()
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
SOUND = Tables(
    deliveries={"pending": 40, "retrying": 0, "dead": 0},
    last_received={"stack": NOW - timedelta(hours=23)},
    oldest_due_seconds=60,
    oldest_xmin_seconds=3600,
    clock_skew_seconds=-60,
    rebuild_waiting_subjects={"company": 0, "user": 10_000, "named_by_users": 0},
    rehome_waiting_companies=1,
    oldest_received=NOW - timedelta(days=900),
    migrations_pending=0,
    jobs={"prune": JobTimes(NOW - timedelta(hours=23), NOW, is_failed=False)},
)
POOL = {"pool_size": 3, "requests_errors": 2}
every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


def metrics() -> Metrics:
    found = Metrics(EVENT_TYPES)
    found.is_ready = True
    return found


@dataclass
class Installation:
    """A receiver, a worker and what Prometheus scrapes of them; sound, but for what a test changes."""

    receiver: Metrics = field(default_factory=metrics)
    worker: Metrics = field(default_factory=metrics)
    pool: dict[str, int] = field(default_factory=lambda: dict(POOL))
    is_receiver_scraped: bool = True
    other_version: str | None = None

    def __post_init__(self) -> None:
        self.receiver.store = lambda: StoreState(8_000, 60_000_000, self.pool)
        self.worker.tables = SOUND
        self.worker.findings = open_findings([])

    def work(self) -> None:
        """Let a hundred deliveries come, one in a hundred of them slowly, and ten users be made anew."""
        self.receiver.received("stored", 100)
        self.receiver.received("dead")
        self.receiver.refused("not_found")
        self.receiver.refused("no_match", deliveries=UNMATCHED_MIN - 1)
        for n in range(100):
            self.receiver.observe_receive(4.0 if n == 99 else 0.01)
            self.worker.observe_batch(0.05, 1, 40.0 if n == 99 else 0.02)
        self.worker.applied("user.created", "applied", deliveries=99)
        self.worker.buried(deliveries=DYING_MIN - 1)
        self.worker.failed("transient")
        for _ in range(2):
            self.worker.failed("ours")
        self.worker.rebuilt("user", deliveries=10)
        self.worker.differing("profile", deliveries=10)

    def scrape(self) -> Scrape:
        found: dict[str, Iterable[Metric]] = {"worker": self.worker.registry.collect()}
        if self.is_receiver_scraped:
            found["receiver"] = self.receiver.registry.collect()
        if self.other_version:
            found["old"] = [InfoMetricFamily("consumer_build", "", {"version": self.other_version})]
        return scrape(found)

    def find(self, code: str, gravity: str) -> None:
        """Let a finding be open."""
        self.worker.findings = {**self.worker.findings, (code, gravity): True}

    def tell(self, **values: object) -> None:
        """Let the tables have other values."""
        self.worker.tables = replace(SOUND, **values)  # type: ignore[arg-type]  # The field's own type, by its name.


def receives_slowly(there: Installation) -> None:
    for _ in range(3):
        there.receiver.observe_receive(1.1)


def applies_slowly(there: Installation) -> None:
    for _ in range(3):
        there.worker.observe_batch(0.1, 1, 2.0)


def refuses_all(there: Installation) -> None:
    there.receiver = metrics()
    there.__post_init__()
    there.receiver.refused("no_match", deliveries=UNMATCHED_MIN)


FAULTS: Mapping[str, Callable[[Installation], object]] = {
    "ConsumerNotReady": lambda there: setattr(there.worker, "is_ready", False),
    "ConsumerReceiverMissing": lambda there: setattr(there, "is_receiver_scraped", False),
    "ConsumerQueueUnread": lambda there: setattr(there.worker, "tables", None),
    "ConsumerQueueStale": lambda there: there.tell(oldest_due_seconds=61),
    "ConsumerDeliveriesSlow": applies_slowly,
    "ConsumerReceiverSlow": receives_slowly,
    "ConsumerStackSilent": lambda there: there.tell(last_received={"stack": NOW - timedelta(hours=24, seconds=1)}),
    "ConsumerStackNeverReceived": lambda there: there.tell(last_received={"app": NOW}),
    "ConsumerStoreUnavailable": lambda there: there.receiver.refused("store_unavailable"),
    "ConsumerPoolExhausted": lambda there: there.pool.update(requests_errors=3),
    "ConsumerSignaturesRefused": lambda there: there.receiver.refused("no_match"),
    "ConsumerEverythingRefused": refuses_all,
    "ConsumerDeliveriesDying": lambda there: there.worker.buried(),
    "ConsumerDeadLetters": lambda there: there.tell(deliveries={"pending": 0, "retrying": 0, "dead": 1}),
    "ConsumerRetriesPersist": lambda there: there.tell(deliveries={"pending": 0, "retrying": 1, "dead": 0}),
    "ConsumerWorkerPaused": lambda there: there.worker.failed("ours"),
    "ConsumerRebuildStuck": lambda there: there.worker.rebuild_postponed("user"),
    "ConsumerMigrationsPending": lambda there: there.tell(migrations_pending=1),
    "ConsumerVersionsDiffer": lambda there: setattr(there, "other_version", "0.0.9"),
    "ConsumerClockSkewed": lambda there: there.tell(clock_skew_seconds=-60.1),
    "ConsumerOldTransaction": lambda there: there.tell(oldest_xmin_seconds=3601),
    "ConsumerFindingFailing": lambda there: there.find("dying", "failing"),
    "ConsumerFindingOpen": lambda there: there.find("maintenance_failed", "warning"),
    "ConsumerFieldsChanged": lambda there: there.receiver.changed_field("teams"),
}
# What fires beside it, because it is a part of the fault.
BESIDE = {"ConsumerEverythingRefused": {"ConsumerSignaturesRefused"}}


def fired(fault: Callable[[Installation], object]) -> set[str]:
    """Return the alerts whose expressions hold after some work with a fault."""
    there = Installation()
    before = there.scrape()
    there.work()
    fault(there)
    scrapes = Scrapes([(NOW.timestamp() - 15, before), (NOW.timestamp(), there.scrape())])
    return {name for name, rule in RULES.items() if evaluate(rule["expr"], scrapes)}


def wait(rule: Mapping[str, Any]) -> float:
    """Return the seconds for which a rule's expression must hold before it fires."""
    return promql.parse_duration(rule["for"]).total_seconds()


def fired_after(seconds: float, rule: Mapping[str, Any], faults: Sequence[Callable[[Installation], object]]) -> bool:
    """Tell whether a rule fires so long after the first of these faults, which come evenly one after the other."""
    there = Installation()
    before = there.scrape()
    there.work()
    made = [(NOW.timestamp() - 15, before)]
    for step, fault in enumerate(faults):
        fault(there)
        made.append((NOW.timestamp() + step * seconds / (len(faults) - 1), there.scrape()))
    return fires(rule["expr"], wait(rule), Scrapes(made))


def test_nothing_fires_on_a_sound_installation_close_to_every_limit() -> None:
    assert fired(lambda _: None) == set()


@pytest.mark.parametrize("name", RULES)
def test_an_alert_fires_on_its_fault_and_no_other_does(name: str) -> None:
    assert fired(FAULTS[name]) == {name} | BESIDE.get(name, set())


@pytest.mark.parametrize("name", RULES)
def test_an_alert_fires_once_its_fault_has_lasted_as_long_as_the_rule_waits(name: str) -> None:
    rule = RULES[name]
    lasting = [FAULTS[name]] * 11

    assert fired_after(wait(rule), rule, lasting)
    assert not fired_after(wait(rule) - 1, rule, lasting)


@pytest.mark.parametrize(
    "name", [name for name, rule in RULES.items() if not re.search(r"(increase|rate)\(", rule["expr"])]
)
def test_a_fault_begins_anew_after_a_moment_without_it(name: str) -> None:
    rule = RULES[name]
    faulty, sound = Installation(), Installation()
    FAULTS[name](faulty)
    seen = [faulty, sound, faulty, faulty]
    made = [(NOW.timestamp() + step * wait(rule) / 2, there.scrape()) for step, there in enumerate(seen)]

    assert not fires(rule["expr"], wait(rule), Scrapes(made))
    assert fires(rule["expr"], wait(rule), Scrapes([made[0], *made[2:]]))


@pytest.mark.parametrize(
    ("count", "alerts"),
    [
        (1, set()),
        (UNMATCHED_MIN - 1, set()),
        (UNMATCHED_MIN, {"ConsumerSignaturesRefused", "ConsumerEverythingRefused"}),
    ],
)
def test_a_stranger_s_requests_in_a_quiet_quarter_of_an_hour_alarm_by_the_limit_of_the_finding(
    count: int, alerts: set[str]
) -> None:
    there = Installation()
    made = [(NOW.timestamp(), there.scrape())]
    there.receiver.refused("no_match", deliveries=count)
    made += [(NOW.timestamp() + 60 * minute, there.scrape()) for minute in range(1, 13)]

    assert {name for name, rule in RULES.items() if fires(rule["expr"], wait(rule), Scrapes(made))} == alerts
    assert RULES["ConsumerSignaturesRefused"]["labels"]["severity"] == "warning"


def test_a_stranger_beside_deliveries_wakes_nobody() -> None:
    there = Installation()
    made = [(NOW.timestamp(), there.scrape())]
    for minute in range(1, 31):
        there.receiver.refused("no_match", deliveries=UNMATCHED_MIN)
        there.receiver.received("stored")
        made.append((NOW.timestamp() + 60 * minute, there.scrape()))

    assert {name for name, rule in RULES.items() if fires(rule["expr"], wait(rule), Scrapes(made))} == {
        "ConsumerSignaturesRefused"
    }


# Of the findings that are warnings: those that other rules notice, by their own limits.
NOTICED = {
    "dead",
    "worker_paused",
    "refused",
    "skew",
    "source_silent",
    "nothing_received",
    "xmin_held",
    "release_older",
}


@pytest.mark.parametrize(("code", "gravities"), CODES.items())
def test_each_finding_is_noticed(code: str, gravities: Sequence[str]) -> None:
    for gravity in set(gravities) - {"note"}:
        if gravity == "failing":
            expected = {"ConsumerFindingFailing"}
        else:
            expected = set[str]() if code in NOTICED else {"ConsumerFindingOpen"}

        assert fired(partial(Installation.find, code=code, gravity=gravity)) == expected


def exposed() -> dict[str, dict[str, set[str]]]:
    """Return every sample that a receiver and a worker expose, with the values of its labels."""
    found: dict[str, dict[str, set[str]]] = {}
    for name, vector in Installation().scrape().items():
        for labels in vector:
            for label, value in labels:
                found.setdefault(name, {}).setdefault(label, set()).add(value)
    return found


@every_rule
def test_metrics_and_labels_of_a_rule_exist(rule: dict[str, Any]) -> None:
    known = exposed()
    expression = promql.parse(rule["expr"])
    named = {label for text in re.findall(r"by \(([^)]*)\)", rule["expr"]) for label in re.findall(r"\w+", text)}
    told = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))

    for selector in selectors(expression):
        labels = known[selector.name or ""]
        assert {matcher.name for matcher in selector.matchers.matchers} | named <= labels.keys()
        assert all(set(values(matcher)) <= labels[matcher.name] for matcher in selector.matchers.matchers)
        assert told <= labels.keys()


@every_rule
def test_a_rule_waits_long_enough_for_a_scrape_and_no_longer_than_its_event_is_seen(rule: dict[str, Any]) -> None:
    waits = promql.parse_duration(rule["for"])
    limit = timedelta(minutes=5) if rule["labels"]["severity"] == "critical" else timedelta(days=1)
    ranges = [promql.parse_duration(text) for text in re.findall(r"increase\([^[]*\[(\w+)]", rule["expr"])]

    assert timedelta(minutes=1) <= waits <= limit
    assert all(waits < seconds for seconds in ranges)


@every_rule
def test_a_rule_has_severity_texts_and_a_runbook(rule: dict[str, Any]) -> None:
    annotations = rule["annotations"]
    [anchor] = re.findall(r" Runbook: docs/ALERTS\.md#(\S+)$", annotations["description"])

    assert re.fullmatch(r"Consumer[A-Z]\w+", rule["alert"])
    assert rule["labels"] in [{"severity": severity} for severity in ("critical", "warning", "info")]
    assert annotations.keys() == {"summary", "description"}
    assert anchor == rule["alert"].lower()
    assert not annotations["summary"].endswith(".")


def test_the_page_explains_every_rule_in_their_order_and_no_other() -> None:
    assert re.findall(r"^## (.+)$", PAGE, re.MULTILINE) == list(RULES)
    assert len(RULES) == len(GROUP["rules"])
    sections = PAGE.split("\n## ")[1:]
    assert all(len(section) > 100 for section in sections)
    assert all(one != other for one, other in pairwise(sections))
