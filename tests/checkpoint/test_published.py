"""Models of others: only on demand, whole or not at all, resumed, checked; offline from a file. A server of our own answers."""

import hashlib
import io
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

import mien
from mien.checkpoint import load_model
from mien.checkpoint.hub import fetch
from mien.checkpoint.hub import published as catalogue
from mien.checkpoint.hub.fetch import adopt, check, download
from mien.checkpoint.hub.published import PUBLISHED, PublishedFile, located, models_folder, place_of, published
from mien.checkpoint.model_file import write_model
from mien.cli.app import shell
from mien.errors import CheckpointError, InputError, MienWarning
from mien.models.generator import Generator, GeneratorConfig
from mien.models.model import Model, Provenance


def _weights() -> bytes:
    buffer = io.BytesIO()
    torch.save({"g_ema": {"weight": torch.randn(400_000, generator=torch.Generator().manual_seed(0))}}, buffer)
    return buffer.getvalue()


DATA = _weights()
SHA = hashlib.sha256(DATA).hexdigest()


class Server(BaseHTTPRequestHandler):
    """A file server that does what the test asks for."""

    data: ClassVar[bytes] = DATA
    break_after: ClassVar[int | None] = None
    ranges: ClassVar[bool] = True
    tag: ClassVar[str | None] = '"first"'
    page: ClassVar[str | None] = None
    status: ClassVar[int | None] = None
    redirect: ClassVar[str | None] = None
    asked: ClassVar[list[dict[str, str]]] = []

    def do_GET(self) -> None:
        cls = type(self)
        cls.asked.append(dict(self.headers))
        if cls.status or cls.redirect:
            self.send_response(cls.status or 302)
            if cls.redirect:
                self.send_header("Location", cls.redirect)
            self.end_headers()
            return
        data, start = (cls.data, 0) if cls.page is None else (b"<!DOCTYPE html><html>Quota exceeded</html>", 0)
        wanted = self.headers.get("Range")
        valid = self.headers.get("If-Range") in (None, cls.tag)
        if wanted and cls.ranges and valid:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(data):
                self.send_response(416)
                self.end_headers()
                return
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", cls.page or "application/octet-stream")
        self.send_header("Content-Length", str(len(data) - start))
        if cls.tag:
            self.send_header("ETag", cls.tag)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        end = len(data) if cls.break_after is None else start + cls.break_after
        self.wfile.write(data[start:end])

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


class Quiet(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are what is tested."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Server]]:
    class Fresh(Server):
        asked: ClassVar[list[dict[str, str]]] = []

    monkeypatch.setenv("no_proxy", "*")
    with Quiet(("127.0.0.1", 0), Fresh) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()  # soon over, too
        Fresh.address = f"http://127.0.0.1:{running.server_port}/file.pt"  # type: ignore[attr-defined]
        yield Fresh
        running.shutdown()


@pytest.fixture
def entry(server: Any) -> PublishedFile:
    return replace(PUBLISHED[0], name="test", file="file.pt", url=server.address, bytes=len(DATA), sha256=SHA)


def unknown(entry: PublishedFile) -> PublishedFile:
    return replace(entry, bytes=None, sha256=None)


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# --- the list -------------------------------------------------------------------------------------------------------------


def test_every_entry_says_what_it_is() -> None:
    assert len({entry.name for entry in PUBLISHED}) == len({entry.file for entry in PUBLISHED}) == len(PUBLISHED)
    for entry in PUBLISHED:
        assert entry.url.startswith("https://")
        assert entry.page.startswith("https://")
        assert entry.license
        assert entry.author
        assert entry.sha256 is None or len(bytes.fromhex(entry.sha256)) == 32
        assert (entry.sha256 is None) == (entry.bytes is None)
        assert published(entry.name) is entry
    with pytest.raises(InputError, match="ffhq-nvidia"):
        published("nonsense")


def test_the_folder_of_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MIEN_MODELS", str(tmp_path / "mine"))
    assert models_folder() == tmp_path / "mine"
    monkeypatch.delenv("MIEN_MODELS")
    for platform, name, value in (("linux", "XDG_DATA_HOME", "data"), ("win32", "LOCALAPPDATA", "local")):
        monkeypatch.setattr(catalogue.sys, "platform", platform)
        monkeypatch.setenv(name, str(tmp_path / value))
        assert models_folder() == tmp_path / value / "mien" / "models"
    monkeypatch.setattr(catalogue.sys, "platform", "darwin")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert models_folder() == tmp_path / "Library" / "Application Support" / "mien" / "models"


def test_a_name_stands_for_the_file_once_it_was_got(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MIEN_MODELS", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    entry = PUBLISHED[0]
    assert located(Path("other.pt")) == Path("other.pt")
    with pytest.raises(InputError, match=f"mien models get {entry.name}"):
        load_model(entry.name)
    generator = Generator(GeneratorConfig(8, z_dim=8, w_dim=8, mapping_layers=1, channel_base=64, channel_max=8))
    write_model(place_of(entry), Model(generator, None, None, Provenance("tiny", "CC0", "random")))
    assert load_model(entry.name).resolution == 8
    assert shell(["inspect", entry.name]) == 0
    (tmp_path / entry.name).write_bytes(b"mine")  # a file of that name goes first
    with pytest.raises(CheckpointError, match="not a weights file"):
        load_model(entry.name)


def test_download_model_takes_a_file_that_is_there_and_keeps_what_it_finds(tmp_path: Path) -> None:
    entry = next(entry for entry in PUBLISHED if entry.sha256 is None)  # whose files can be anything but web pages
    mine, target = tmp_path / "mine.safetensors", tmp_path / "models" / "here.safetensors"
    generator = Generator(GeneratorConfig(8, z_dim=8, w_dim=8, mapping_layers=1, channel_base=64, channel_max=8))
    write_model(mine, Model(generator, None, None, Provenance("tiny", "CC0", "random")))
    with pytest.warns(MienWarning, match="no checksum"):
        assert mien.download_model(entry.name, target, file=mine) == target
    assert target.read_bytes() == mine.read_bytes()
    with pytest.warns(MienWarning, match="was there already"):
        mien.download_model(entry.name, target)
    target.write_bytes(b"<html>")
    with pytest.raises(InputError, match="is not"):
        mien.download_model(entry.name, target, file=mine)
    with pytest.raises(InputError, match="There is no file"):
        mien.download_model(entry.name, tmp_path / "other", file=tmp_path / "missing")


# --- downloading ----------------------------------------------------------------------------------------------------------


def test_a_download_is_checked_and_put_into_place(entry: PublishedFile, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    remarks = download(entry, tmp_path / "new" / "file.pt", lambda done, total, loss: seen.append((done, total)))
    assert (tmp_path / "new" / "file.pt").read_bytes() == DATA
    assert left_in(tmp_path / "new") == {"file.pt"}
    assert remarks == []
    assert seen[-1] == (len(DATA) // 10**6, len(DATA) // 10**6)


@pytest.mark.parametrize("known", [True, False])
def test_a_broken_download_goes_on(server: type[Server], entry: PublishedFile, tmp_path: Path, known: bool) -> None:
    entry = entry if known else unknown(entry)
    server.break_after = 500_000
    with pytest.raises(InputError, match="the same command to resume"):
        download(entry, tmp_path / "file.pt")
    assert left_in(tmp_path) == {"file.pt.part", "file.pt.part.json"}
    server.break_after = None
    download(entry, tmp_path / "file.pt")
    assert server.asked[1]["Range"] == "bytes=500000-"
    assert server.asked[1]["If-Range"] == '"first"'
    assert (tmp_path / "file.pt").read_bytes() == DATA
    assert left_in(tmp_path) == {"file.pt"}


def test_a_stopped_download_goes_on(server: type[Server], entry: PublishedFile, tmp_path: Path) -> None:
    def stop(done: int, total: int, loss: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(entry, tmp_path / "file.pt", stop)
    assert not (tmp_path / "file.pt").exists()
    download(entry, tmp_path / "file.pt")
    assert "Range" in server.asked[1]
    assert (tmp_path / "file.pt").read_bytes() == DATA


def test_another_file_on_the_server_begins_anew(server: type[Server], entry: PublishedFile, tmp_path: Path) -> None:
    server.break_after = 500_000
    with pytest.raises(InputError, match="to resume"):
        download(unknown(entry), tmp_path / "file.pt")
    server.break_after, server.tag, server.data = None, '"second"', DATA[:-1] + b"x"
    download(unknown(entry), tmp_path / "file.pt")
    assert (tmp_path / "file.pt").read_bytes() == server.data


def test_servers_that_cannot_resume_send_all_again(server: type[Server], entry: PublishedFile, tmp_path: Path) -> None:
    server.break_after = 500_000
    with pytest.raises(InputError, match="to resume"):
        download(entry, tmp_path / "file.pt")
    server.break_after, server.ranges = None, False
    download(entry, tmp_path / "file.pt")
    assert (tmp_path / "file.pt").read_bytes() == DATA


def test_without_checksum_and_tag_nothing_is_resumed(server: type[Server], entry: PublishedFile, tmp_path: Path) -> None:
    server.break_after, server.tag = 500_000, None
    with pytest.raises(InputError, match="to resume"):
        download(unknown(entry), tmp_path / "file.pt")
    server.break_after = None
    download(unknown(entry), tmp_path / "file.pt")
    assert "Range" not in server.asked[1]


@pytest.mark.parametrize("known", [True, False])
def test_a_part_that_is_complete_or_too_long(server: type[Server], entry: PublishedFile, tmp_path: Path, known: bool) -> None:
    (tmp_path / "file.pt.part").write_bytes(DATA if known else DATA + b"more")
    (tmp_path / "file.pt.part.json").write_text(json.dumps({"url": entry.url, "validator": '"first"'}))
    download(entry if known else unknown(entry), tmp_path / "file.pt")
    assert (tmp_path / "file.pt").read_bytes() == DATA
    assert len(server.asked) == (1 if known else 2)


@pytest.mark.parametrize("note", ["", "[1]", '{"url": 3}', "[" * 60_000, "{" * 10**6])
def test_a_note_that_we_did_not_write_begins_anew(
    server: type[Server], entry: PublishedFile, tmp_path: Path, note: str
) -> None:
    (tmp_path / "file.pt.part").write_bytes(b"x")
    (tmp_path / "file.pt.part.json").write_text(note)
    download(entry, tmp_path / "file.pt")
    assert (tmp_path / "file.pt").read_bytes() == DATA
    assert "Range" not in server.asked[0]


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/octet-stream"])
def test_web_pages_are_refused(server: type[Server], entry: PublishedFile, tmp_path: Path, kind: str) -> None:
    server.page = kind
    with pytest.raises(InputError, match=r"web page instead of the file.*`file`"):
        download(unknown(entry), tmp_path / "file.pt")
    assert not (tmp_path / "file.pt").exists()
    server.page = None
    download(unknown(entry), tmp_path / "file.pt")
    assert (tmp_path / "file.pt").read_bytes() == DATA


def test_a_wrong_checksum_leaves_nothing(server: type[Server], entry: PublishedFile, tmp_path: Path) -> None:
    server.data = DATA[:-1] + b"x"
    with pytest.raises(CheckpointError, match="SHA-256 is another one"):
        download(entry, tmp_path / "file.pt")
    assert left_in(tmp_path) == set()


def test_a_wrong_size_is_refused_before_it_comes(server: type[Server], entry: PublishedFile, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"offers {len(DATA)} bytes where file.pt has 5"):
        download(replace(entry, bytes=5), tmp_path / "file.pt")
    assert left_in(tmp_path) == set()


def test_an_unknown_checksum_is_said(entry: PublishedFile, tmp_path: Path) -> None:
    (remark,) = download(unknown(entry), tmp_path / "file.pt")
    assert "knows no checksum" in remark
    assert SHA in remark


@pytest.mark.parametrize("status", [403, 404, 429, 500])
def test_refusals_of_the_server_are_told(server: type[Server], entry: PublishedFile, tmp_path: Path, status: int) -> None:
    server.status = status
    with pytest.raises(InputError, match=rf"answered '{status} .*by hand from https://"):
        download(entry, tmp_path / "file.pt")


def test_no_network_is_told(entry: PublishedFile, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be reached"):
        download(replace(entry, url="http://127.0.0.1:9/file.pt"), tmp_path / "file.pt")


def test_a_full_disk_is_told_before(entry: PublishedFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 10})())
    with pytest.raises(InputError, match="free some space"):
        download(entry, tmp_path / "file.pt")
    assert left_in(tmp_path) == set()


def test_redirections_are_followed_but_not_out_of_encryption(server: Any, entry: PublishedFile, tmp_path: Path) -> None:
    server.redirect = "file:///etc/passwd"
    with pytest.raises(InputError):
        download(entry, tmp_path / "file.pt")
    request = fetch.urllib.request.Request("https://example.org/file.pt")
    with pytest.raises(OSError, match="not encrypted"):
        fetch._StaysEncrypted().redirect_request(request, io.BytesIO(), 302, "", request.headers, "http://example.org/x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no address of a web server"):
        fetch._open("file:///etc/passwd", {})


# --- from a file, and the command -----------------------------------------------------------------------------------------


@pytest.fixture
def listed(entry: PublishedFile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> PublishedFile:
    monkeypatch.setattr(catalogue, "PUBLISHED", (entry, *PUBLISHED))
    monkeypatch.setenv("MIEN_MODELS", str(tmp_path / "models"))
    return entry


def test_a_file_that_is_there_is_checked_and_copied(server: type[Server], entry: PublishedFile, tmp_path: Path) -> None:
    source = tmp_path / "download.pt"
    source.write_bytes(DATA)
    assert adopt(entry, source, tmp_path / "models" / "file.pt") == []
    assert (tmp_path / "models" / "file.pt").read_bytes() == source.read_bytes() == DATA
    adopt(entry, source, source)
    for wrong, why in (
        (b"<html>quota</html>", "web page"),
        (DATA[:-9], "bytes"),
        (DATA[:-1] + b"x", "SHA-256"),
        (b"", "empty"),
    ):
        source.write_bytes(wrong)
        with pytest.raises(CheckpointError, match=why):
            adopt(entry, source, tmp_path / "other.pt")
    assert not (tmp_path / "other.pt").exists()
    assert server.asked == [], "no network was needed"


def test_the_command_gets_and_lists(
    listed: PublishedFile, server: type[Server], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shell(["models", "get", "test"]) == 0
    shown = capsys.readouterr()
    assert shown.out.strip() == str(tmp_path / "models" / "file.pt")
    assert listed.license in shown.err
    assert shell(["models", "get", "test", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert "there already" in answer["warnings"][0]
    assert answer["written"][0]["license"] == listed.license
    assert len(server.asked) == 1
    assert shell(["models", "--json"]) == 0
    others = {other["name"]: other for other in json.loads(capsys.readouterr().out)["others"]}
    assert others["test"]["path"] == str(tmp_path / "models" / "file.pt")
    assert others["ffhq-nvidia"]["path"] is None
    assert others["ffhq-nvidia"]["sha256"] == PUBLISHED[0].sha256
    assert shell(["models"]) == 0
    text = capsys.readouterr().out
    assert all(word in text for entry in PUBLISHED for word in (entry.name, entry.file, entry.author, entry.license))
    assert "--model ffhq-nvidia --encoder e4e-ffhq" in text


def test_the_options_of_get(
    listed: PublishedFile, server: type[Server], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.pt").write_bytes(DATA)
    out = tmp_path / "here"
    out.mkdir()
    assert shell(["models", "get", "test", "--file", str(tmp_path / "own.pt"), "-o", str(out)]) == 0
    assert (out / "file.pt").read_bytes() == DATA
    assert server.asked == []
    (out / "file.pt").write_bytes(b"another")
    assert shell(["models", "get", "test", "-o", str(out / "file.pt")]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert shell(["models", "get", "test", "-o", str(out / "file.pt"), "--overwrite", "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    assert (out / "file.pt").read_bytes() == DATA
    assert check(listed, out / "file.pt") == []
    for line in ("models get", "models get nonsense", "models --overwrite", f"models get test --file {tmp_path}/no -o {out}/x"):
        assert shell(line.split()) == 2
    assert "There is no file" in capsys.readouterr().err


def test_nothing_is_downloaded_unasked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MIEN_MODELS", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def forbidden(*arguments: Any, **named: Any) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(fetch, "_open", forbidden)
    assert shell(["models"]) == 0
    assert shell(["sample", "--model", "ffhq-nvidia", "-o", "x.png"]) == 2
