from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)

from conf.errors import FixSetup, RetryLater
from conf.kinesis import open_client
from conf.settings import KinesisSettings
from producer.kinesis import reaction

LOCAL = KinesisSettings(endpoint_url="http://127.0.0.1:4567")


def client_error(code: str, status: int) -> ClientError:
    answer = {
        "Error": {"Code": code, "Message": "m"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, "PutRecords")  # type: ignore[arg-type]  # shortened


@pytest.mark.parametrize(
    "error",
    [
        client_error("InternalFailure", 500),
        client_error("ServiceUnavailable", 503),
        client_error("ProvisionedThroughputExceededException", 400),
        client_error("ThrottlingException", 400),
        EndpointConnectionError(endpoint_url="http://127.0.0.1:4567"),
        ConnectTimeoutError(endpoint_url="x"),
        ReadTimeoutError(endpoint_url="x"),
    ],
)
def test_throttles_and_networks_are_tried_again(error: ClientError | BotoCoreError):
    assert isinstance(reaction(error, LOCAL), RetryLater)


@pytest.mark.parametrize(
    "error",
    [
        client_error("ResourceNotFoundException", 400),
        client_error("AccessDeniedException", 400),
        NoCredentialsError(),
        ParamValidationError(report="r"),
    ],
)
def test_what_a_person_must_fix_stops(error: ClientError | BotoCoreError):
    assert isinstance(reaction(error, LOCAL), FixSetup)


@pytest.fixture
def _aws_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "real")


def signing_key(settings: KinesisSettings) -> str:
    client = open_client(settings)
    url = client.generate_presigned_url("list_streams")
    return parse_qs(urlsplit(url).query)["X-Amz-Credential"][0].split("/")[0]


@pytest.mark.usefixtures("_aws_keys")
def test_an_emulator_never_gets_the_persons_own_keys():
    assert signing_key(LOCAL) == "emulator"


@pytest.mark.usefixtures("_aws_keys")
def test_aws_gets_them():
    settings = KinesisSettings(endpoint_url=None)
    assert signing_key(settings) == "AKIAREAL"
    url = open_client(settings).meta.endpoint_url
    assert url == "https://kinesis.us-east-1.amazonaws.com"
