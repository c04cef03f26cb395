"""The clients: one process that keeps many connections busy and notes how long each answer took.

It runs beside the server on the same processors, so it does as little as it can: requests are
prebuilt bytes, one loop serves every connection, and of an answer only the status and the length
are read. ``static`` in the results is what it reaches when the server does nothing.

Run as ``python -m tests.benchmarks.load``; it reads pickled :class:`Round` from standard input
and writes one pickled :class:`Outcome` for each.
"""

from __future__ import annotations

import pickle
import re
import selectors
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

KEY = b"@key@"  # in a request: a new Idempotency-Key each time it is sent
SILENCE_SECONDS = 30.0
SAMPLES = 3

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


@dataclass(frozen=True)
class Script:
    """What one client sends, one request after the other.

    Args:
        requests: complete HTTP requests; ``KEY`` in one stands for a new Idempotency-Key.
        repeat: begin again at the end; otherwise this client is done then.
    """

    requests: Sequence[bytes]
    repeat: bool = False


@dataclass(frozen=True)
class Round:
    """Some seconds of load on one address."""

    host: str
    port: int
    seconds: float
    expect: int
    scripts: Sequence[Script]


@dataclass
class Outcome:
    """What came back.

    ``latencies`` (seconds) are those of expected answers. ``seconds`` is from the first request
    to the last answer. ``bodies`` are samples of answers, by status.
    """

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    bodies: dict[int, list[bytes]] = field(default_factory=dict)
    error: str = ""

    @property
    def rate(self) -> float:
        """Expected answers per second."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0


class _Client:
    """One connection: what it sends next, when it sent, and what has come of the answer."""

    def __init__(self, script: Script, address: tuple[str, int], keys: Iterator[bytes]) -> None:
        self._keys = keys
        self._repeat = script.repeat
        self._requests = deque(tuple(request.split(KEY)) for request in script.requests)
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(SILENCE_SECONDS)
        self.sent_at = 0.0
        self._received = b""
        self._wanted = 0

    def send(self) -> bool:
        """Send the next request; False if there is none."""
        if not self._requests:
            return False
        parts = self._requests.popleft()
        if self._repeat:
            self._requests.append(parts)
        request = next(self._keys).join(parts) if len(parts) > 1 else parts[0]
        self._received, self._wanted = b"", 0
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)
        return True

    def receive(self) -> bytes | None:
        """Read what is there; the whole answer once it is complete."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise ConnectionError("the server closed the connection")
        self._received = self._received + data if self._received else data
        if not self._wanted:
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return None
            length = _LENGTH.search(self._received, 0, end + 2)
            if length is None:
                raise ConnectionError(f"an answer without a length: {self._received[:200]!r}")
            self._wanted = end + 4 + int(length[1])
        return self._received if len(self._received) >= self._wanted else None


def run(order: Round) -> Outcome:
    """Let every client work until the time is up or its script ends, and wait for the answers."""
    outcome = Outcome()
    prefix = time.time_ns()
    keys = (b"bench-%d-%d" % (prefix, number) for number in count())
    clients = [_Client(script, (order.host, order.port), keys) for script in order.scripts]
    selector = selectors.DefaultSelector()
    busy = 0
    began = finished = time.perf_counter()
    deadline = began + order.seconds
    try:
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ, client)
            busy += client.send()
        while busy:
            ready = selector.select(SILENCE_SECONDS)
            if not ready:
                raise TimeoutError(f"no answer for {SILENCE_SECONDS:.0f} s")
            for key, _ in ready:
                client = key.data
                answer = client.receive()
                if answer is None:
                    continue
                finished = time.perf_counter()
                _note(outcome, answer, finished - client.sent_at, order.expect)
                if finished >= deadline or not client.send():
                    busy -= 1
    except OSError as error:
        outcome.error = f"{type(error).__name__}: {error}"
    finally:
        selector.close()
        for client in clients:
            client.socket.close()
    outcome.seconds = finished - began
    return outcome


def _note(outcome: Outcome, answer: bytes, seconds: float, expect: int) -> None:
    status = int(answer[9:12])
    outcome.statuses[status] += 1
    if status == expect:
        outcome.latencies.append(seconds)
        if outcome.statuses[status] > 1:
            return
    samples = outcome.bodies.setdefault(status, [])
    if len(samples) < SAMPLES:
        samples.append(answer.partition(b"\r\n\r\n")[2][:1000])


def main() -> None:
    while True:
        try:
            order = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(run(order), sys.stdout.buffer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    # Pickle names classes by their module, which is __main__ here and another one over there.
    from tests.benchmarks.load import main as importable_main

    importable_main()
