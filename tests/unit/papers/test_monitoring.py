"""The dashboard, the alerts and the page of metrics name what Hermes exposes, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from hermes_cli.cli.main import cli
from hermes_cli.config.schema import DASHBOARD_PORT, FIRST_PORT
from hermes_cli.gateway.request_metrics import ROUTES
from hermes_cli.gateway.run_metrics import OUTCOMES
from hermes_cli.status import ServiceReport, StatusReport
from hermes_cli.status.metrics import status_metrics

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "metrics.md").read_text("utf-8")
BOARD: dict[str, Any] = json.loads((DOCS / "grafana" / "hermes.json").read_text("utf-8"))
RULES: dict[str, Any] = yaml.safe_load((DOCS / "prometheus" / "rules.yml").read_text("utf-8"))
SCRAPE: dict[str, Any] = yaml.safe_load((DOCS / "prometheus" / "scrape.yml").read_text("utf-8"))

_ROW = re.compile(r"^\| `([a-z_]+)` \| (gauge|counter|histogram) \| (.*?) \| (.+?) \|$", re.MULTILINE)
_OF_THE_SCRAPE = frozenset({"job", "instance", "profile"})


class Listed(NamedTuple):
    kind: str
    labels: frozenset[str]
    meaning: str


LISTED = {
    name: Listed(kind, frozenset(re.findall("`([a-z]+)`", labels)), meaning)
    for name, kind, labels, meaning in _ROW.findall(PAGE)
}


def exposed_names() -> Iterator[tuple[str, frozenset[str]]]:
    """Every name a query can have, with the labels its series have."""
    for name, listed in LISTED.items():
        if listed.kind == "histogram":
            yield f"{name}_bucket", listed.labels | {"le"}
            yield f"{name}_sum", listed.labels
            yield f"{name}_count", listed.labels
        else:
            yield name, listed.labels


EXPOSED = dict(exposed_names())


def queries() -> Iterator[tuple[str, str]]:
    for panel in BOARD["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for note in BOARD["annotations"]["list"]:
        yield note["name"], note["expr"]
    for group in RULES["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


QUERIES = list(queries())

_TOKEN = re.compile(
    r"""(?P<string>"[^"]*") | (?P<name>[a-zA-Z_:][\w:]*) | (?P<range>\[[^\]]*\]) | (?P<other>\S)""",
    re.VERBOSE,
)
_WORDS = frozenset({"and", "or", "unless", "by", "without", "on", "ignoring", "bool", "group_left"})
_TAKE_LABELS = frozenset({"by", "without", "on", "ignoring"})
_AFTER_CALLS = frozenset({"(", "by", "without"})
"""What follows the name of a function or of an aggregation, and never that of a metric."""


def read(query: str) -> Iterator[tuple[str, set[str]]]:
    """Each metric of a query with the labels that choose its series. Functions are names before a bracket."""
    tokens = [match for match in _TOKEN.finditer(query) if match.lastgroup != "range"]
    skipping = 0
    for number, token in enumerate(tokens):
        following = tokens[number + 1].group() if number + 1 < len(tokens) else ""
        if skipping:
            skipping -= token.group() in ")}"
        elif token.group() in _TAKE_LABELS or token.group() == "{":
            skipping = 1
        elif token.lastgroup == "name" and token.group() not in _WORDS and following not in _AFTER_CALLS:
            name = token.group()
            chosen = set()
            if following == "{":
                inside = query[token.end() : query.index("}", token.end())]
                chosen = set(re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', inside))
            yield name, chosen


def test_the_reader_of_queries_finds_names_and_labels() -> None:
    query = 'sum by (le, a) (rate(x_bucket{b=~"c|d", e!="f{}"}[5m])) / on (g) (y == 1) unless z or vector(0)'
    assert list(read(query)) == [("x_bucket", {"b", "e"}), ("y", set()), ("z", set())]


@pytest.mark.parametrize(("where", "query"), QUERIES, ids=[where for where, _ in QUERIES])
def test_a_query_asks_for_what_there_is(where: str, query: str) -> None:
    found = list(read(query))
    assert found
    for name, labels in found:
        assert name in EXPOSED, f"{where} asks for {name}, which nothing exposes"
        assert labels <= EXPOSED[name] | _OF_THE_SCRAPE, f"{where}: {name} has no {labels - EXPOSED[name]}"
    for opening, closing in ("()", "{}", "[]"):
        assert query.count(opening) == query.count(closing)


def test_rates_are_of_counters_and_quantiles_of_histograms() -> None:
    for where, query in QUERIES:
        for name in re.findall(r"(?:rate|increase)\(([a-z_]+)", query):
            kind = LISTED.get(name, LISTED.get(name.removesuffix("_bucket"))).kind  # type: ignore[union-attr]
            assert kind in ("counter", "histogram"), f"{where}: {name} is a {kind}"
        for name in re.findall(r"histogram_quantile\([^)]*?rate\(([a-z_]+)", query):
            assert name.endswith("_bucket"), where


def test_labels_are_compared_with_values_that_there_are() -> None:
    known = {"route": set(ROUTES), "outcome": set(OUTCOMES), "kind": {"gateway"}, "job": {"hermes-gateway"}}
    for where, query in QUERIES:
        for label, values in re.findall(r'(\w+)(?:=~|!~|=)"([^"$]+)"', query):
            if label in known:
                assert set(values.split("|")) <= known[label], where


def test_the_page_lists_what_the_installation_exposes() -> None:
    """What a gateway exposes is compared with a real one, in tests/integration/gateway/test_metrics.py."""
    row = ServiceReport(
        service="gateway-default",
        profile="default",
        actual="parked",
        uptime_seconds=1.0,
        restarts=1,
        last_exit="exit 1",
        memory_bytes=1,
        cpu_seconds=1.0,
        active_runs=1,
        processes=1,
    )
    report = StatusReport(healthy=False, problems=["x"], home="/", services=[row])
    found = {
        family.name + ("_total" if family.type == "counter" else ""): Listed(
            family.type,
            frozenset(label for sample in family.samples for label in sample.labels),
            family.documentation.removesuffix("."),
        )
        for family in text_string_to_metric_families(status_metrics(report))
    }
    of_the_page = {
        name: listed
        for name, listed in LISTED.items()
        if name.startswith(("hermes_installation_", "hermes_service_", "hermes_volume_"))
    }
    assert of_the_page == found


def test_every_metric_is_on_the_page_once() -> None:
    names = [name for name, *_ in _ROW.findall(PAGE)]
    assert len(names) == len(set(names)) > 40


def test_grafana_can_import_the_dashboard() -> None:
    assert BOARD["schemaVersion"] >= 36
    assert BOARD["uid"]
    assert "id" not in BOARD, "a number of one Grafana, which another has given to something else"
    source, profile = BOARD["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")
    assert (profile["name"], profile["type"], profile["multi"]) == ("profile", "query", True)
    metric, label = re.fullmatch(r"label_values\((\w+)\{.*\}, (\w+)\)", profile["definition"]).groups()  # type: ignore[union-attr]
    assert label in EXPOSED[metric]
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in BOARD["panels"]:
        if panel["type"] == "row":
            continue
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert all(one == {"type": "prometheus", "uid": "${datasource}"} for one in sources), panel["title"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)


def test_no_panel_covers_another_or_leaves_the_page() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, f"{panel['title']} covers {taken[x, y]}"
                taken[x, y] = panel["title"]


def test_an_alert_says_what_is_and_what_to_do() -> None:
    alerts = [rule for group in RULES["groups"] for rule in group["rules"]]
    assert len({alert["alert"] for alert in alerts}) == len(alerts)
    for alert in alerts:
        assert alert["labels"]["severity"] in ("warning", "critical")
        assert alert["annotations"]["summary"]
        assert alert["annotations"]["description"].endswith(".")
        shown = " ".join(alert["annotations"].values())
        labels = frozenset().union(*(EXPOSED[name] for name, _ in read(alert["expr"]))) | _OF_THE_SCRAPE
        assert set(re.findall(r"\$labels\.(\w+)", shown)) <= labels, alert["alert"]


def test_the_commands_that_alerts_name_are_there() -> None:
    shown = " ".join(
        rule["annotations"]["description"] for group in RULES["groups"] for rule in group["rules"]
    )
    for command in re.findall(r"'hermes ([^']+)'", shown):
        words = [word for word in re.sub(r"-p \{\{.*?\}\}", "", command).split() if not word.startswith("{")]
        names = words[: next((n for n, word in enumerate(words) if word.startswith("-")), len(words))]
        help_of = CliRunner().invoke(cli, [*names, "--help"])
        assert help_of.exit_code == 0, command


def test_the_scrape_is_of_the_ports_that_hermes_has_and_names_the_profile() -> None:
    jobs = {job["job_name"]: job for job in SCRAPE["scrape_configs"]}
    assert jobs["hermes"]["static_configs"][0]["targets"] == [f"127.0.0.1:{DASHBOARD_PORT}"]
    gateways = [job["static_configs"][0] for name, job in jobs.items() if name != "hermes"]
    assert [job["targets"][0] for job in gateways] == [f"127.0.0.1:{FIRST_PORT + n}" for n in range(2)]
    assert [job["labels"]["profile"] for job in gateways] == ["default", "coder"]
    assert {job["labels"]["job"] for job in gateways} == {"hermes-gateway"}
    assert all("credentials_file" in job["authorization"] for job in jobs.values())
