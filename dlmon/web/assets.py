"""The files of the page, as they are in the package."""

from __future__ import annotations

import hashlib
import re
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

FOLDER = Path(__file__).parent / "assets"

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
}
"""What is served; other files, such as licences without an ending, are only in the package."""


_ADDRESS = re.compile(r"/assets/(?P<name>[\w.]+)")


class _Asset(NamedTuple):
    content: bytes
    media_type: str
    etag: str
    """A hash of the content."""


class Assets:
    """All files of the page, read once. Its addresses in `index.html` have their hashes."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._assets = {
            path.relative_to(folder).as_posix(): _asset(path.read_bytes(), path.suffix)
            for path in sorted(folder.rglob("*"))
            if path.suffix in _TYPES
        }
        index = self._assets["index.html"].content.decode()
        linked = _ADDRESS.sub(self._with_hash, index)
        self._assets["index.html"] = _asset(linked.encode(), ".html")

    async def index(self, request: Request) -> Response:
        return self._answer(request, "index.html")

    async def asset(self, request: Request) -> Response:
        return self._answer(request, request.path_params["name"])

    def _answer(self, request: Request, name: str) -> Response:
        asset = self._assets.get(name)
        if asset is None:
            return PlainTextResponse("There is no such file.", HTTPStatus.NOT_FOUND)
        # By its hash, a file is the same for ever. Otherwise browsers ask again each time, and so
        # see a new release at once.
        fixed = request.url.query == asset.etag
        cache = "private, max-age=31536000, immutable" if fixed else "no-cache"
        headers = {"ETag": f'"{asset.etag}"', "Cache-Control": cache}
        if asset.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(asset.content, media_type=asset.media_type, headers=headers)

    def _with_hash(self, match: re.Match[str]) -> str:
        return f"{match[0]}?{self._assets[match['name']].etag}"


def _asset(content: bytes, suffix: str) -> _Asset:
    digest = hashlib.sha256(content).hexdigest()[:32]
    return _Asset(content, _TYPES[suffix], digest)
