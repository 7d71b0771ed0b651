"""Laws of reading HTTP: however the bytes are cut the request is the same; garbage raises HttpRefusal and no more."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gearjobs.errors import HttpRefusal
from gearjobs.protocol.http_messages import HEAD_LIMIT_BYTES, RequestReader

LIMIT = 200
#: Pieces of requests, good and bad; concatenated at random they come near to what a parser trips over.
PIECES = [
    *(b"GET", b"POST", b" ", b"/", b"resize", b"%2", b"HTTP/1.1", b"HTTP/1.0", b"\r\n", b"\n", b"\r", b"\r\n\r\n"),
    *(b"Content-Length:", b"Transfer-Encoding: chunked", b"Expect: 100-continue", b"A", b":", b"\t", b"\0", b"\xff"),
    *(b"0", b"5", b"fff", b";", b"photo", b"POST /f HTTP/1.1\r\n"),
]

requests = st.builds(
    lambda name, value, body, is_chunked: (name, value, body, is_chunked),
    st.from_regex(rb"[A-Za-z-]{1,10}", fullmatch=True).map(lambda name: b"X-" + name),
    st.from_regex(rb"([!-~]([ -~]{0,10}[!-~])?)?", fullmatch=True),
    st.binary(max_size=LIMIT),
    st.booleans(),
)
garbage = st.one_of(st.binary(max_size=300), st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join))


def wire_form(request):
    name, value, body, is_chunked = request
    head = b"POST /f HTTP/1.1\r\n%s: %s\r\n" % (name, value)
    if not is_chunked:
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    chunks = [body[index : index + 7] for index in range(0, len(body), 7)]
    framed = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\n\r\n"


def read_in_pieces(raw, cuts):
    """Return what came of it: the request's values, a refusal's status, or None while it is incomplete."""
    reader = RequestReader(max_body_bytes=LIMIT)
    bounds = [0, *sorted(cut % (len(raw) + 1) for cut in cuts), len(raw)]
    request = None
    try:
        for start, end in pairwise(bounds):
            request = reader.receive(raw[start:end])
    except HttpRefusal as refusal:
        return refusal.status
    return request and (request.method, request.path, request.headers, request.head, request.body)


cuts = st.lists(st.integers(min_value=0, max_value=10_000), max_size=20)


@given(requests, cuts)
def test_request_is_read_however_it_is_cut(request, cuts):
    name, value, body, _ = request

    _, path, headers, _, read_body = read_in_pieces(wire_form(request), cuts)

    assert (path, headers[name.lower()], read_body) == (b"f", value, body)


@given(garbage, cuts)
def test_garbage_is_refused_in_the_same_way_however_it_is_cut(raw, cuts):
    assert read_in_pieces(raw, cuts) == read_in_pieces(raw, [])


@given(garbage)
def test_memory_is_bounded_whatever_comes(raw):
    reader = RequestReader(max_body_bytes=LIMIT)
    try:
        for _ in range(100):
            reader.receive(raw)
    except HttpRefusal:
        pass

    assert len(reader._buffer) <= HEAD_LIMIT_BYTES + len(raw)
    assert reader.body_bytes <= LIMIT
