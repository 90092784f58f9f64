"""A server between a client and the sandbox that remembers each answer and gives it again.

The pretend ledgers render every row in Python, which takes longer than reading it: a speed measured against
them would be theirs. So each client, ours and the peers alike, runs once to fill this memory and once
against it. Answers go out byte for byte as the sandbox gave them, compressed for whoever asked for that.

`python benchmarks/ledger/replaying.py URL` prints its own address. GET /__counts__ says how often it had to ask.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

READING = ("/v3/company/", "/api.xro/2.0/")  # only the books are remembered, never tokens
PART_OF_QUESTION = ("accept-encoding", "accept", "if-modified-since", "xero-tenant-id")
OWN = frozenset({"connection", "keep-alive", "transfer-encoding", "date", "server"})

Kept = tuple[int, list[tuple[str, str]], bytes]


class Memory:
    """The answers so far, and the counts."""

    def __init__(self, source: str) -> None:
        self.host = urlsplit(source).netloc
        self.answers: dict[tuple[object, ...], Kept] = {}
        self.asked = self.remembered = 0
        self.own = threading.local()

    def forward(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Kept:
        connection = http.client.HTTPConnection(self.host, timeout=120)
        try:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            kept = [(k, v) for k, v in answer.getheaders() if k.lower() not in OWN]
            return answer.status, kept, answer.read()
        finally:
            connection.close()


def handler(memory: Memory) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path == "/__counts__":
                self._give(
                    (200, [], json.dumps({"asked": memory.asked, "remembered": memory.remembered}).encode())
                )
                return
            question = (
                self.command,
                self.path,
                body,
                *(self.headers.get(name, "") for name in PART_OF_QUESTION),
            )
            kept = memory.answers.get(question)
            if kept is None:
                memory.asked += 1
                headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
                kept = memory.forward(self.command, self.path, headers, body)
                if kept[0] == 200 and any(part in self.path for part in READING):
                    memory.answers[question] = kept
            else:
                memory.remembered += 1
            self._give(kept)

        def _give(self, kept: Kept) -> None:
            status, headers, body = kept
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() != "content-length":
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

        do_GET = do_POST = do_PUT = do_DELETE = _answer

        def log_message(self, format: str, *args: object) -> None:
            return

    return Handler


class Server(ThreadingHTTPServer):
    daemon_threads = True


if __name__ == "__main__":
    server = Server(("127.0.0.1", 0), handler(Memory(sys.argv[1])))
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
