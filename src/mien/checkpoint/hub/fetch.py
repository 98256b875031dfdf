"""Getting a published file: from its address, going on where a download broke off, or from a file that is there already."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from mien import __version__
from mien.checkpoint.foreign.sniff import container_of
from mien.checkpoint.hub.published import PublishedFile
from mien.errors import CheckpointError, InputError
from mien.files import file_sha256, parse_json, read_text, write_whole, written_whole
from mien.runtime import Progress

_CHUNK = 1 << 20
_SECONDS = 60  # without an answer, after which a connection counts as broken
_PAGE = (b"<!doctype html", b"<html")


def adopt(entry: PublishedFile, source: Path, target: Path) -> list[str]:
    """Check a file that was downloaded by hand and copy it to `target`; returns remarks. Needs no network."""
    remarks = check(entry, source)
    if source.resolve() != target.resolve():
        with written_whole(target) as temporary:
            shutil.copyfile(source, temporary)
    return remarks


def download(entry: PublishedFile, target: Path, progress: Progress = lambda done, total, loss: None) -> list[str]:
    """Download to `target`, which appears when all of it is there and checked; returns remarks.

    A download that breaks off leaves `<target>.part`, from which the next call goes on. `progress` counts megabytes.
    Raises `InputError` for whatever the network or the server does, `CheckpointError` for a wrong file.
    """
    part = target.with_name(f"{target.name}.part")
    note = target.with_name(f"{target.name}.part.json")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _receive(entry, part, note, progress)
        try:
            remarks = check(entry, part)
        except CheckpointError:
            part.unlink()  # no use in going on with it
            note.unlink(missing_ok=True)
            raise
        os.replace(part, target)
        note.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"{target} cannot be written ({error.strerror or error}): free some space or give another `out`."
        ) from error
    return remarks


def check(entry: PublishedFile, path: Path) -> list[str]:
    """Whether a file is the published one: size and SHA-256 where known, else that it is a weights file at all.

    Returns remarks on what could not be checked; raises `CheckpointError` where it is another file.
    """
    container = container_of(path)  # web pages and the like have a sentence of their own
    size = path.stat().st_size
    if entry.bytes is not None and size != entry.bytes:
        raise CheckpointError(f"{path} has {size} bytes, and {entry.file} has {entry.bytes}: get it again from {entry.page}.")
    found = file_sha256(path)
    if entry.sha256 is None:
        return [f"mien knows no checksum of {entry.file}; this one is a {container} file with SHA-256 {found}."]
    if found != entry.sha256:
        raise CheckpointError(f"{path} is not {entry.file}: its SHA-256 is another one; get it again from {entry.page}.")
    return []


def _receive(entry: PublishedFile, part: Path, note: Path, progress: Progress) -> None:
    start, headers = _where_to_go_on(entry, part, note)
    try:
        response = _open(entry.url, headers)
    except urllib.error.HTTPError as error:
        if error.code == 416 and start:  # nothing beyond: all of it is there, or it is another file
            if start != entry.bytes:
                part.unlink()
                _receive(entry, part, note, progress)
            return
        raise InputError(f"{_host(entry)} answered '{error.code} {error.reason}': {_by_hand(entry)}.") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise InputError(f"{_host(entry)} cannot be reached ({reason}): try later, or {_by_hand(entry)}.") from error
    with response:
        if start and (response.status != 206 or _starts_at(response.headers) != start):
            start = 0  # the server sends all of it
        total = _total(response.headers, start)
        if response.headers.get_content_type() == "text/html":
            raise InputError(_page_sentence(entry))
        if None not in (entry.bytes, total) and total != entry.bytes:
            raise InputError(f"{_host(entry)} offers {total} bytes where {entry.file} has {entry.bytes}: {_by_hand(entry)}.")
        if total is not None and shutil.disk_usage(part.parent).free < total - start:
            raise InputError(
                f"{entry.file} needs {total - start} bytes in {part.parent}: free some space or give another `out`."
            )
        if not start:
            write_whole(note, json.dumps({"url": entry.url, "validator": _validator(response.headers)}))
        with part.open("ab" if start else "wb") as file:
            done = _copy(entry, response, file, start, total, progress)
    if total is not None and done < total:
        raise InputError(f"The connection broke after {done} of {total} bytes: run the same command to resume.")


def _copy(entry: PublishedFile, response: Any, file: IO[bytes], start: int, total: int | None, progress: Progress) -> int:
    """Everything that comes, up to where the connection breaks; the bytes in the file."""
    done = start
    while True:
        try:
            block = response.read(_CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise InputError(f"The connection broke after {done} bytes ({error}): run the same command to resume.") from error
        if not block:
            return done
        if not done and block.lstrip(b"\xef\xbb\xbf \t\r\n")[:20].lower().startswith(_PAGE):
            raise InputError(_page_sentence(entry))
        file.write(block)
        done += len(block)
        progress(done // 10**6, (total or done) // 10**6, 0.0)


def _where_to_go_on(entry: PublishedFile, part: Path, note: Path) -> tuple[int, dict[str, str]]:
    """How many bytes are there already, and the request's headers."""
    headers = {"User-Agent": f"mien/{__version__}", "Accept-Encoding": "identity"}
    start = part.stat().st_size if part.exists() else 0
    try:
        known: Any = parse_json(read_text(note, most=1 << 16), note)
        same, validator = known["url"] == entry.url, known["validator"]
    except (InputError, KeyError, TypeError):  # none, or one that we did not write: all of it is fetched
        same, validator = False, None
    # Without a checksum only the server can tell whether its file is still the one of which we have the beginning.
    if not start or not same or (entry.sha256 is None and not validator):
        return 0, headers
    headers["Range"] = f"bytes={start}-"
    if validator:
        headers["If-Range"] = str(validator)
    return start, headers


def _validator(headers: Message) -> str | None:
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified")


def _starts_at(headers: Message) -> int | None:
    found = re.match(r"bytes (\d+)-", headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def _total(headers: Message, start: int) -> int | None:
    length = headers.get("Content-Length", "")
    return start + int(length) if length.isdecimal() else None


class _StaysEncrypted(urllib.request.HTTPRedirectHandler):
    """Follows redirections, but none from https to something that others could read or change."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        if req.type == "https" and urlsplit(newurl).scheme != "https":
            raise urllib.error.URLError(f"it sends us on to {newurl[:80]}, which is not encrypted")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(url: str, headers: dict[str, str]) -> Any:
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"{url} is no address of a web server")
    opener = urllib.request.build_opener(_StaysEncrypted)
    return opener.open(urllib.request.Request(url, headers=headers), timeout=_SECONDS)


def _host(entry: PublishedFile) -> str:
    return urlsplit(entry.url).netloc


def _by_hand(entry: PublishedFile) -> str:
    return f"get {entry.file} by hand from {entry.page} and give it to `mien models get {entry.name}` as its `file`"


def _page_sentence(entry: PublishedFile) -> str:
    return f"{_host(entry)} answered with a web page instead of the file (a download limit or a sign-in): {_by_hand(entry)}."
