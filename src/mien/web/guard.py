"""Protection of the server: who may call it, how much may be sent, and that pages load nothing from elsewhere."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

from starlette.requests import ClientDisconnect

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = "mien"
"""The cookie by which a browser finds the styles that it kept."""

_WRONG_PASSWORD_SECONDS = 1.0
_FORM_BYTES = 1 << 20  # beside the files of an upload
_OWN_ONLY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
    "worker-src 'self' blob:; frame-ancestors 'none'; form-action 'self'; base-uri 'self'"
)
_HEADERS = {
    "content-security-policy": _OWN_ONLY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


class Guard:
    """An ASGI application around another.

    Asks for the password (HTTP Basic) where there is one, refuses large bodies while they arrive and what other sites send, and
    gives each browser a secret cookie.
    """

    def __init__(self, app: App, *, password: str | None, most_bytes: int, hosts: tuple[str, ...] | None) -> None:
        """`hosts` are the names under which the server may be called; None: any."""
        self.app, self.password, self.hosts = app, password, hosts
        self.most_bytes = 2 * most_bytes + _FORM_BYTES  # a photo, and a reference or a style

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        if self.hosts is not None and _name(headers.get("host", "")) not in self.hosts:
            return await _refuse(send, 400, "This server answers to its own address only: check the address.")
        if self.password is not None and not _knows(headers.get("authorization", ""), self.password):
            if "authorization" in headers:
                await asyncio.sleep(_WRONG_PASSWORD_SECONDS)  # who guesses has to wait
            extra = {"www-authenticate": 'Basic realm="mien", charset="UTF-8"'}
            return await _refuse(send, 401, "A password is needed here: give it with any name.", extra)
        if scope["method"] not in ("GET", "HEAD") and headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            return await _refuse(send, 403, "Another site sent this: open the page of mien itself.")
        new = browser_of(headers.get("cookie", "")) is None
        await self._answer(scope, receive, send, f"{COOKIE}={secrets.token_urlsafe(24)}" if new else None, headers)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, cookie: str | None, headers: dict[str, str]) -> None:
        received, refused = 0, False
        sentence = f"More than {self.most_bytes >> 20} MiB were sent, which is more than is taken: send smaller files."
        claimed = headers.get("content-length", "0")
        if claimed.isdecimal() and int(claimed) > self.most_bytes:
            return await _refuse(send, 413, sentence)

        async def limited() -> Message:
            nonlocal received, refused
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.most_bytes:
                refused = True
                await _refuse(send, 413, sentence)
                return {"type": "http.disconnect"}
            return message

        async def guarded(message: Message) -> None:
            if refused:
                return
            if message["type"] == "http.response.start":
                own = [(key.encode(), value.encode()) for key, value in _HEADERS.items()]
                if cookie is not None:
                    own.append((b"set-cookie", f"{cookie}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Strict".encode()))
                message["headers"] = [*message.get("headers", []), *own]
            await send(message)

        try:
            await self.app(scope, limited, guarded)
        except ClientDisconnect:
            if not refused:
                raise


def _name(host: str) -> str:
    """A host without its port: `localhost` of `localhost:7860`, `[::1]` of `[::1]:7860`."""
    return host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]


def _knows(authorization: str, password: str) -> bool:
    kind, _, encoded = authorization.partition(" ")
    if kind.lower() != "basic":
        return False
    try:
        given = base64.b64decode(encoded, validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return False
    return secrets.compare_digest(given, password.encode())


def browser_of(cookies: str) -> str | None:
    """The secret of a browser in its cookies; None where it has none yet."""
    try:
        found = SimpleCookie(cookies).get(COOKIE)
    except CookieError:
        return None
    return found.value if found is not None and 20 <= len(found.value) <= 64 else None


async def _refuse(send: Send, status: int, sentence: str, extra: dict[str, str] | None = None) -> None:
    body = json.dumps({"error": sentence}).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body)), **_HEADERS, **(extra or {})}
    await send(
        {"type": "http.response.start", "status": status, "headers": [(k.encode(), v.encode()) for k, v in headers.items()]}
    )
    await send({"type": "http.response.body", "body": body})
