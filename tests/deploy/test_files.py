"""The deployment files say what the product does: commands, metrics and folders that exist."""

from __future__ import annotations

import json
import operator
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import web
from connector import cli, config, db

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def commands() -> set[str]:
    """Every `forbear ...` that the files start."""
    found = set(re.findall(r"^\w+: forbear (\w+)", (ROOT / "Procfile").read_text(), re.M))
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    found |= {
        service["command"][1]
        for service in compose["services"].values()
        if service.get("command", [""])[0] == "forbear"
    }
    for unit in (DEPLOY / "systemd").glob("*.service"):
        found |= set(re.findall(r"/bin/forbear (\w+)", unit.read_text()))
    found |= set(re.findall(r'CMD \["forbear", "(\w+)"', (DEPLOY / "Dockerfile").read_text()))
    return found


def settings_in(text: str) -> set[str]:
    return {name.removeprefix("FORBEAR_") for name in re.findall(r"\bFORBEAR_[A-Z_]+", text)}


def test_every_setting_that_a_file_makes_is_one_of_ours() -> None:
    files = [
        DEPLOY / "Dockerfile",
        DEPLOY / "compose.yaml",
        *(DEPLOY / "systemd").iterdir(),
        ROOT / "README.md",
    ]
    named = set().union(*(settings_in(file.read_text()) for file in files))
    assert "LISTEN" in named
    assert named <= config.KNOWN


def test_every_command_that_is_started_exists() -> None:
    started = commands()
    assert started == {"migrate", "web", "worker", "clock", "up"}
    for name in started:
        with pytest.raises(SystemExit) as ended:
            cli.main([name, "--help"])
        assert ended.value.code == 0


def test_the_procfile_has_the_four_processes_of_a_hosting_platform() -> None:
    lines = (ROOT / "Procfile").read_text().split("\n")
    assert [line.split(":")[0] for line in lines if line] == ["release", "web", "worker", "clock"]


def test_the_image_holds_every_package_and_runs_as_nobody_special() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"][
        "include"
    ]
    for package in packages:
        name = package.rstrip("*")
        assert f"COPY {name} {name}\n" in text
    for source in re.findall(r"^COPY (?!--)(.+) \S+$", text, re.M):
        for one in source.split():
            assert (ROOT / one).exists(), one
    assert "--uid 10001 " in text  # by number, so that a cluster can see that it is not root
    assert text.index("\nUSER 10001\n") < text.index("\nCMD ")
    assert "--require-hashes" in text


def test_whatever_lies_beside_the_code_is_installed_with_it() -> None:
    """A template that only a checkout has would fail in the image alone."""
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    taken = (".py", *(pattern.lstrip("*") for pattern in setuptools["package-data"]["*"]))
    packages = [name.rstrip("*") for name in setuptools["packages"]["find"]["include"]]
    beside = [file for name in packages for file in (ROOT / name).rglob("*.*") if file.is_file()]
    assert len(beside) > 300
    assert [str(f) for f in beside if f.parent.name != "__pycache__" and not f.name.endswith(taken)] == []


def test_compose_waits_for_what_each_process_needs() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    for name in ("web", "worker", "clock"):
        assert services[name]["depends_on"] == {
            "migrate": {"condition": "service_completed_successfully"},
            "queue": {"condition": "service_healthy"},
        }
        assert services[name]["read_only"] is True
        assert services[name]["init"] is True
        assert "/data:uid=10001,mode=700" in services[name]["tmpfs"]  # as whom the image runs
        settings = {n.removeprefix("FORBEAR_") for n in services[name]["environment"]}
        assert settings <= config.KNOWN


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not installed; `sh tests/prepare.sh` installs it")
    for unit in (DEPLOY / "systemd").iterdir():
        text = unit.read_text().replace("/opt/forbear/bin/forbear", "/bin/true")
        (tmp_path / unit.name).write_text(re.sub(r"^User=.*\n", "", text, flags=re.M))
    said = subprocess.run(
        ["systemd-analyze", "verify", *map(str, tmp_path.iterdir())], capture_output=True, text=True
    )
    mine = [line for line in said.stderr.splitlines() if "forbear" in line]
    assert mine == []


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What /metrics shows of an installation without a queue, a clock and anybody."""
    settings = config.load({"FORBEAR_DATA_DIR": str(tmp_path_factory.mktemp("data"))})
    db.migrate(settings)
    app = web.create_app(settings)
    text = app.test_client().get("/metrics").get_data(as_text=True)
    db.engine(settings).dispose()
    return text


@pytest.fixture(scope="module")
def metrics(scraped: str) -> dict[str, str]:
    """Name → line."""
    return {line.split()[2]: line for line in scraped.splitlines() if line.startswith("# TYPE")}


LATER = {  # shown only while the queue's server answers
    "forbear_queue_waiting", "forbear_queue_oldest_seconds", "forbear_queue_workers",
}  # fmt: skip


def names_in(expression: str) -> set[str]:
    return {re.sub(r"_total$", "", n) for n in re.findall(r"\bforbear_\w+", expression)}


def test_alerts_and_dashboard_use_metrics_that_exist(metrics: dict[str, str]) -> None:
    known = {re.sub(r"_total$", "", name) for name in metrics} | LATER
    panels = json.loads((DEPLOY / "dashboard.json").read_text())["panels"]
    for rule in rules():
        assert names_in(rule["expr"]) <= known, rule["alert"]
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["annotations"]["action"]
    shown = {name for panel in panels for target in panel["targets"] for name in names_in(target["expr"])}
    assert shown == known


def rules() -> list[dict[str, Any]]:
    loaded: Any = yaml.safe_load((DEPLOY / "alerts.yaml").read_text())
    return list(loaded["groups"][0]["rules"])


def test_growth_is_asked_of_counters_and_change_of_gauges(metrics: dict[str, str]) -> None:
    """A gauge that falls by one looks to `increase` like a counter that began anew, and raises a false alarm."""
    asked = {
        (function, re.sub(r"_total$", "", name))
        for rule in rules()
        for function, name in re.findall(r"\b(increase|rate|delta)\((forbear_\w+)", rule["expr"])
    }
    assert {function for function, _ in asked} == {"rate", "delta"}
    for function, name in asked:
        kind = metrics.get(name, metrics.get(f"{name}_total", "")).split()[-1]
        assert kind == ("gauge" if function == "delta" else "counter"), name


def test_an_installation_without_clock_and_queue_raises_both_alarms(scraped: str) -> None:
    lines = (line.rsplit(" ", 1) for line in scraped.splitlines() if line.startswith("forbear_"))
    values = {name: float(value) for name, value in lines}
    compare = {"<": operator.lt, ">": operator.gt, "==": operator.eq}
    fired = set()
    for rule in rules():
        simple = re.fullmatch(r"(forbear_\w+) (<|>|==) (-?[\d.]+)", rule["expr"])
        if simple and simple[1] in values and compare[simple[2]](values[simple[1]], float(simple[3])):
            fired.add(rule["alert"])
    assert fired == {"ForbearNoClock", "ForbearQueueAway"}


def test_the_image_s_lock_is_the_other_one_and_traces() -> None:
    plain, image = (
        set(re.findall(r"(?m)^([a-z0-9._-]+(?:\[[^\]]*\])?==\S+)", (ROOT / name).read_text()))
        for name in ("requirements.lock", "requirements-otel.lock")
    )
    assert plain < image
    assert {"opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"} <= {
        pin.partition("==")[0] for pin in image - plain
    }
    assert "-r requirements-otel.lock" in (DEPLOY / "Dockerfile").read_text()


def test_the_bill_of_materials_names_what_the_lock_pins_and_needs_no_network() -> None:
    said = subprocess.run(
        [sys.executable, str(DEPLOY / "sbom.py")], capture_output=True, text=True, check=True
    )
    bill = json.loads(said.stdout)
    pinned = re.findall(r"(?m)^([a-z0-9._-]+)(?:\[[^\]]*\])?==", (ROOT / "requirements.lock").read_text())
    assert sorted(c["name"] for c in bill["components"]) == sorted(pinned)
    assert all(c["hashes"] for c in bill["components"])
    assert bill["metadata"]["component"]["name"] == "forbear"


def test_the_audit_says_when_it_could_not_look(tmp_path: Path) -> None:
    for name in ("sh", "dirname"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    audit = ["sh", str(DEPLOY / "audit.sh")]
    said = subprocess.run(audit, capture_output=True, text=True, env={"PATH": str(tmp_path)})
    assert (said.returncode, said.stderr) == (75, "Not checked: install pip-audit or pipx.\n")
    for answer, code in (
        ("No known vulnerabilities found", 0),
        ("Found 2 known vulnerabilities", 1),
        ("Found 1 known vulnerability in 1 package; flask: could not be audited", 1),
        ("No known vulnerabilities found; flask: Dependency not found on PyPI and could not be audited", 75),
        ("timeout", 75),
    ):
        tool = tmp_path / "pip-audit"
        tool.write_text(f"#!/bin/sh\necho '{answer}'; exit {0 if answer[:2] == 'No' else 1}\n")
        tool.chmod(0o755)
        assert subprocess.run(audit, capture_output=True, env={"PATH": str(tmp_path)}).returncode == code
