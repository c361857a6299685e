"""A stand-in for the model hub on a loopback socket: the few routes that fetching a snapshot uses.

The real hub cannot be reached where these tests run; the real client (`huggingface_hub`) is what talks to it.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """`files`: repository -> file name -> content. `cut`: names whose download breaks off half-way."""

    def __init__(self, files: dict[str, dict[str, bytes]]) -> None:
        self.files = files
        self.cut: set[str] = set()
        self.sent: list[str] = []
        self.url = ""


@contextmanager
def serve(files: dict[str, dict[str, bytes]]) -> Iterator[Hub]:
    hub = Hub(files)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, *, body: bool) -> None:
            parts = self.path.split("?")[0].strip("/").split("/")
            if parts[:2] == ["api", "models"]:
                self.repository("/".join(parts[2:4]), parts[4:], body=body)
            elif len(parts) >= 5 and parts[2] == "resolve":
                self.file("/".join(parts[:2]), "/".join(parts[4:]), body=body)
            else:
                self.missing("EntryNotFound")

        def repository(self, name: str, rest: list[str], *, body: bool) -> None:
            if name not in hub.files:
                self.missing("RepoNotFound")
                return
            if rest[:1] == ["revision"] and rest[1] not in ("main", COMMIT):
                self.missing("RevisionNotFound")
                return
            tree = [
                {"type": "file", "path": file, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for file, content in hub.files[name].items()
            ]
            siblings = [{"rfilename": entry["path"]} for entry in tree]
            payload: object = tree if rest[:1] == ["tree"] else {"id": name, "sha": COMMIT, "siblings": siblings}
            self.send(json.dumps(payload).encode(), {"Content-Type": "application/json"}, body=body)

        def file(self, name: str, file: str, *, body: bool) -> None:
            content = hub.files.get(name, {}).get(file)
            if content is None:
                self.missing("EntryNotFound")
                return
            headers = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
            if body:
                hub.sent.append(file)
            self.send(content, headers, body=body, cut=file in hub.cut)

        def send(self, content: bytes, headers: dict[str, str], *, body: bool, cut: bool = False) -> None:
            self.send_response(200)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                self.wfile.write(content[: len(content) // 2] if cut else content)
                self.close_connection = cut

        def missing(self, code: str) -> None:
            self.send_response(404)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
