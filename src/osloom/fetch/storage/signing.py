"""Sign requests to S3: AWS Signature Version 4, and the credentials for it.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

import hashlib
import hmac
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import msgspec

from osloom.base.errors import FetchError
from osloom.fetch.storage.location import Location

EMPTY = hashlib.sha256(b"").hexdigest()
_ALGORITHM = "AWS4-HMAC-SHA256"


class Signer(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, and where."""

    key: str
    """The access key ID."""
    secret: str
    token: str = ""
    """Of a session, where the key is for one."""
    region: str

    def headers(self, method: str, url: str, *, content: str, moment: datetime) -> dict[str, str]:
        """What a request has to say; `content` is the SHA-256 of its body in hexadecimal."""
        parts = urlsplit(url)
        stamp = moment.strftime("%Y%m%dT%H%M%SZ")
        signed = {"host": parts.netloc, "x-amz-content-sha256": content, "x-amz-date": stamp}
        if self.token:
            signed["x-amz-security-token"] = self.token
        names = ";".join(sorted(signed))
        request = "\n".join(
            [
                method,
                quote(unquote(parts.path) or "/", safe="/~"),
                "&".join(sorted(f"{_quoted(a)}={_quoted(b)}" for a, b in _pairs(parts.query))),
                *(f"{name}:{value}" for name, value in sorted(signed.items())),
                "",
                names,
                content,
            ]
        )
        scope = f"{stamp[:8]}/{self.region}/s3/aws4_request"
        text = "\n".join([_ALGORITHM, stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
        key = f"AWS4{self.secret}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        del signed["host"]
        return signed | {
            "authorization": f"{_ALGORITHM} Credential={self.key}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}"
        }


def now() -> datetime:
    """Of the signature alone: servers refuse one that is a quarter of an hour off."""
    return datetime.now(UTC)


def find_signer(location: Location, environment: Mapping[str, str] | None = None) -> Signer | None:
    """The credentials of the environment or of the AWS tools' file; None: ask as nobody.

    https://docs.aws.amazon.com/cli/v1/userguide/cli-configure-files.html. Raises FetchError.
    """
    given = os.environ if environment is None else environment
    profile = location.parameters.get("profile")
    if profile is None and given.get("AWS_ACCESS_KEY_ID"):
        return Signer(
            key=given["AWS_ACCESS_KEY_ID"],
            secret=given.get("AWS_SECRET_ACCESS_KEY", ""),
            token=given.get("AWS_SESSION_TOKEN", ""),
            region=location.region,
        )
    # What most who fetch never need.
    import configparser

    named = given.get("AWS_SHARED_CREDENTIALS_FILE")
    path = Path(named or Path(given.get("HOME") or Path.home()) / ".aws/credentials")
    section = profile or given.get("AWS_PROFILE") or "default"
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError) as error:
        raise FetchError(f"cannot read the credentials in {path}: {error}") from error
    if not parser.has_section(section):
        if profile is not None:
            raise FetchError(f"cannot find the profile `{profile}` in {path}")
        return None
    found = parser[section]
    return Signer(
        key=found.get("aws_access_key_id", ""),
        secret=found.get("aws_secret_access_key", ""),
        token=found.get("aws_session_token", ""),
        region=location.region,
    )


def _pairs(query: str) -> list[tuple[str, str]]:
    return parse_qsl(query, keep_blank_values=True)


def _quoted(text: str) -> str:
    return quote(text, safe="~")
