"""A web server on the loopback interface that can be told to misbehave, for the download tests."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class RangeServer:
    """What is served and how badly; ``ranges`` collects the Range header of every request."""

    body: bytes
    port: int = 0
    ranges: list[str | None] = field(default_factory=list)
    understands_ranges: bool = True
    cut_after: list[int | None] = field(default_factory=list)  # request by request: bytes of the answer, None: all
    statuses: list[int] = field(default_factory=list)  # request by request: an error to answer with
    claimed_extra: int = 0  # added to the length the server says
    wrong_start: int = 0  # added to the start it says in Content-Range
    stall: threading.Event | None = None  # after the first bytes, wait for this
    chunked: bool = False  # no Content-Length

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/files/archive.tar.gz"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        asked = request.headers.get("Range")
        number = len(self.ranges)
        self.ranges.append(asked)
        if number < len(self.statuses) and self.statuses[number] != 200:
            request.send_error(self.statuses[number])
            return
        start = 0
        if asked and self.understands_ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
            if start >= len(self.body):
                request.send_response(416)
                request.send_header("Content-Range", f"bytes */{len(self.body)}")
                request.send_header("Content-Length", "0")
                request.end_headers()
                return
        body = self.body[start:]
        request.send_response(206 if start else 200)
        if start:
            said = start + self.wrong_start
            request.send_header("Content-Range", f"bytes {said}-{len(self.body) - 1}/{len(self.body)}")
        if not self.chunked:
            request.send_header("Content-Length", str(len(body) + self.claimed_extra))
        request.end_headers()
        cut = self.cut_after[number] if number < len(self.cut_after) else None
        request.wfile.write(body[:cut])
        if self.stall:
            request.wfile.flush()
            self.stall.wait(10)
        request.close_connection = True


@contextmanager
def serving(body: bytes, **options: object) -> Iterator[RangeServer]:
    """Serve ``body`` while the block runs."""
    behaviour = RangeServer(body, **options)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            behaviour.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    behaviour.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield behaviour
    finally:
        if behaviour.stall:
            behaviour.stall.set()
        server.shutdown()
        server.server_close()
        thread.join()
