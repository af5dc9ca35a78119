"""Conditions and ranges as RFC 9110 has them, sections 13 and 14."""

import pytest

from osloom.run.http_answer import Answer, File, choose

FILE = File(size=1000, modified=784111777, tag='"a"')
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
LATER = "Sun, 06 Nov 1994 08:49:38 GMT"
EARLIER = "Sun, 06 Nov 1994 08:49:36 GMT"
WHOLE = Answer(status=200, end=1000)
ABSURD = (
    "Sun, 06 Nov 99999999999999999999 08:49:37 GMT",
    "Sun, 06 Nov 1994 08:49:37 +99999999999999999999",
    f"Sun, {'9' * 5000} Nov 1994 08:49:37 GMT",
    "",
    "\0",
)


def part(start: int, end: int) -> Answer:
    return Answer(status=206, start=start, end=end)


@pytest.mark.parametrize(
    ("headers", "answer"),
    [
        ({}, WHOLE),
        ({"range": "bytes=0-0"}, part(0, 1)),
        ({"range": "bytes=500-"}, part(500, 1000)),
        ({"range": "BYTES= 500-5000 "}, part(500, 1000)),
        ({"range": "bytes=-1"}, part(999, 1000)),
        ({"range": "bytes=-5000"}, part(0, 1000)),
        ({"range": "bytes=-0"}, Answer(status=416)),
        ({"range": "bytes=1000-"}, Answer(status=416)),
        ({"range": "bytes=2-1"}, WHOLE),
        ({"range": "bytes=0-1,5-6"}, WHOLE),
        ({"range": "lines=0-1"}, WHOLE),
        ({"range": "bytes=a-b"}, WHOLE),
        ({"range": "bytes=-"}, WHOLE),
        ({"range": f"bytes=0-{'9' * 5000}"}, WHOLE),
        ({"range": f"bytes={'9' * 5000}-"}, WHOLE),
        ({"range": f"bytes=-{'9' * 5000}"}, WHOLE),
        ({"range": "bytes=\u0661-\u0662"}, WHOLE),
        ({"range": "bytes=0-99999999999999999999"}, part(0, 1000)),
        ({"range": "bytes=5-", "if-range": '"a"'}, part(5, 1000)),
        ({"range": "bytes=5-", "if-range": 'W/"a"'}, WHOLE),
        ({"range": "bytes=5-", "if-range": '"b"'}, WHOLE),
        ({"range": "bytes=5-", "if-range": DATE}, part(5, 1000)),
        ({"range": "bytes=5-", "if-range": LATER}, WHOLE),
        ({"if-none-match": '"b", W/"a"'}, Answer(status=304)),
        ({"if-none-match": "*"}, Answer(status=304)),
        ({"if-none-match": '"b"'}, WHOLE),
        ({"if-none-match": '"b"', "if-modified-since": DATE}, WHOLE),
        ({"if-modified-since": DATE}, Answer(status=304)),
        ({"if-modified-since": EARLIER}, WHOLE),
        ({"if-modified-since": "yesterday"}, WHOLE),
        *(({"if-modified-since": date}, WHOLE) for date in ABSURD),
        *(({"if-unmodified-since": date}, WHOLE) for date in ABSURD),
        ({"if-match": '"a"'}, WHOLE),
        ({"if-match": 'W/"a"'}, Answer(status=412)),
        ({"if-match": '"b"', "range": "bytes=0-1"}, Answer(status=412)),
        ({"if-unmodified-since": DATE}, WHOLE),
        ({"if-unmodified-since": EARLIER}, Answer(status=412)),
    ],
)
def test_answers(headers: dict[str, str], answer: Answer) -> None:
    assert choose("GET", headers, FILE) == answer


def test_a_range_is_of_get_alone() -> None:
    assert choose("HEAD", {"range": "bytes=0-0"}, FILE) == WHOLE


def test_an_empty_file_has_no_part() -> None:
    empty = File(size=0, modified=0, tag='"e"')
    assert choose("GET", {}, empty) == Answer(status=200)
    assert choose("GET", {"range": "bytes=0-"}, empty) == Answer(status=416)


def test_the_date_is_that_of_http() -> None:
    assert FILE.last_modified == DATE
