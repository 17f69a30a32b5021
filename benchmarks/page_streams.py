"""Many browsers that hear of each state, as far as the server is concerned."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

import orjson

from benchmarks.page_server import Server

_AT_ONCE = 50  # connections that are opened together
_PATIENCE = 30.0  # seconds


@dataclass(slots=True)
class Heard:
    """delays: seconds from each state to each browser. refusal: status and Retry-After of the
    answer to one browser more. cpu: seconds of a core. memory: resident bytes."""

    seconds: float
    delays: list[float] = field(default_factory=list)
    refusal: str = ""
    cpu: float = 0.0
    memory: int = 0

    def quantile(self, share: float) -> float:
        return sorted(self.delays)[int(share * (len(self.delays) - 1))]


async def listen(server: Server, browsers: int, seconds: float) -> Heard:
    """Have so many browsers listen for some seconds. One of them reads nothing."""
    heard = Heard(seconds)
    streams: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    while len(streams) < browsers:
        opening = (_open(server) for _ in range(min(_AT_ONCE, browsers - len(streams))))
        streams += await asyncio.gather(*opening)
    reader, writer = await _open(server)
    heard.refusal = await _head(reader)
    writer.close()
    _, *reading = streams
    used = server.cpu()
    listening = [asyncio.create_task(_read(reader, heard.delays)) for reader, _ in reading]
    await asyncio.sleep(seconds)
    heard.cpu, heard.memory = server.cpu() - used, server.resident()
    for task in listening:
        task.cancel()
    await asyncio.gather(*listening, return_exceptions=True)
    for _, writer in streams:
        writer.close()
    return heard


async def _open(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = urlsplit(server.origin)
    reader, writer = await asyncio.wait_for(
        asyncio.open_connection(address.hostname, address.port), _PATIENCE
    )
    writer.write(
        f"GET /api/stream HTTP/1.1\r\nHost: {address.netloc}\r\nCookie: {server.cookie}\r\n"
        "Sec-Fetch-Site: same-origin\r\n\r\n".encode()
    )
    await writer.drain()
    return reader, writer


async def _head(reader: asyncio.StreamReader) -> str:
    """The status of an answer, and its Retry-After if it has one."""
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _PATIENCE)).decode()
    lines = head.split("\r\n")
    return ", ".join([lines[0][9:], *(line for line in lines if line.startswith("retry-after"))])


async def _read(reader: asyncio.StreamReader, delays: list[float]) -> None:
    """Note how old each state is. The first ones are older than the stream."""
    began = time.time()
    while line := await reader.readline():
        if line.startswith(b"data: "):
            at = datetime.fromisoformat(orjson.loads(line[6:])["at"]).timestamp()
            if at >= began:
                delays.append(time.time() - at)
