"""The transport of requests: waitress, with a deadline per request and JSON for its own refusals."""

import ctypes
import ipaddress
import logging
import math
import select
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

from ferlib.common.errors import BadInputError
from ferlib.live.serve.app import build_app
from ferlib.live.serve.limits import SECURITY_HEADERS, Limits, body_too_large, error_body
from ferlib.live.serve.reader import PictureReader
from ferlib.model.recognise import Recognizer

_LINGER_SECONDS = 2
_SPARE_THREADS = 4  # for the page, for /healthz, and to say that the server is busy
_MESSAGES = {
    400: "this is no HTTP request that can be understood",
    408: "the request took too long to arrive",
    431: "the headers of the request are too large",
    501: "this transfer encoding is not known",
    500: "the server failed; its log says where",
}


class _JsonError:
    """An error of waitress's own, answered like those of the application."""

    def __init__(self, code: int, limits: Limits):
        self.code = code
        self._message = body_too_large(limits) if code == 413 else _MESSAGES.get(code, _MESSAGES[400])

    def to_response(self, _ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        headers = [("Content-Type", "application/json"), *SECURITY_HEADERS.items()]
        return f"{self.code} {HTTPStatus(self.code).phrase}", headers, error_body(self._message)


class _Channel(HTTPChannel):
    """A connection whose requests have a deadline, and that is not reset before its refusal is read.

    To close while bytes arrive resets the connection, and the client may lose the answer. So after a
    refusal what still comes is thrown away for a moment, as nginx's "lingering close" does.
    """

    request: Any  # of waitress, which has no types
    deadline = math.inf
    refused = lingering = False

    def received(self, data: bytes) -> bool:
        if self.lingering:
            return False
        before = self.request
        accepted = super().received(data)
        if self.request is None:
            self.deadline = math.inf
        elif self.request is not before:
            self.deadline = time.monotonic() + self.server.limits.seconds
        return accepted

    def readable(self) -> bool:  # waitress asks at least once a second
        if time.monotonic() > self.deadline and not self.requests:
            self._expire()
        return not self.will_close if self.lingering else super().readable()

    def _expire(self) -> None:
        self.deadline = math.inf
        if self.lingering:
            self.will_close = True
            return
        with self.requests_lock:
            request, self.request = self.request, None
            if request is not None:
                request.error, request.completed = _JsonError(408, self.server.limits), True
                self.requests.append(request)
                self.server.add_task(self)

    def service(self) -> None:
        error = self.requests[0].error
        if error is not None:
            self.refused = True
            self.requests[0].error = _JsonError(error.code, self.server.limits)
        super().service()

    def handle_close(self) -> None:
        if self.refused and self.connected and not self.lingering:
            self.lingering, self.deadline = True, time.monotonic() + _LINGER_SECONDS
            with suppress(OSError):  # the client is gone already
                self.socket.shutdown(socket.SHUT_WR)
                self.will_close = False
                return
        super().handle_close()


class Server(TcpWSGIServer):
    """The web page on one address. It listens at once and answers while `run` runs.

    Args:
        recognizer: The model and the detector.
        host: The address to listen on.
        port: The port; 0 takes a free one.
        limits: What is accepted; the defaults are those that README.md names.

    Raises:
        BadInputError: The address cannot be listened on.
    """

    channel_class = _Channel
    active_channels: dict[int, Any]

    def __init__(
        self, recognizer: Recognizer, host: str = "127.0.0.1", port: int = 0, limits: Limits | None = None
    ):
        if not 0 <= port <= 65535:  # the system would take the remainder of a division
            raise BadInputError(f"cannot listen on port {port}: it must be between 0 and 65535")
        self.limits = limits or Limits()
        self._reader = PictureReader(recognizer, self.limits)
        self._stopping = False
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it warns of each request that waits
        try:
            adjustments = Adjustments(
                host=host,
                port=port,
                threads=self.limits.requests + _SPARE_THREADS,
                connection_limit=2 * self.limits.connections,  # never reached: handle_accept makes room
                clear_untrusted_proxy_headers=False,  # X-Forwarded-Host is looked at, and can do no harm
                max_request_body_size=self.limits.bytes + 1,
                inbuf_overflow=2 * self.limits.bytes,  # larger bodies than this would go to the disk
                channel_timeout=math.ceil(self.limits.seconds) + 1,  # later than the deadline, which answers
                log_socket_errors=False,
                ident=None,
            )
            dispatcher = ThreadedTaskDispatcher()
            loopback = ipaddress.ip_address(adjustments.listen[0][3][0]).is_loopback
            app = build_app(self._reader, loopback)
            super().__init__(app, dispatcher=dispatcher, adj=adjustments)
        except (OSError, OverflowError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise BadInputError(
                f"cannot listen on {host}, port {port} ({reason}); choose another --host or --port"
            ) from error
        dispatcher.set_thread_count(adjustments.threads)

    def handle_accept(self) -> None:
        """Accept a connection; where too many are open, close one that waits for its client first."""
        if len(self.active_channels) >= self.limits.connections:
            waiting = [channel for channel in self.active_channels.values() if not channel.requests]
            if not waiting:
                return  # each is being answered; the system's queue holds the new one
            min(waiting, key=lambda channel: (channel.request is not None, channel.last_activity)).close()
        super().handle_accept()

    @property
    def url(self) -> str:
        """The address for a browser on this machine, without a slash at the end."""
        bound = str(self.effective_host)
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bound, bound)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.effective_port}"

    def run(self) -> None:
        """Answer requests until `stop`; then up to two seconds for those in work, and all is closed."""
        try:
            with self._reader:
                while not self._stopping:
                    wasyncore.loop(timeout=1, use_poll=hasattr(select, "poll"), map=self._map, count=1)
                self.socket.close()
                self._reader.refuse_more()
                self.task_dispatcher.shutdown(cancel_pending=True, timeout=2)
        finally:
            wasyncore.close_all(self._map, ignore_all=True)

    def stop(self) -> None:
        """Let `run` end; from any thread or a signal handler."""
        self._stopping = True
        with suppress(OSError):  # it has ended already
            self.pull_trigger()


@contextmanager
def running_server(recognizer: Recognizer, port: int = 0, limits: Limits | None = None) -> Iterator[Server]:
    """Run a server for this machine only, in a thread of its own, while the block runs.

    Args:
        recognizer: The model and the detector.
        port: The port; 0 takes a free one.
        limits: What is accepted.

    Yields:
        The server; its address is `.url`.
    """
    server = Server(recognizer, port=port, limits=limits)
    thread = threading.Thread(target=server.run, name="ferlib-serve", daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(15)


def run_server(recognizer: Recognizer, host: str = "127.0.0.1", port: int = 8000) -> None:
    """Answer until SIGINT or SIGTERM; for the main thread of a process that does nothing else.

    Args:
        recognizer: The model and the detector.
        host: The address to listen on.
        port: The port; 0 takes a free one.
    """
    _return_memory()
    server = Server(recognizer, host, port)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: server.stop())
    print(f"{server.url}  (Ctrl+C stops it)", flush=True)
    server.run()
    print("stopped", flush=True)


def _return_memory() -> None:
    """Have glibc map every block over a megabyte by itself, so that freeing it returns it to the system.

    It starts so, but after some large pictures it keeps blocks of up to 32 MB for later: a server that has
    decoded a few dozen of 25 million pixels would hold over a gigabyte for good. Elsewhere nothing is done.
    """
    m_mmap_threshold = -3  # from malloc.h
    with suppress(AttributeError, OSError, TypeError):  # another C library, or Windows
        ctypes.CDLL(None).mallopt(m_mmap_threshold, 1 << 20)
