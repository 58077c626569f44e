"""OpenCode as a backend: a server of its own for every session, with this gateway as its only provider."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import orjson

from rhetor.core.call import Call
from rhetor.core.capability import Feature
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.services.launch import PORT, Program
from rhetor.services.ports import LOOPBACK, Ports
from rhetor.services.process import House, Spec, start
from rhetor.services.supervisor import Plan, Service
from rhetor.sessions.backend import Ability, Access, Condition, Conversation, Setup
from rhetor.sessions.opencode import reading, setting
from rhetor.sessions.opencode.conversation import OpenCodeConversation
from rhetor.sessions.opencode.reducer import Reducer
from rhetor.sessions.opencode.server import Server
from rhetor.sessions.opencode.setting import Limits
from rhetor.sessions.program import cleaner
from rhetor.transport.base import Progress
from rhetor.transport.pool import HttpPool

log = logging.getLogger(__name__)

READY = b"listening on"  # a connection in the quarter second before is accepted, and never answered (1.18.33)
READY_S = 60.0  # 1.2 s on an idle machine; many may start at once on a small one
STOP_S = 3.0  # SIGTERM ends it at once, and its tools with it
CHECKED_S = 30.0
CHECK_S = 20.0
LIMITS_S = 2.0
REPLY_BYTES = 1 << 20
RECENT = 20  # of the messages before: what still changes is among them


class OpenCode:
    """Implements `sessions.backend.Backend`."""

    name = reading.NAME
    abilities = frozenset(
        {
            Ability.STREAMING,
            Ability.CONTINUATION,
            Ability.TOOLS,
            Ability.FILE_OPERATIONS,
            Ability.CODE_EXECUTION,
            Ability.APPROVALS,
        }
    )
    features = frozenset({Feature.STREAMING, Feature.TOOLS})

    def __init__(
        self,
        command: str,
        house: House,
        *,
        default_model: str = "",
        models: tuple[str, ...] = (),
        max_sessions: int = 20,
        warm_s: float = 600.0,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """
        Args:
            command: the program, by its name or path.
            environ: this gateway's environment; a few harmless variables are passed on.
        """
        self.default_model = default_model
        self.models = models
        self.max_sessions = max_sessions
        self.warm_s = warm_s
        self._command = command
        self._house = house
        self._environ = environ
        self._ports = Ports()
        self._checking = asyncio.Lock()
        self._checked: tuple[float, Condition] | None = None

    async def check(self) -> Condition:
        async with self._checking:
            now_s = asyncio.get_running_loop().time()
            if self._checked is None or now_s - self._checked[0] > CHECKED_S:
                self._checked = now_s, await self._check()
            return self._checked[1]

    async def open(self, setup: Setup) -> Conversation:
        if setup.native_id is not None and not setup.native_id.startswith("ses_"):
            raise BadRequest(f"opencode knows no conversation {setup.native_id!r}", Code.NOT_FOUND)
        await asyncio.to_thread(_make_folders, setup.home)
        password = secrets.token_urlsafe(24)
        limits = await _limits(setup.access, setting.model(setup))
        service = self._service(setup, limits, password)
        server: Server | None = None
        try:
            port = await service.ensure_ready(READY_S)
            told = {**setup.environment, "OPENCODE_SERVER_PASSWORD": password}
            clean = cleaner(replace(setup, environment=told))
            server = Server(f"http://{LOOPBACK}:{port}", password, clean)
            return await _begin(service, server, setup)
        except BaseException:
            await service.stop()
            if server is not None:
                await server.close()
            raise

    async def forget(self, native_id: str, home: Path) -> None:
        """All that it keeps is in its home."""

    def _service(self, setup: Setup, limits: Limits, password: str) -> Service:
        def redact(said: str) -> str:
            return said.replace(password, "[redacted]").replace(setup.access.token, "[redacted]")

        spec = Spec(
            argv=(self._command, "serve", "--hostname", LOOPBACK, "--port", PORT),
            cwd=setup.directory,
            env=setting.environment(setup, limits, password, self._environ),
            label=f"{self.name} {setup.session_id}",
        )
        plan = Plan(label=spec.label, ready=READY, start_s=READY_S, grace_s=STOP_S)
        program = Program(spec, self._house, self._ports, mark=setup.session_id)
        return Service(plan, program, redact=redact)

    async def _check(self) -> Condition:
        found = shutil.which(self._command, path=self._environ.get("PATH"))
        if found is None:
            message = f"no program {self._command!r}: npm install -g opencode-ai, or say where it is"
            return Condition(healthy=False, error=message)
        home = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="rhetor-opencode-"))
        try:
            version = await self._version(home)
        except RhetorError as error:
            return Condition(healthy=False, binary=found, error=error.message)
        finally:
            await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)
        return Condition(healthy=True, version=version, binary=found)

    async def _version(self, home: Path) -> str:
        await asyncio.to_thread(_make_folders, home)
        spec = Spec(
            argv=(self._command, "--version"),
            cwd=home,
            env={"PATH": self._environ.get("PATH", ""), **setting.QUIET, **setting.folders(home)},
            label=f"{self.name} --version",
            stdout="lines",
        )
        child = await start(spec, self._house, mark="check")
        try:
            async with asyncio.timeout(CHECK_S):
                lines = [line.decode(errors="replace").strip() async for line in child.lines()]
                code = await child.wait()
        except TimeoutError as error:
            message = f"{self._command} --version did not answer within {CHECK_S:g} s"
            raise RhetorError(message, Code.UNAVAILABLE) from error
        finally:
            await child.stop(0.0)
        if code != 0 or not lines:
            said = child.said().strip()[-200:]
            raise RhetorError(f"{self._command} --version ended with {code}: {said}", Code.UNAVAILABLE)
        return lines[0]


async def _begin(service: Service, server: Server, setup: Setup) -> OpenCodeConversation:
    session = setup.native_id
    if session is None:
        session = await server.create(setup.session_id)  # with a title: else it asks a model for one
    else:
        await server.find(session)
    directory = await asyncio.to_thread(os.path.realpath, setup.directory)
    reducer = Reducer(session, directory, setup.max_turns)
    reducer.remember(await server.last_messages(session, RECENT))
    conversation = OpenCodeConversation(service, server, session, reducer, setup)
    try:
        await conversation.listen()
    except BaseException:
        await conversation.close()
        raise
    return conversation


def _make_folders(home: Path) -> None:
    """Each start unpacks some megabytes into its temporary folder, and forgets them there."""
    folders = setting.folders(home)
    shutil.rmtree(folders["TMPDIR"], ignore_errors=True)
    for folder in folders.values():
        Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)


async def _limits(access: Access, model: str) -> Limits:
    """What the gateway knows of this model; it is not known of every one."""
    pool = HttpPool(1, LIMITS_S)
    try:
        async with asyncio.timeout(LIMITS_S):
            headers = {"authorization": f"Bearer {access.token}"}
            url = f"{access.url}/v1/models/{quote(model, safe='/:')}"
            response = await pool.open(Call("GET", url, headers), Progress())
            try:
                data = await response.read(REPLY_BYTES) if response.status == 200 else b"{}"
            finally:
                response.close()
        known = reading.object_of(orjson.loads(data))
    except (TimeoutError, RhetorError, orjson.JSONDecodeError) as error:
        log.info("limits of a model are not known", extra={"model": model, "error": str(error)})
        known = {}
    finally:
        await pool.close()
    usual = Limits()
    context, output = known.get("max_input_tokens"), known.get("max_tokens")
    return Limits(
        context if isinstance(context, int) and context > 0 else usual.context,
        output if isinstance(output, int) and output > 0 else usual.output,
    )
