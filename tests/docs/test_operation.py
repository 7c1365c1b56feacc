"""The dashboard and the alerts: each of their queries finds what a run of the kit exposes.

Prometheus's own promtool evaluates them, where it is installed (Debian's package prometheus).
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Metric

import streamkit
from streamkit import Channel, StreamingService
from streamkit.channels.metrics import count_reader
from streamkit.testing import connect
from streamkit_adapters import wsgi

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "operation"
RULES = FOLDER / "prometheus-rules.yml"
DASHBOARD = json.loads((FOLDER / "grafana-dashboard.json").read_text())

PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
ALERTS = dict(re.findall(r"- alert: (\w+)\n +expr: (.+)", RULES.read_text()))

QUERIES = {
    f"{panel['title']} {target['refId']}": target["expr"]
    for panel in PANELS
    for target in panel["targets"]
} | ALERTS

VARIABLES = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}

TARGET = {"job": "shop", "instance": "shop:8000"}
"""What Prometheus adds to all that it scrapes."""

promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="needs promtool: apt-get install prometheus"
)


@pytest.fixture(scope="module")
def exposed() -> Iterator[list[Metric]]:
    """What there is when all that is counted has happened, and a stream is open still."""
    registry = CollectorRegistry()
    streamkit.metrics.use(registry)
    try:
        with running():
            families = [*registry.collect()]
        yield [family for family in families if not family.name.endswith("_created")]
    finally:
        streamkit.metrics.use(REGISTRY)


@contextmanager
def running() -> Iterator[None]:
    list(StreamingService.export("orders", [{"id": 1}], "ndjson"))
    list(StreamingService.download(b"abc", filename="a.bin"))
    list(StreamingService.sse("ticks", [{"id": "a\nb", "data": "refused"}], lambda event: event))
    with suppress(LookupError):
        list(StreamingService.export("orders", failing(), "ndjson"))
    orders = Channel("orders")

    def view(environ: Any, start_response: Any) -> Any:
        return wsgi.StreamingService.sse("live", orders)(environ, start_response)

    app = wsgi.StreamkitMiddleware(view, max_streams=1)
    with connect(app) as client:
        orders.publish({"id": 1})
        client.event()
        with connect(app) as rejected:
            assert rejected.status == 503
    with connect(app, headers={"Last-Event-ID": "7-7"}) as client:
        assert client.event().type == "gap"
        # As the thread does that reads from Redis.
        count_reader(is_up=True)
        yield


def failing() -> Iterator[Any]:
    yield {"id": 1}
    raise LookupError("no such order")


def test_everything_that_is_counted_is_shown(exposed: list[Metric]) -> None:
    shown = " ".join(QUERIES.values())
    assert [family.name for family in exposed if family.name not in shown] == []


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_names_what_is_exposed(name: str, exposed: list[Metric]) -> None:
    query = QUERIES[name]
    labels: dict[str, set[str]] = {}
    for family in exposed:
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    found = re.findall(r"\b((?:stream|channel)_\w+)(?:\{([^}]*)\})?", query)
    assert found
    assert {series for series, _ in found} <= labels.keys()
    for series, matchers in found:
        matched = set(re.findall(r"(\w+)(?:=~|!~|!=|=)", matchers))
        assert matched <= labels[series] | TARGET.keys()
    known = TARGET.keys() | set().union(*(labels[series] for series, _ in found))
    for grouping in re.findall(r"by \(([^)]*)\)", query):
        assert set(grouping.split(", ")) <= known


@pytest.mark.parametrize("panel", PANELS, ids=[panel["title"] for panel in PANELS])
def test_a_panel_is_told_by_the_labels_of_its_queries(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        [kept, *_] = re.findall(r"by \(([^)]*)\)", target["expr"])
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) == {*kept.split(", ")} - {
            "le"
        }
        assert set(re.findall(r"\$(\w+)", target["expr"])) <= VARIABLES.keys() | {"__rate_interval"}


def test_no_panel_lies_upon_another() -> None:
    places = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for at in [panel["gridPos"]]
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(places) == len(set(places))
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def series(exposed: list[Metric]) -> list[dict[str, str]]:
    """As if the run went on and on: counters grow by as much with each minute."""
    return [
        {
            "series": selector(sample.name, **sample.labels),
            "values": f"{sample.value}+{0 if family.type == 'gauge' else sample.value}x60",
        }
        for family in exposed
        for sample in family.samples
        if not sample.name.endswith("_created")
    ]


def selector(name: str, **labels: str) -> str:
    pairs = ", ".join(f"{key}={json.dumps(value)}" for key, value in (TARGET | labels).items())
    return f"{name}{{{pairs}}}"


def check(folder: Path, *tests: dict[str, Any]) -> None:
    # JSON is YAML.
    file = folder / "tests.yml"
    content = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}
    file.write_text(json.dumps(content))
    ended = subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@promtool
def test_promtool_takes_the_rules() -> None:
    subprocess.run(["promtool", "check", "rules", str(RULES)], check=True, capture_output=True)


@promtool
def test_each_query_of_the_dashboard_finds_something(exposed: list[Metric], tmp_path: Path) -> None:
    def ready(query: str) -> str:
        query = query.replace("$__rate_interval", "5m")
        return re.sub(r"\$\w+", ".*", query)

    found = [
        {
            "expr": f"sum(({ready(target['expr'])}) > bool -1) > bool 0",
            "eval_time": "30m",
            "exp_samples": [{"labels": "{}", "value": 1}],
        }
        for panel in PANELS
        for target in panel["targets"]
    ]
    check(
        tmp_path,
        {"interval": "1m", "input_series": series(exposed), "promql_expr_test": found},
    )


STREAM = {"kind": "export", "stream": "orders", "tenant": "system"}

CASES: dict[str, tuple[list[tuple[str, dict[str, str], str]], str]] = {
    "StreamsFail": (
        [
            ("stream_closed_total", {**STREAM, "outcome": "failed"}, "0+{}x60"),
            ("stream_closed_total", {**STREAM, "outcome": "completed"}, "0+100x60"),
        ],
        "6 5",
    ),
    "StreamsAreRejected": ([("stream_rejected_total", STREAM, "0+{}x60")], "1 0"),
    "StreamsNearLimit": (
        [
            ("stream_active", STREAM, "{}x60"),
            ("stream_active", {**STREAM, "tenant": "acme"}, "40x60"),
            ("stream_max_active", {}, "100x60"),
        ],
        "41 40",
    ),
    "ClientsAreTooSlow": (
        [
            ("stream_dropped_total", STREAM, "0+{}x60"),
            ("stream_elements_total", STREAM, "0+1000x60"),
        ],
        "11 10",
    ),
    "EventsAreRefused": ([("stream_refused_total", STREAM, "0+{}x60")], "1 0"),
    "StreamsStartLate": (
        [
            ("stream_first_byte_seconds_bucket", {**STREAM, "le": "5.0"}, "0+{}x60"),
            ("stream_first_byte_seconds_bucket", {**STREAM, "le": "10.0"}, "0+100x60"),
            ("stream_first_byte_seconds_bucket", {**STREAM, "le": "+Inf"}, "0+100x60"),
        ],
        "89 91",
    ),
    "ChannelsAreCutOff": ([("channel_reader_up", {}, "{}x60")], "0 1"),
    "SubscribersMissEvents": (
        [
            ("channel_gaps_total", {"channel": "orders"}, "0+{}x60"),
            ("channel_subscribers", {"channel": "orders"}, "15x60"),
        ],
        "2 1",
    ),
}
"""Of each alert series, with a figure that is enough for it and one that is not."""


@promtool
@pytest.mark.parametrize("alert", CASES)
def test_an_alert_is_given_where_it_should_be_and_nowhere_else(alert: str, tmp_path: Path) -> None:
    inputs, figures = CASES[alert]

    def outcome(figure: str, *, fires: bool) -> dict[str, Any]:
        firing = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) or vector(0)'
        expected = {"expr": firing, "eval_time": "50m"}
        return {
            "interval": "1m",
            "input_series": [
                {"series": selector(name, **labels), "values": values.format(figure)}
                for name, labels, values in inputs
            ],
            "promql_expr_test": [
                expected | {"exp_samples": [{"labels": "{}", "value": int(fires)}]}
            ],
        }

    enough, not_enough = figures.split()
    check(tmp_path, outcome(enough, fires=True), outcome(not_enough, fires=False))


@promtool
def test_an_alert_waits_for_what_passes_by_itself(tmp_path: Path) -> None:
    """A deployment, in which streams are rejected for a minute and the readers begin anew."""
    restart = [
        {"series": selector("stream_rejected_total", **STREAM), "values": "0x20 5x40"},
        {"series": selector("channel_reader_up"), "values": "1x20 0 1x40"},
    ]
    firing = {"expr": 'ALERTS{alertstate="firing"}', "exp_samples": []}
    times = [firing | {"eval_time": f"{minute}m"} for minute in range(60)]
    check(tmp_path, {"interval": "1m", "input_series": restart, "promql_expr_test": times})


def test_each_alert_has_a_case_and_a_row_on_the_page() -> None:
    severities = re.findall(r"- alert: (\w+)(?:\n .+)+?\n +severity: (\w+)", RULES.read_text())
    page = (FOLDER.parent / "metrics.md").read_text()
    assert ALERTS.keys() == CASES.keys()
    assert re.findall(r"^\| `([A-Z]\w+)` \| (\w+) \|", page, re.M) == severities
