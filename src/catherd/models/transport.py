"""The one way out to a vendor: an httpx transport that keeps time and counts bytes.

It remembers what happened, too. LiteLLM's `timeout=` bounds each read, so a body that
drips never ends. Here every read of the socket gets what is left of the call's
wall-clock time. Redirects are not followed: a key would travel along. Compressed bodies
are not asked for: 100 MB fit into 100 kB. One request is not sent twice. Nothing leaves
outside a call: no telemetry, no price lists. Imported by `llm` alone, with LiteLLM.
"""

import ssl
import time
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any
from urllib.request import getproxies, proxy_bypass

import certifi
import httpcore
import httpx

CONNECT_S = 10.0
# Bytes of one answer; the longest that a model gives is a hundredth.
LIMIT = 16 * 1024 * 1024


class Exchange:
    """One try of a call: its deadline (monotonic seconds), and what was seen of it."""

    def __init__(self, deadline: float, limit: int = LIMIT) -> None:
        self.deadline, self.limit = deadline, limit
        self.requests, self.received = 0, 0
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.sent = False
        self.why = ""
        self.asked: set[tuple[str, str]] = set()

    def left(self) -> float:
        """Seconds left; raises httpcore.ReadTimeout when none are."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            self.why = self.why or "deadline"
            raise httpcore.ReadTimeout("the call's time is over")
        return left


current: ContextVar[Exchange | None] = ContextVar("current", default=None)


class _Stream(httpcore.NetworkStream):
    """A socket whose every wait ends with the call."""

    def __init__(self, inner: httpcore.NetworkStream, exchange: Exchange) -> None:
        self.inner, self.exchange = inner, exchange

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - the call's time rules
        left = self.exchange.left()
        try:
            return self.inner.read(max_bytes, left)
        except httpcore.ReadTimeout:
            self.exchange.why = self.exchange.why or "deadline"
            raise

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - likewise
        left = self.exchange.left()
        try:
            self.inner.write(buffer, left)
        except httpcore.WriteTimeout:
            self.exchange.why = self.exchange.why or "deadline"
            raise

    def close(self) -> None:
        self.inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - likewise
    ) -> httpcore.NetworkStream:
        left = min(CONNECT_S, self.exchange.left())
        try:
            return _Stream(
                self.inner.start_tls(ssl_context, server_hostname, left), self.exchange
            )
        except (httpcore.ConnectError, httpcore.ConnectTimeout):
            self.exchange.why = self.exchange.why or "connect"
            raise

    def get_extra_info(self, info: str) -> Any:
        return self.inner.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, exchange: Exchange) -> None:
        self.inner, self.exchange = httpcore.SyncBackend(), exchange

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - likewise
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        left = min(CONNECT_S, self.exchange.left())
        try:
            return _Stream(
                self.inner.connect_tcp(host, port, left, local_address, socket_options),
                self.exchange,
            )
        except (httpcore.ConnectError, httpcore.ConnectTimeout):
            self.exchange.why = self.exchange.why or "connect"
            raise


class _Sent(httpx.SyncByteStream):
    """The request's body; says when all of it was handed to the socket."""

    def __init__(self, content: bytes, exchange: Exchange) -> None:
        self.content, self.exchange = content, exchange

    def __iter__(self) -> Iterator[bytes]:
        self.exchange.sent = True  # from here on the vendor may have it
        yield self.content


class _Received(httpx.SyncByteStream):
    def __init__(
        self, inner: Iterable[bytes], pool: httpcore.ConnectionPool, exchange: Exchange
    ) -> None:
        self.inner, self.pool, self.exchange = inner, pool, exchange

    def __iter__(self) -> Iterator[bytes]:
        for part in self.inner:
            self.exchange.received += len(part)
            if self.exchange.received > self.exchange.limit:
                self.exchange.why = "too_big"
                raise httpx.ReadError("the answer is too large")
            self.exchange.body += part
            yield part

    def close(self) -> None:
        if hasattr(self.inner, "close"):
            self.inner.close()
        self.pool.close()


class Transport(httpx.BaseTransport):
    """For httpx.Client(transport=…).

    It makes one connection per request: a call takes seconds, a handshake a tenth of
    one.
    """

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The response. Raises httpx.HTTPError; the exchange in `current` tells why."""
        exchange = current.get()
        if exchange is None:
            raise httpx.ConnectError("no call is being made: nothing goes out")
        asked = (request.method, str(request.url))
        if asked in exchange.asked:
            exchange.why = exchange.why or "repeated"
            raise httpx.ConnectError("this request was sent already")
        exchange.asked.add(asked)
        exchange.requests += 1
        exchange.sent, exchange.received, exchange.status = False, 0, None
        exchange.body.clear()
        content = request.read()
        headers = [
            (k, v) for k, v in request.headers.raw if k.lower() != b"accept-encoding"
        ]
        url = request.url
        raw = httpcore.Request(
            method=request.method,
            url=httpcore.URL(
                scheme=url.raw_scheme,
                host=url.raw_host,
                port=url.port,
                target=url.raw_path,
            ),
            headers=[*headers, (b"Accept-Encoding", b"identity")],
            content=_Sent(content, exchange),
        )
        pool = _pool(url, exchange)
        try:
            response = pool.handle_request(raw)
        except BaseException as e:
            pool.close()
            if isinstance(
                e,
                httpcore.TimeoutException
                | httpcore.NetworkError
                | httpcore.ProtocolError,
            ):
                raise httpx.ReadError(type(e).__name__) from None
            raise
        return _response(response, pool, exchange)


def _response(
    response: httpcore.Response, pool: httpcore.ConnectionPool, exchange: Exchange
) -> httpx.Response:
    exchange.status = response.status
    exchange.headers = {
        k.decode("latin-1").lower(): v.decode("latin-1") for k, v in response.headers
    }
    if 300 <= response.status < 400:
        exchange.why = "redirect"
    headers = [(k, v) for k, v in response.headers if k.lower() != b"location"]
    assert isinstance(response.stream, Iterable)  # noqa: S101 - httpcore's sync side
    stream = _Mapped(_Received(response.stream, pool, exchange))
    return httpx.Response(response.status, headers=headers, stream=stream)


class _Mapped(httpx.SyncByteStream):
    """A body that raises httpx's errors for httpcore's, as callers of httpx expect."""

    def __init__(self, inner: _Received) -> None:
        self.inner = inner

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self.inner
        except (
            httpcore.TimeoutException,
            httpcore.NetworkError,
            httpcore.ProtocolError,
        ) as e:
            raise httpx.ReadError(type(e).__name__) from None

    def close(self) -> None:
        self.inner.close()


def _pool(url: httpx.URL, exchange: Exchange) -> httpcore.ConnectionPool:
    """A pool for one request.

    It goes through the proxy of the environment (HTTPS_PROXY, NO_PROXY) if there is
    one.
    """
    backend = _Backend(exchange)
    proxy = None if proxy_bypass(url.host) else getproxies().get(url.scheme)
    context = _tls() if url.scheme == "https" else None
    if proxy is not None and not _local(url.host):
        return httpcore.HTTPProxy(
            proxy, ssl_context=context, network_backend=backend, max_connections=1
        )

    return httpcore.ConnectionPool(
        ssl_context=context, network_backend=backend, max_connections=1
    )


def _local(host: str) -> bool:
    return host in {"localhost", "::1"} or host.startswith("127.")


def _tls() -> ssl.SSLContext:
    """The certificates of the system or of SSL_CERT_FILE, else certifi's."""
    context = ssl.create_default_context()
    if not context.get_ca_certs():
        context.load_verify_locations(certifi.where())
    return context
