from http import HTTPStatus

import pytest

from infra.local.kinesis.http_protocol import (
    MAX_BODY_BYTES,
    BadRequestError,
    parse_head,
)


def test_a_request_of_boto3():
    head = parse_head(
        b"POST / HTTP/1.1\r\n"
        b"Host: 127.0.0.1:4567\r\n"
        b"X-Amz-Target: Kinesis_20131202.ListStreams\r\n"
        b"Content-Type:application/x-amz-json-1.1\r\n"
        b"Content-Length: 2"
    )

    assert (head.method, head.target) == ("POST", "/")
    assert head.headers["x-amz-target"] == "Kinesis_20131202.ListStreams"
    assert head.headers["content-type"] == "application/x-amz-json-1.1"
    assert head.content_length == 2
    assert head.keeps_alive
    assert not head.expects_continue


def test_no_length_is_no_body():
    assert parse_head(b"GET /health HTTP/1.1\r\nHost: x").content_length == 0


@pytest.mark.parametrize(
    ("raw", "keeps_alive"),
    [
        (b"GET / HTTP/1.1\r\nConnection: close", False),
        (b"GET / HTTP/1.1\r\nConnection: keep-alive", True),
        (b"GET / HTTP/1.0\r\nHost: x", False),
    ],
)
def test_who_closes_the_connection(raw: bytes, keeps_alive: bool):
    assert parse_head(raw).keeps_alive is keeps_alive


def test_a_client_may_wait_for_our_word():
    assert parse_head(b"POST / HTTP/1.1\r\nExpect: 100-Continue").expects_continue


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"", HTTPStatus.BAD_REQUEST),
        (b"GET /", HTTPStatus.BAD_REQUEST),
        (b"GET / HTTP/2", HTTPStatus.BAD_REQUEST),
        (b"\x16\x03\x01\x02\x00\x01", HTTPStatus.BAD_REQUEST),
        (b"GET / HTTP/1.1\r\nno colon", HTTPStatus.BAD_REQUEST),
        (b"GET / HTTP/1.1\r\n: no name", HTTPStatus.BAD_REQUEST),
        (b"GET / HTTP/1.1\r\n folded: line", HTTPStatus.BAD_REQUEST),
        (b"POST / HTTP/1.1\r\nContent-Length: -1", HTTPStatus.BAD_REQUEST),
        (b"POST / HTTP/1.1\r\nContent-Length: 0x10", HTTPStatus.BAD_REQUEST),
        (b"POST / HTTP/1.1\r\nContent-Length: \xb2", HTTPStatus.BAD_REQUEST),
        (
            b"POST / HTTP/1.1\r\nContent-Length: %d" % (MAX_BODY_BYTES + 1),
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        ),
        (
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked",
            HTTPStatus.LENGTH_REQUIRED,
        ),
    ],
)
def test_what_is_refused(raw: bytes, status: HTTPStatus):
    with pytest.raises(BadRequestError) as refused:
        parse_head(raw)

    assert refused.value.status == status
