"""If these fail, `docker compose up` or the workflow does something else than it says, or gives something away."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_pydantic import ComposeSpecification

from flashbench.catalogue import ROOT
from flashbench.load.options import HELP

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
OURS = ("app", "locust-master", "locust-worker")


def stage(name: str) -> str:
    """The lines of one stage of the Dockerfile, those that it builds on included."""
    parts = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
    by_name = {part.partition("\n")[0].partition(" AS ")[2]: part for part in parts}
    base = by_name[name].partition(" AS ")[0]
    return (stage(base) if base in by_name else "") + by_name[name]


def test_the_file_is_what_the_compose_specification_asks_for() -> None:
    assert ComposeSpecification.model_validate(COMPOSE).services is not None


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_says_when_it_is_well(service: str) -> None:
    assert SERVICES[service]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("service", SERVICES)
def test_ports_are_published_on_loopback_only(service: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[service].get("ports", ()))


def test_secrets_come_from_outside_and_have_no_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for name in ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "ADMIN_TOKEN"):
        assert f"${{{name}:?" in text
    assert ":-" not in text
    assert not re.search(r"(?i)(password|token)\S*:\s*[\"']?[a-z0-9]{4,}[\"']?\s*$", text, re.MULTILINE)


def test_every_service_waits_for_what_it_needs() -> None:
    for service in OURS:
        for needed, how in SERVICES[service]["depends_on"].items():
            assert needed in SERVICES
            assert how == {"condition": "service_healthy"}


def test_what_is_mounted_is_declared() -> None:
    mounted = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())}
    assert mounted == set(COMPOSE["volumes"])


@pytest.mark.parametrize("service", [*OURS])
def test_every_image_of_ours_is_a_stage_of_the_dockerfile(service: str) -> None:
    assert stage(SERVICES[service]["build"]["target"])


@pytest.mark.parametrize("service", ["locust-master", "locust-worker"])
def test_every_command_of_ours_exists_and_takes_its_arguments(service: str) -> None:
    program, *arguments = SERVICES[service]["command"]
    assert program == "locust"
    locustfile = arguments[arguments.index("--locustfile") + 1]
    assert (ROOT / locustfile).is_file()
    assert f"COPY {locustfile.partition('/')[0]} " in stage("load")
    known = subprocess.run(
        [sys.executable, "-m", "locust", "--locustfile", str(ROOT / locustfile), "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    known += " ".join(f"--{name.replace('_', '-')}" for name in HELP)  # Locust's help does not load the locustfile
    for argument in arguments:
        assert not argument.startswith("--") or argument in known


def test_the_apps_command_names_an_app_that_can_be_made(tmp_path: Path) -> None:
    words = re.findall(r'"([^"]+)"', stage("app").rpartition("CMD ")[2])
    assert words[0] == "uvicorn"
    module, _, factory = words[1].partition(":")
    assert callable(getattr(__import__(module, fromlist=[factory]), factory))
    shown = subprocess.run([sys.executable, "-m", "uvicorn", "--help"], capture_output=True, text=True, check=True)
    assert all(word in shown.stdout for word in words if word.startswith("--"))


@pytest.mark.parametrize("name", ["app", "load"])
def test_images_run_without_rights_controls_or_development_tools(name: str) -> None:
    text = stage(name)
    assert re.search(r"^USER flashbench$", text, re.MULTILINE)
    copied = re.findall(r"^COPY (\S+) ", text, re.MULTILINE)
    assert "benchmarks" not in copied
    assert "tests" not in copied
    assert "." not in copied
    assert "requirements-dev" not in text
    assert all((ROOT / each).exists() for each in copied)
    allowed = (ROOT / ".dockerignore").read_text().splitlines()
    assert allowed[0] == "*"
    assert all(f"!{each}" in allowed for each in copied)


def test_what_an_image_copies_is_enough_to_import_what_it_runs(tmp_path: Path) -> None:
    for name, module in (("app", "target_app.app"), ("load", "flashbench.load")):
        place = tmp_path / name
        for each in re.findall(r"^COPY (\S+) ", stage(name), re.MULTILINE):
            if (ROOT / each).is_dir():
                shutil.copytree(ROOT / each, place / each)
        code = f"import {module}, sys; assert {module}.__file__.startswith({str(place)!r})"
        extra = "; import reports" if name == "load" else ""
        subprocess.run([sys.executable, "-c", code + extra], cwd=place, env={"PYTHONPATH": str(place)}, check=True)


def test_the_workflow_runs_the_two_commands_and_keeps_report_and_evidence() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    steps = {name: job["steps"] for name, job in workflow["jobs"].items()}
    commands = {name: "\n".join(step.get("run", "") for step in job) for name, job in steps.items()}
    assert "make test" in commands["test"]
    assert "make bench" in commands["bench"]
    assert "GITHUB_STEP_SUMMARY" in commands["bench"]
    kept = [step["with"]["path"] for step in steps["bench"] if "upload-artifact" in step.get("uses", "")]
    assert len(kept) == 2
    assert all(step.get("if") == "always()" for step in steps["bench"] if "upload" in step.get("uses", ""))
