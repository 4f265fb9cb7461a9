"""Who may use the page: this machine alone, with the token, from the page itself; small requests only.

Every refusal is one line in the log. Sources: OWASP Cheat Sheet Series, "Cross-Site Request Forgery Prevention" (origin
check, same-site cookies) and "Content Security Policy"; W3C, "Fetch Metadata Request Headers".
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qs, unquote

from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.console import visible

UPLOAD_PATH = "/cases/files"
MAX_FORM_BYTES = 64 << 10
_MAX_LOG_BYTES = 8 << 20
_LOG_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_OPENING_SECONDS = 120.0
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}


class RefusalLog:
    """Refused requests, one a line: time, status, method, path, reason. The file is renamed when it is large.

    A link in its place is not followed.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()

    def add(self, status: int, method: str, path: str, why: str) -> None:
        """Adds one line; what was sent is shown with its control characters escaped, and cut off."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        shown = visible(f"{method[:16]} {path[:200]}: {why[:300]}").replace("\n", "\\n").replace("\t", "\\t")
        line = f"{now} {status} {shown}\n".encode("utf-8", "backslashreplace")
        with self._lock, suppress(OSError):  # a full disk does not open the door
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if os.path.lexists(self._path) and self._path.lstat().st_size > _MAX_LOG_BYTES:
                self._path.replace(self._path.with_suffix(".1.log"))
            with os.fdopen(os.open(self._path, _LOG_FLAGS, 0o600), "ab") as file:
                if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    file.write(line)


@dataclass(frozen=True)
class Access:
    """The secrets of one running server: ``token`` stands in the address that is printed, the cookie comes from it.

    Other users of the machine see the address that a browser is started with, so that one holds a token which is good
    for one use, and for two minutes.
    """

    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    _openings: dict[str, float] = field(default_factory=dict)

    def opening(self) -> str:
        """A new token for one use."""
        made = secrets.token_urlsafe(32)
        self._openings[made] = time.monotonic() + _OPENING_SECONDS
        return made

    def opens(self, given: str) -> bool:
        """Whether a token gives the cookie."""
        until = self._openings.get(given)
        return hmac.compare_digest(given.encode(), self.token.encode()) or (
            until is not None and time.monotonic() < until
        )

    def use(self, given: str) -> None:
        """Ends a token that was for one use."""
        self._openings.pop(given, None)

    @property
    def cookie(self) -> str:
        """What the browser holds after the token was shown."""
        return hmac.new(self.token.encode(), b"cookie of the local page", hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class _Refusal:
    status: int
    why: str


class Guard:
    """Middleware around the page: refuses what does not come from the page itself on this machine.

    Args:
        app: what answers the others.
        access: token and cookie.
        port: that the server listens on; known once it does.
        log: of refusals.
        max_upload_bytes: of a file that is handed in.
    """

    def __init__(self, app: ASGIApp, *, access: Access, port: int, log: RefusalLog, max_upload_bytes: int) -> None:
        self._app, self._access, self._log = app, access, log
        self.port, self._max_upload_bytes = port, max_upload_bytes

    @property
    def cookie_name(self) -> str:
        """Browsers share cookies between ports, so the name holds the port."""
        return f"assay_{self.port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or hands it to the page."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            self._log.add(refusal.status, scope["method"], scope["path"], refusal.why)
            await _plain(refusal)(scope, receive, _with_headers(send))
            return
        if scope["path"] == "/" and b"token=" in scope["query_string"]:
            self._access.use(_token_in(scope))
            await self._exchange()(scope, receive, _with_headers(send))
            return
        await self._app(scope, receive, _with_headers(send))

    def _exchange(self) -> Response:
        """Gives the cookie for the token, and an address without the token, which no history keeps then."""
        answer = RedirectResponse("/", status_code=303)
        answer.set_cookie(self.cookie_name, self._access.cookie, httponly=True, samesite="strict", path="/")
        return answer

    def _refusal(self, scope: Scope, headers: Mapping[str, str]) -> _Refusal | None:
        checks = (
            self._client_fault(scope),
            self._host_fault(headers),
            self._path_fault(scope),
            self._origin_fault(scope, headers),
            self._cookie_fault(scope, headers),
        )
        found = next((fault for fault in checks if fault is not None), None)
        return found or self._size_fault(scope, headers)

    def _client_fault(self, scope: Scope) -> _Refusal | None:
        client = scope.get("client")
        try:
            near = client is not None and ip_address(client[0]).is_loopback
        except ValueError:
            near = False
        return None if near else _Refusal(403, "it does not come from this machine")

    def _host_fault(self, headers: Mapping[str, str]) -> _Refusal | None:
        host = headers.get("host", "")
        if host in (f"127.0.0.1:{self.port}", f"localhost:{self.port}"):
            return None
        return _Refusal(421, f"its Host is {host!r}")

    def _path_fault(self, scope: Scope) -> _Refusal | None:
        raw = scope.get("raw_path") or scope["path"].encode()
        text = unquote(unquote(raw.decode("latin-1")))
        if len(raw) > 2048:
            return _Refusal(414, "its path is too long")
        if ".." in text.replace("\\", "/").split("/") or "\\" in text or "\0" in text:
            return _Refusal(400, "its path leads out of the page")
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return _Refusal(405, "the method is not one of the page's")
        return None

    def _origin_fault(self, scope: Scope, headers: Mapping[str, str]) -> _Refusal | None:
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site not in (None, "none", "same-origin"):
            return _Refusal(403, f"another page asked for it (Sec-Fetch-Site: {site})")
        wanted = f"http://{headers.get('host', '')}"
        if origin is not None and origin != wanted:
            return _Refusal(403, f"its Origin is {origin!r}")
        if scope["method"] == "POST" and origin is None:
            return _Refusal(403, "it has no Origin")
        return None

    def _cookie_fault(self, scope: Scope, headers: Mapping[str, str]) -> _Refusal | None:
        given = _token_in(scope)
        if scope["path"] == "/" and given:
            if self._access.opens(given):
                return None
            return _Refusal(401, "its token is another")
        parts = (part.strip().partition("=") for part in headers.get("cookie", "").split(";"))
        cookie = next((value for name, _, value in parts if name == self.cookie_name), "")
        if hmac.compare_digest(cookie.encode(), self._access.cookie.encode()):
            return None
        return _Refusal(401, "it has no token")

    def _size_fault(self, scope: Scope, headers: Mapping[str, str]) -> _Refusal | None:
        if scope["method"] != "POST":
            return None
        most = self._max_upload_bytes if scope["path"] == UPLOAD_PATH else MAX_FORM_BYTES
        length = headers.get("content-length", "")
        if not length.isascii() or not length.isdigit():
            return _Refusal(411, "it does not declare its size")
        if int(length) > most:
            return _Refusal(413, f"it declares {int(length):,} bytes, more than {most:,}")
        return None


def _token_in(scope: Scope) -> str:
    return parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]


def _plain(refusal: _Refusal) -> Response:
    said = {
        401: "Open the address that assay serve printed: it holds the token of this page.",
        413: "This is larger than the page takes. assay serve --max-upload-gb raises the limit.",
    }
    text = said.get(refusal.status, f"Refused: {visible(refusal.why)}.")
    return PlainTextResponse(f"{text}\n", refusal.status, {"Connection": "close"})


def _with_headers(send: Send) -> Send:
    """Adds the security headers to an answer; those that it has of its own stay."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = {name.lower() for name, _ in message["headers"]}
            more = [(k.lower().encode(), v.encode()) for k, v in HEADERS.items() if k.lower().encode() not in own]
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return sent
