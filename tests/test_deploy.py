"""What `deploy/` offers can be started."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from rhetor import config

DEPLOY = Path(__file__).parent.parent / "deploy"


def test_the_configuration_is_valid_and_guarded() -> None:
    loaded = config.load(DEPLOY / "rhetor.yaml", {"COMPONENTS_TOKEN": "s3cret"})
    assert not config.is_loopback(loaded.server.host)
    assert loaded.server.tokens


def test_without_its_token_it_is_refused() -> None:
    with pytest.raises(config.ConfigError, match="COMPONENTS_TOKEN"):
        config.load(DEPLOY / "rhetor.yaml", {})


def test_every_way_stops_only_after_the_grace() -> None:
    grace_s = config.Config().server.shutdown_grace_s
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["rhetor"]
    unit = dict(
        line.split("=", 1) for line in (DEPLOY / "rhetor.service").read_text().splitlines() if "=" in line
    )
    assert float(service["stop_grace_period"].removesuffix("s")) > grace_s
    assert float(unit["TimeoutStopSec"]) > grace_s


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "rhetor.service"
    unit.write_text((DEPLOY / "rhetor.service").read_text().replace("/opt/rhetor/bin/rhetor", "/bin/true"))
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    verdict = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (verdict.returncode, verdict.stderr) == (0, "")
