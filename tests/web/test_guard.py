"""What stands before every answer: the password, the size of what is sent, other sites, and what pages may load."""

import asyncio
import base64
from types import SimpleNamespace

import pytest

pytest.importorskip("starlette", reason="the extra `web` is not installed")  # gradio itself takes seconds to import

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from mien.web import guard
from mien.web.guard import COOKIE, Guard, browser_of

HOME = "http://127.0.0.1:7860"


async def _echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


def client(password: str | None = None, most: int = 1 << 20, hosts: tuple[str, ...] | None = None) -> TestClient:
    app = Starlette(routes=[Route("/", _echo, methods=["GET", "POST"])])
    return TestClient(Guard(app, password=password, most_bytes=most, hosts=hosts), base_url=HOME)  # type: ignore[arg-type]


def test_a_password_is_asked_for_and_any_name_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(guard, "asyncio", SimpleNamespace(sleep=sleep))  # a server in this process sleeps as before
    with client("secret: ü") as page:
        refused = page.get("/")
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Basic")
        assert "password" in refused.json()["error"]
        assert not waits
        assert page.get("/", auth=("anybody", "wrong")).status_code == 401
        assert waits, "who guesses has to wait"
        assert page.get("/", headers={"authorization": "Basic !!"}).status_code == 401
        assert page.get("/", headers={"authorization": "Bearer secret"}).status_code == 401
        right = base64.b64encode("anybody:secret: ü".encode()).decode()
        assert page.get("/", headers={"authorization": f"Basic {right}"}).status_code == 200


def test_large_bodies_are_refused_whether_they_say_so_or_not() -> None:
    with client(most=1 << 20) as page:
        assert page.post("/", content=b"x" * (1 << 20)).status_code == 200
        assert page.post("/", content=b"x" * (4 << 20)).status_code == 413

        def pieces() -> object:
            for _ in range(64):
                yield b"x" * (1 << 16)

        sent = page.post("/", content=pieces())  # no length is told before
        assert sent.status_code == 413
        assert "more than is taken" in sent.json()["error"]


def test_other_sites_and_other_names_are_refused() -> None:
    with client(hosts=("127.0.0.1", "localhost", "[::1]")) as page:
        assert page.post("/", headers={"sec-fetch-site": "cross-site"}).status_code == 403
        assert page.post("/", headers={"sec-fetch-site": "same-origin"}).status_code == 200
        assert page.get("/", headers={"sec-fetch-site": "cross-site"}).status_code == 200, "a link may lead here"
        assert page.get("/", headers={"host": "evil.example"}).status_code == 400
        assert page.get("/", headers={"host": "localhost:7860"}).status_code == 200
        assert page.get("/", headers={"host": "[::1]:7860"}).status_code == 200


def test_pages_load_nothing_from_elsewhere_and_browsers_get_a_secret() -> None:
    with client() as page:
        first = page.get("/")
        policy = first.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "http" not in policy
        cookie = first.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        secret = browser_of(f"{COOKIE}={first.cookies[COOKIE]}")
        assert secret is not None
        assert len(secret) >= 20
        assert "set-cookie" not in page.get("/").headers
    assert browser_of("") is None
    assert browser_of(f"{COOKIE}=short") is None


def test_what_is_not_http_passes() -> None:
    seen: list[str] = []

    async def app(scope: object, receive: object, send: object) -> None:
        seen.append(scope["type"])  # type: ignore[index]

    asyncio.run(Guard(app, password="x", most_bytes=1, hosts=None)({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert seen == ["lifespan"]
