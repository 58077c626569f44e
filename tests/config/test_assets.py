"""How assets are kept, as the file says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rhetor.config import ConfigError, load
from tests.conftest import MakeGateway, settings

DAY_S = 86_400


def test_a_week_and_four_gigabytes_by_default() -> None:
    assets = load(None, {}).assets
    assert (assets.keep_s, assets.each_mb, assets.all_mb) == (7 * DAY_S, 256, 4096)


@pytest.mark.parametrize("said", ["keep_s: 0", "each_mb: 0", "all_mb: -1", "keep: 5"])
def test_what_makes_no_sense_is_refused(tmp_path: Path, said: str) -> None:
    file = tmp_path / "rhetor.yaml"
    file.write_text(f"assets: {{{said}}}")
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    assert f"assets.{said.partition(':')[0]}" in str(caught.value)


async def test_a_reload_changes_it_and_memory_is_never_filled(
    make_gateway: MakeGateway, tmp_path: Path
) -> None:
    gateway = await make_gateway(settings(assets={"each_mb": 1}))
    assets = gateway.app.house.assets
    assert (assets.each_bytes, assets._all_bytes) == (1 << 20, 256 << 20)
    file = tmp_path / "rhetor.yaml"
    file.write_text(file.read_text().replace("each_mb: 1", "each_mb: 2"))
    await gateway.app.reload()
    assert assets.each_bytes == 2 << 20
