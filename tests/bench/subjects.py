"""Who is compared: nothing at all between load and upstream, two proxies that only pass bytes on, and us."""

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
KEPT_ENVIRONMENT = ("HOME", "LANG", "LC_ALL", "PATH", "TMPDIR", "VIRTUAL_ENV")


@dataclass(frozen=True, slots=True)
class Site:
    """Where a subject runs: a folder of its own, its port, and the upstream it talks to."""

    folder: Path
    port: int
    upstream_port: int

    @property
    def upstream_url(self) -> str:
        return f"http://127.0.0.1:{self.upstream_port}"


@dataclass(frozen=True, slots=True)
class Subject:
    name: str
    title: str
    command: Callable[[Site], list[str]] | None = None
    """Writes what the subject needs into its folder and says how to start it. None: nothing is started."""
    model: str = "bench-model"
    translated_model: str | None = None
    """A model behind another wire, for those that translate."""
    missing: str = ""
    """Why it cannot take part here."""


def subjects() -> list[Subject]:
    """All of them, in the order of the table."""
    nginx = _find_nginx()
    return [
        Subject("direct", "direct"),
        Subject("nginx", "nginx", command=_nginx, missing="" if nginx else "not installed"),
        Subject("aiohttp", "aiohttp proxy", command=_aiohttp_proxy),
        Subject(
            "rhetor",
            "rhetor",
            command=_rhetor,
            model="bench/bench-model",
            translated_model="benchanth/claude-bench",
        ),
    ]


def environment() -> dict[str, str]:
    """A clean one: no vendor's key switches a provider on, no RHETOR_* changes a setting."""
    kept = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
    # The repository itself, so that an uninstalled checkout can be measured as well.
    return kept | {"BENCH_KEY": "bench", "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "gateway")))}


def _find_nginx() -> str | None:
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def _nginx(site: Site) -> list[str]:
    """Debian's defaults but for what a streaming proxy needs: upstream keep-alive, and no buffering."""
    config = site.folder / "nginx.conf"
    temporary = "\n".join(
        f"    {kind}_temp_path {site.folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config.write_text(
        f"""daemon off;
pid {site.folder}/nginx.pid;
error_log stderr warn;
worker_processes 1;
events {{ worker_connections 4096; }}
http {{
    access_log off;
{temporary}
    upstream bench {{
        server 127.0.0.1:{site.upstream_port};
        keepalive 1024;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{site.port};
        keepalive_requests 1000000000;
        location / {{
            proxy_pass http://bench;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
"""
    )
    return [_find_nginx() or "nginx", "-e", "stderr", "-p", str(site.folder), "-c", str(config)]


def _aiohttp_proxy(site: Site) -> list[str]:
    return [sys.executable, "-m", "tests.bench.proxy", str(site.port), site.upstream_url]


def _rhetor(site: Site) -> list[str]:
    config = site.folder / "rhetor.yaml"
    config.write_text(
        f"""server: {{host: 127.0.0.1, port: {site.port}}}
providers:
  bench:
    wire: openai
    base_url: "{site.upstream_url}/v1"
    key: "env:BENCH_KEY"
    models: [bench-model]
  benchanth:
    wire: anthropic
    base_url: "{site.upstream_url}"
    key: "env:BENCH_KEY"
    models: [claude-bench]
"""
    )
    return [sys.executable, "-m", "rhetor", "serve", "--config", str(config)]
