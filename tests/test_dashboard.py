"""The Grafana dashboard can be imported anywhere, and asks only for metrics and labels that exist."""

import json
import re
from itertools import combinations
from typing import Any

import promql_parser as promql
import pytest

from tests.support.processes import ROOT
from tests.support.promql import selectors, values
from tests.test_alerts import exposed

FILE = ROOT / "docs" / "grafana" / "dashboard.json"
DASHBOARD: dict[str, Any] = json.loads(FILE.read_text())
PANELS = {panel["title"]: panel for panel in DASHBOARD["panels"] if panel["type"] != "row"}
QUERIES = [(title, target["expr"], target["legendFormat"]) for title, p in PANELS.items() for target in p["targets"]]
METRICS_PAGE = (ROOT / "docs" / "METRICS.md").read_text()
# Of Grafana itself; any other type is a plug-in.
BUILT_IN = {"row", "stat", "timeseries"}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# Of the name of a histogram, what a scrape exposes.
SUFFIXES = re.compile(r"_(bucket|sum|count)$")
every_panel = pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS)


def parsed(expression: str) -> promql.Expr:
    return promql.parse(expression.replace("$__rate_interval", "1m"))


def test_an_import_asks_for_the_data_source_and_nothing_else() -> None:
    [variable] = DASHBOARD["templating"]["list"]
    named = set(re.findall(r"\$\{?(\w+)", FILE.read_text())) - {"__rate_interval"}

    assert (variable["name"], variable["type"], variable["query"]) == ("datasource", "datasource", "prometheus")
    assert named == {"datasource"}
    assert "__inputs" not in DASHBOARD
    assert "id" not in DASHBOARD


def test_the_dashboard_is_of_a_schema_that_grafana_10_reads_and_needs_no_plug_in() -> None:
    assert DASHBOARD["schemaVersion"] == 39
    assert {panel["type"] for panel in DASHBOARD["panels"]} == BUILT_IN
    assert DASHBOARD["uid"]
    assert DASHBOARD["title"]


def test_five_rows_hold_panels_that_do_not_overlap() -> None:
    panels = DASHBOARD["panels"]
    rows = [panel for panel in panels if panel["type"] == "row"]
    places = [panel["gridPos"] for panel in panels]

    assert len(rows) == 5
    assert panels[0]["type"] == "row"
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(PANELS) + len(rows) == len(panels)
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for place in places)
    assert not [pair for pair in combinations(places, 2) if overlap(*pair)]


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(
        one[start] < other[start] + other[size] and other[start] < one[start] + one[size]
        for start, size in (("x", "w"), ("y", "h"))
    )


@every_panel
def test_a_panel_has_a_sentence_a_unit_and_the_chosen_source(panel: dict[str, Any]) -> None:
    assert panel["description"]
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert [panel["datasource"], *(target["datasource"] for target in panel["targets"])] == [SOURCE] * (
        1 + len(panel["targets"])
    )
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


@pytest.mark.parametrize(("title", "expression", "legend"), QUERIES, ids=[f"{q[0]}: {q[2]}" for q in QUERIES])
def test_a_query_parses_and_names_metrics_and_labels_that_exist(title: str, expression: str, legend: str) -> None:
    known = exposed()
    grouped = {label for text in re.findall(r"(?:by|on) \(([^)]*)\)", expression) for label in re.findall(r"\w+", text)}
    shown = set(re.findall(r"\{\{(\w+)\}\}", legend))
    found = list(selectors(parsed(expression)))

    assert found
    for selector in found:
        labels = known[selector.name or ""]
        matched = {matcher.name for matcher in selector.matchers.matchers}
        assert matched | grouped | shown <= labels.keys()
        assert all(set(values(matcher)) <= labels[matcher.name] for matcher in selector.matchers.matchers)
    if re.match(r"(sum|max|count) by", expression):
        assert shown <= grouped


def test_the_dashboard_shows_every_metric_of_ours() -> None:
    documented = set(re.findall(r"^\| `(consumer_[a-z_]+)`", METRICS_PAGE, re.MULTILINE))
    shown = {SUFFIXES.sub("", each.name or "") for _, query, _ in QUERIES for each in selectors(parsed(query))}

    assert documented - shown == set()
