"""How a request is read from its bytes, what is refused, and how a response is written."""

from __future__ import annotations

import pytest

from gearjobs.errors import HttpRefusal
from gearjobs.protocol.http_messages import (
    CHUNK_LINE_LIMIT_BYTES,
    HEAD_LIMIT_BYTES,
    HEADER_LIMIT,
    HttpResponse,
    RequestReader,
    render_response,
)

LIMIT = 1024
CHUNKED = b"POST /f HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


def read(raw):
    """Return the request, which must be complete."""
    request = RequestReader(max_body_bytes=LIMIT).receive(raw)
    assert request is not None
    return request


def read_in_pieces(raw):
    """Return the request that comes byte by byte, and the byte with which it is complete."""
    reader = RequestReader(max_body_bytes=LIMIT)
    for index in range(len(raw)):
        request = reader.receive(raw[index : index + 1])
        if request is not None:
            return request, index
    raise AssertionError("the request was never complete")


def refuse(raw):
    """Return the refusal, or what was read instead of it."""
    try:
        return read(raw)
    except HttpRefusal as refusal:
        return refusal


def status_of(raw):
    return refuse(raw).status


def test_request_is_read():
    request = read(b"POST /resize HTTP/1.1\r\nX-Gearman-Unique: u1\r\nContent-Length: 5\r\n\r\nphoto")

    assert (request.method, request.path, request.is_http_11) == ("POST", b"resize", True)
    assert request.headers == {b"x-gearman-unique": b"u1", b"content-length": b"5"}
    assert request.head == b"POST /resize HTTP/1.1\r\nX-Gearman-Unique: u1\r\nContent-Length: 5"
    assert request.body == b"photo"


def test_request_without_a_length_has_no_body():
    assert read(b"GET /resize HTTP/1.0\r\n\r\nphoto").body == b""


def test_old_version_is_told_apart():
    assert not read(b"GET /resize HTTP/1.0\r\n\r\n").is_http_11


def test_bare_line_feeds_are_taken():
    assert read(b"GET /resize HTTP/1.1\nA: b\n\n").headers == {b"a": b"b"}


def test_empty_lines_before_a_request_are_passed_over():
    assert read(b"\r\n\r\n\nGET /resize HTTP/1.1\r\n\r\n").path == b"resize"


def test_request_may_come_byte_by_byte():
    raw = b"\r\nPOST /f HTTP/1.1\r\nContent-Length: 2\r\n\r\nab"

    request, last = read_in_pieces(raw)

    assert (request.path, request.body, last) == (b"f", b"ab", len(raw) - 1)


def test_body_may_come_later():
    reader = RequestReader(max_body_bytes=LIMIT)

    assert reader.receive(b"POST /f HTTP/1.1\r\nContent-Length: 5\r\n\r\nph") is None
    assert (reader.request is not None, reader.is_complete, reader.body_bytes) == (True, False, 2)
    request = reader.receive(b"oto")
    assert request is not None
    assert request.body == b"photo"


def test_what_stands_behind_the_request_is_thrown_away():
    reader = RequestReader(max_body_bytes=LIMIT)

    request = reader.receive(b"POST /f HTTP/1.1\r\nContent-Length: 2\r\n\r\nabPOST /g HTTP/1.1\r\n\r\n")

    assert request is not None
    assert (request.path, request.body) == (b"f", b"ab")
    assert reader.receive(b"more") is request


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/resize", b"resize"),
        (b"///resize", b"resize"),
        (b"resize", b"resize"),
        (b"/", b""),
        (b"/a/b", b"a/b"),
        (b"/a%20b%2Fc", b"a b/c"),
        (b"/%ff%00", b"\xff\0"),
        (b"/100%", b"100%"),
        (b"/resize?width=5#top", b"resize"),
        (b"http://jobs.example:8080/resize", b"resize"),
        (b"http://jobs.example", b""),
        (b"*", b"*"),
    ],
)
def test_path_of_a_target(target, path):
    assert read(b"GET %s HTTP/1.1\r\n\r\n" % target).path == path


def test_blanks_around_a_value_are_no_part_of_it():
    assert read(b"GET / HTTP/1.1\r\nA: \t b c \t\r\nB:\r\n\r\n").headers == {b"a": b"b c", b"b": b""}


def test_header_in_quotation_marks_is_not_the_one_it_looks_like():
    # gearmand's own tests send one to it, by a mistake in their quoting, and expect an answer.
    read_headers = read(b'GET / HTTP/1.1\r\n"X-Gearman-Unique: a"\r\n\r\n').headers

    assert read_headers == {b'"x-gearman-unique': b'a"'}


def test_repeated_header_is_a_list():
    assert read(b"GET / HTTP/1.1\r\nA: b\r\na: c\r\n\r\n").headers == {b"a": b"b, c"}


@pytest.mark.parametrize(
    "line",
    [
        b" folded",
        b"\tfolded",
        b"no colon",
        b": no name",
        b"Blank before : colon",
        b"A: control \x01 character",
        b"A: NUL \0",
        b"A: carriage \r return",
    ],
)
def test_bad_header_line_is_refused(line):
    refusal = refuse(b"GET / HTTP/1.1\r\nGood: one\r\n%s\r\n\r\n" % line)

    assert (refusal.status, refusal.text[:35]) == (400, "a header line must be NAME: VALUE, ")


@pytest.mark.parametrize(
    "line",
    [b"GET", b"GET /", b"GET / HTTP", b"GET / http/1.1", b"GET  HTTP/1.1", b"G(T / HTTP/1.1", b"GET /\x01 HTTP/1.1"],
)
def test_bad_request_line_is_refused(line):
    refusal = refuse(line + b"\r\n\r\n")

    assert (refusal.status, refusal.text) == (400, f"expected METHOD /PATH HTTP/1.1, got {line!r}")


@pytest.mark.parametrize("version", [b"0.9", b"1.2", b"2.0"])
def test_other_version_is_refused(version):
    assert status_of(b"GET / HTTP/%s\r\n\r\n" % version) == 505


def test_long_head_is_refused_before_its_end():
    reader = RequestReader(max_body_bytes=LIMIT)
    reader.receive(b"GET / HTTP/1.1\r\nA: " + b"b" * (HEAD_LIMIT_BYTES - 100))

    with pytest.raises(HttpRefusal) as refusal:
        reader.receive(b"b" * 100)

    assert refusal.value.status == 431


def test_long_head_is_refused_with_its_end():
    assert status_of(b"GET / HTTP/1.1\r\nA: " + b"b" * HEAD_LIMIT_BYTES + b"\r\n\r\n") == 431


def test_many_header_lines_are_refused():
    assert read(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * HEADER_LIMIT + b"\r\n")
    assert status_of(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * (HEADER_LIMIT + 1) + b"\r\n") == 431


@pytest.mark.parametrize("length", [b"-5", b"+5", b"abc", b"", b"0x5", b"5, 5", b"1" * 19])
def test_bad_length_is_refused(length):
    assert status_of(b"POST / HTTP/1.1\r\nContent-Length: %s\r\n\r\n" % length) == 400


def test_two_lengths_are_refused():
    assert status_of(b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n") == 400


def test_long_body_is_refused_at_its_length():
    refusal = refuse(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (LIMIT + 1))

    assert (refusal.status, refusal.text) == (413, "the body must be at most 1024 bytes")


def test_longest_body_is_taken():
    assert len(read(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % LIMIT + b"x" * LIMIT).body) == LIMIT


def test_length_and_chunks_contradict_each_other():
    assert status_of(b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n") == 400


def test_other_coding_is_not_implemented():
    assert status_of(b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n") == 501


@pytest.mark.parametrize(
    "chunks",
    [
        b"5\r\nphoto\r\n0\r\n\r\n",
        b"2\r\nph\r\n3;ext=1\r\noto\r\n0\r\n\r\n",
        b"05 \nphoto\n0\nTrailer: x\n\n",
    ],
)
def test_chunks_are_put_together(chunks):
    assert read(CHUNKED + chunks).body == b"photo"


def test_chunks_may_come_byte_by_byte():
    raw = CHUNKED + b"A\r\n0123456789\r\n1\r\nx\r\n0\r\nT: u\r\n\r\n"

    request, last = read_in_pieces(raw)

    assert (request.body, last) == (b"0123456789x", len(raw) - 1)


@pytest.mark.parametrize(
    "chunks", [b"x\r\n", b"-1\r\n", b"\r\n", b"5\r\nphotos\r\n", b"1" * 16 + b"\r\n", b"1" * CHUNK_LINE_LIMIT_BYTES]
)
def test_bad_chunk_is_refused(chunks):
    assert status_of(CHUNKED + chunks) == 400


def test_chunks_that_grow_too_long_are_refused():
    assert status_of(CHUNKED + b"400\r\n" + b"x" * LIMIT + b"\r\n1\r\n") == 413


def test_endless_trailers_are_refused():
    assert read(CHUNKED + b"0\r\n" + b"A: b\r\n" * HEADER_LIMIT + b"\r\n")
    assert status_of(CHUNKED + b"0\r\n" + b"A: b\r\n" * (HEADER_LIMIT + 1)) == 400


def wants_continue(*pieces):
    reader = RequestReader(max_body_bytes=LIMIT)
    for piece in pieces:
        reader.receive(piece)
    return reader.wants_continue


def test_client_that_expects_it_is_to_be_told_to_continue():
    head = b"POST / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n"

    assert not wants_continue(head[:-1])
    assert wants_continue(head)
    assert not wants_continue(head, b"p")


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
        b"POST / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n",
    ],
)
def test_others_are_not(head):
    assert not wants_continue(head)


def test_response_is_written_as_gearmand_spells_it():
    response = HttpResponse(404, b"no", (("Server", "Gearman/1"),))

    assert render_response(response) == b"HTTP/1.0 404 NOT_FOUND\r\nServer: Gearman/1\r\nContent-Length: 2\r\n\r\nno"


def test_response_of_http_11_says_that_the_connection_ends():
    assert render_response(HttpResponse(200), is_http_11=True) == (
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )


def test_response_to_head_only_measures_the_body():
    assert render_response(HttpResponse(200, b"photo"), is_head=True) == b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n"
