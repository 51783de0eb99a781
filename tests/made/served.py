"""A server here that answers as Hugging Face's hub does, and as a host of published files."""

import hashlib
import json
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Web(NamedTuple):
    """The server's address, and the files that were asked of its repositories."""

    address: str
    asked: list[str]


@contextmanager
def serving(
    repositories: Mapping[str, Path],
    revision: str = "main",
    files: Path | None = None,
    revisions: Collection[str] = (),
) -> Iterator[Web]:
    """Serve folders as repositories that stand at one revision, and what lies in `files` by name.

    revisions: other commits with the same files.

    The hub gives commits for revisions, entries with sums, and files by commit.
    """
    asked: list[str] = []
    known = {revision, COMMIT, *revisions}

    class Server(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            self.answer()

        def answer(self) -> None:
            path = self.path.partition("?")[0].strip("/")
            for repository, folder in repositories.items():
                held = {}
                for file in folder.rglob("*"):
                    if file.is_file():
                        held[file.relative_to(folder).as_posix()] = file
                place, _, name = path.removeprefix(f"{repository}/resolve/").partition("/")
                asks = path.removeprefix(f"api/models/{repository}/revision/")
                if asks in known:
                    siblings = [{"rfilename": file} for file in held]
                    return self.say(
                        {"_id": "1", "id": repository, "sha": commit_of(asks), "siblings": siblings}
                    )
                if path.removeprefix(f"api/models/{repository}/tree/") in known:
                    return self.say([entry(name, file) for name, file in held.items()])
                if place in known and name in held:
                    asked.append(name)
                    return self.give(held[name].read_bytes(), {"X-Repo-Commit": commit_of(place)})
            if files and "/" not in path and (files / path).is_file():
                return self.give((files / path).read_bytes())
            self.send_response(404)
            self.body(b"")

        def say(self, value: Any) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.body(json.dumps(value).encode())

        def give(self, content: bytes, headers: Mapping[str, str] | None = None) -> None:
            self.send_response(200)
            self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.body(content)

        def body(self, content: bytes) -> None:
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Web(f"http://127.0.0.1:{server.server_port}", asked)
    finally:
        server.shutdown()
        server.server_close()


def commit_of(revision: str) -> str:
    """Return the commit that a revision stands for: itself, if it is one."""
    return revision if len(revision) == len(COMMIT) else COMMIT


def entry(name: str, file: Path) -> dict[str, Any]:
    content = file.read_bytes()
    oid = hashlib.sha1(content).hexdigest()
    return {"type": "file", "path": name, "size": len(content), "oid": oid}
