"""How requests come in: waitress, with what it lacks against those who send slowly or without end."""

import ctypes
import functools
import logging
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher

from ferlib.common.errors import BadInputError
from ferlib.detect.detector import Detector, load_detector
from ferlib.detect.yunet import YuNet
from ferlib.live.serve.app import build_app
from ferlib.live.serve.limits import SECURITY_HEADERS, Limits, busy, error_body, too_large
from ferlib.live.serve.workers import Desk
from ferlib.model.predictor import Predictor

_DRAIN_SECONDS = 2
_SPARE_THREADS = 4  # for the page, for /healthz, and to say that the server is busy
_LINES = {
    400: "this is no HTTP request that can be understood",
    408: "the request took too long to arrive",
    431: "the headers of the request are too large",
    501: "this transfer encoding is not known",
    500: "the server failed; its log says where",
}


class _Error:
    """What waitress wants of an error: a number."""

    def __init__(self, code: int):
        self.code = code


class _Parser(HTTPRequestParser):
    """Stops taking a body in when the bodies of all requests together are more than may be held."""

    def __init__(self, adj: Adjustments, server: "Server"):
        super().__init__(adj)
        self._server = server

    def received(self, data: bytes) -> int:
        used = super().received(data)
        arriving = self.body_rcv is not None and not self.completed
        if arriving and self._server.held() > self._server.limits.bytes_held:
            self.error, self.completed = _Error(503), True
        return used


class _ErrorTask(ErrorTask):
    """Answers what is refused before the application sees it, in the application's way."""

    def execute(self) -> None:
        code = getattr(self.request.error, "code", 500)
        if code == 413:
            line = str(too_large(self.channel.server.limits))
        else:
            line = str(busy()) if code == 503 else _LINES.get(code, _LINES[400])
        body = error_body(line)
        self.status = f"{code} {HTTPStatus(code).phrase}"
        self.response_headers += [("Content-Type", "application/json"), *SECURITY_HEADERS.items()]
        if code == 503:
            self.response_headers.append(("Retry-After", str(busy().retry)))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.channel.refused = True
        self.write(body)


class _Channel(HTTPChannel):
    """A connection that knows since when a request is arriving, and says no before it hangs up.

    Closing while bytes arrive resets the connection, and the client may lose the answer. So after a
    refusal what still comes is thrown away for a moment, as nginx's "lingering close" does.
    """

    error_task_class = _ErrorTask
    refused = False
    began = 0.0
    drained_until: float | None = None

    def __init__(self, server: "Server", *args, **named):
        self.parser_class = functools.partial(_Parser, server=server)
        super().__init__(server, *args, **named)

    def received(self, data: bytes) -> bool:
        if self.drained_until is not None:
            return False
        before = self.request
        done = super().received(data)
        if self.request is not None and self.request is not before:
            self.began = time.monotonic()
        return done

    def overdue(self, now: float) -> bool:
        """Whether a request has been arriving for too long."""
        arriving = self.request is not None and not self.requests
        return arriving and now - self.began > self.server.limits.request_seconds

    def give_up(self) -> None:
        """Answer 408 to a request that has not come whole."""
        with self.requests_lock:
            request, self.request = self.request, None
            if request is not None:
                request.error, request.completed = _Error(408), True
                self.requests.append(request)
                self.server.add_task(self)

    def readable(self) -> bool:
        return super().readable() if self.drained_until is None else not self.will_close

    def writable(self) -> bool:
        return super().writable() if self.drained_until is None else self.will_close

    def handle_close(self) -> None:
        if self.refused and self.connected and self.drained_until is None:
            self.drained_until = time.monotonic() + _DRAIN_SECONDS
            with suppress(OSError):  # gone already
                self.socket.shutdown(socket.SHUT_WR)
                self.will_close = False
                return
        super().handle_close()


class Server(TcpWSGIServer):
    """waitress on one address; `run` works until `stop` is called, from any thread or a signal handler."""

    channel_class = _Channel

    def __init__(self, app: Callable, desk: Desk, host: str, port: int):
        self.limits, self._desk, self._stopping = desk.limits, desk, False
        if not 0 <= port <= 65535:  # the system would take the rest of a division
            raise BadInputError(f"cannot listen on port {port}: it must lie between 0 and 65535")
        shutter = ThreadedTaskDispatcher()
        shutter.queue_logger = logging.Logger(
            "quiet", logging.CRITICAL
        )  # it would warn of each one that waits
        try:
            adj = Adjustments(
                host=host,
                port=port,
                threads=self.limits.at_once + _SPARE_THREADS,
                connection_limit=self.limits.connections,
                max_request_body_size=self.limits.bytes + 1,
                inbuf_overflow=2
                * self.limits.bytes,  # larger bodies than this would go into a file on the disk
                outbuf_overflow=64_000_000,
                max_request_header_size=16_384,
                recv_bytes=65_536,
                channel_timeout=max(1, round(self.limits.request_seconds)),
                cleanup_interval=1,
                asyncore_use_poll=hasattr(select, "poll"),
                log_socket_errors=False,
                ident=None,
            )
            super().__init__(app, dispatcher=shutter, adj=adj)
        except (OSError, OverflowError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise BadInputError(
                f"cannot listen on {host}, port {port} ({reason}); choose another --host or --port"
            ) from error
        shutter.set_thread_count(adj.threads)

    @property
    def bound_port(self) -> int:
        """The port it listens on; of interest where 0 was asked for."""
        return int(self.effective_port)

    @property
    def url(self) -> str:
        """The address for a browser on this machine, without a slash at the end."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.effective_host, self.effective_host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.effective_port}"

    def held(self) -> int:
        """Bytes of all bodies in memory."""
        channels = list(self.active_channels.values())
        requests = [request for each in channels for request in (each.request, *each.requests) if request]
        return sum(len(request.body_rcv) for request in requests if request.body_rcv is not None)

    def maintenance(self, now: float) -> None:
        super().maintenance(now)
        now = time.monotonic()
        for channel in list(self.active_channels.values()):
            if channel.drained_until is not None and now > channel.drained_until:
                channel.will_close = True
            elif channel.overdue(now):
                channel.give_up()

    def run(self) -> None:
        """Answer requests until `stop`; then no new ones, up to five seconds for those in work, and close all."""
        try:
            while not self._stopping:
                wasyncore.loop(timeout=1, map=self._map, use_poll=self.adj.asyncore_use_poll, count=1)
        finally:
            self.socket.close()
            self.task_dispatcher.shutdown(cancel_pending=True, timeout=5)
            self._desk.close()
            wasyncore.close_all(self._map, ignore_all=True)

    def stop(self) -> None:
        """Let `run` come to its end."""
        self._stopping = True
        with suppress(OSError):  # it has ended already
            self.pull_trigger()


def open_server(
    bundle: Predictor,
    host: str = "127.0.0.1",
    port: int = 0,
    detector: str = "auto",
    limits: Limits | None = None,
    say: Callable[[str], object] = print,
) -> Server:
    """A server that listens and does not answer yet: `run` it. Port 0 takes a free one.

    `detector`: a name as in `faces.load_detector`. Raises BadInputError for an address that cannot be had.
    """
    limits = limits or Limits()
    desk = Desk(bundle, _detectors(detector, min(4, os.cpu_count() or 1), say), limits)
    return Server(build_app(desk, getattr(bundle, "name", "")), desk, host, port)


def _detectors(name: str, count: int, say: Callable[[str], object]) -> list[Detector]:
    """As many of one kind: `auto` decides once, and says so once."""
    first = load_detector(name, say)
    if name == "auto":
        name = "yunet" if isinstance(first, YuNet) else "frontalface_default"
    return [first, *(load_detector(name, say) for _ in range(count - 1))]


@contextmanager
def running(
    bundle: Predictor,
    port: int = 0,
    detector: str = "auto",
    limits: Limits | None = None,
    host: str = "127.0.0.1",
) -> Iterator[Server]:
    """A server in a thread of its own while the block runs; its address is `.url`. It stops at the end."""
    server = open_server(bundle, host, port, detector, limits)
    thread = threading.Thread(target=server.run, name="ferlib-serve", daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(15)


def serve(
    bundle: Predictor, host: str, port: int, detector: str, say: Callable[[str], object] = print
) -> None:
    """Answer until SIGINT or SIGTERM; to be called in the main thread of a process that does nothing else."""
    _give_memory_back()
    server = open_server(bundle, host, port, detector, say=say)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda *_: server.stop())
    try:
        say(f"{server.url}  (Ctrl+C stops it)")
        server.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    say("stopped")


def _give_memory_back() -> None:
    """Have glibc map every block over a megabyte by itself, so that freeing it gives it back to the system.

    It starts so, but after some large pictures it keeps blocks of up to 32 MB for later: a server that has
    decoded a few dozen of 25 million pixels would hold over a gigabyte for good. Elsewhere nothing is done.
    """
    m_mmap_threshold = -3  # from malloc.h
    with suppress(AttributeError, OSError, TypeError):  # another C library, or Windows
        ctypes.CDLL(None).mallopt(m_mmap_threshold, 1 << 20)
