"""What Loki's own words mean: what is stored, what never will be, what waits."""

import pytest

from kubescribe.loki.answers import Meaning, Verdict, read_answer

A = '{app="a", x="it\\"s"}'
LATE = (
    "entry with timestamp 2024-08-22 21:25:11.000000001 +0000 UTC ignored, reason: 'entry too far behind, entry "
    "timestamp is: 2024-08-22T21:25:11Z, oldest acceptable timestamp is: 2024-08-22T22:00:00Z',\n"
    f"user 'fake', total ignored: 3 out of 5 for stream: {A}"
)
STREAM_RATE = (
    "entry with timestamp 2024-08-22 21:25:11 +0000 UTC ignored, reason: 'Per stream rate limit exceeded (limit: "
    f"3MB/sec) while attempting to ingest for stream '{A}' totaling 12B, consider splitting a stream via additional "
    "labels or contact your Loki administrator to see if the limit can be increased',\n"
    f"user 'fake', total ignored: 1 out of 1 for stream: {A}"
)
RATE = (
    "ingestion rate limit exceeded for user fake (limit: 4194304 bytes/sec) while attempting to ingest '2577' lines "
    "totaling '1041935' bytes, reduce log volume or contact your Loki administrator to see if the limit can be "
    "increased"
)
LATE_AND_LONG = (
    f"3 errors like: entry for stream '{A}' has timestamp too old: 2024-01-01T00:00:00Z, oldest acceptable timestamp "
    f"is: 2024-02; 2 errors like: max entry size '262144' bytes exceeded for stream '{A}' while adding an entry with "
    f"length '300000' bytes; 1 errors like: entry for stream '{A}' has timestamp too new: 2"
)
TWO_STREAMS = (
    f"1 errors like: stream '{A}' has label value too long: 'v'; 1 errors like: stream '{{b=\"c\"}}' has duplicate "
    "label name: 'b'"
)
NO_PLACE = f"maximum active stream limit exceeded when trying to create stream {A}, reduce the number of active streams"
TOO_OLD = f"entry for stream '{A}' has timestamp too old: 2024-01-01T00:00:00Z, oldest acceptable timestamp is: 2024-02"


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (204, "", Meaning(verdict=Verdict.STORED)),
        (400, LATE, Meaning(verdict=Verdict.STORED, rejected={"too_far_behind": 3}, stream=A)),
        (400, TOO_OLD, Meaning(verdict=Verdict.STORED, rejected={"greater_than_max_sample_age": 1})),
        (
            400,
            LATE_AND_LONG,
            Meaning(
                verdict=Verdict.STORED,
                rejected={"greater_than_max_sample_age": 3, "line_too_long": 2, "too_far_in_future": 1},
            ),
        ),
        (
            400,
            f"entry for stream '{A}' has 16 label names; limit 15",
            Meaning(verdict=Verdict.STORED, whole_streams={A: "max_label_names_per_series"}),
        ),
        (
            400,
            TWO_STREAMS,
            Meaning(
                verdict=Verdict.STORED,
                whole_streams={A: "label_value_too_long", '{b="c"}': "duplicate_label_names"},
            ),
        ),
        (400, "couldn't parse labels: 1:2: parse error", Meaning(verdict=Verdict.REFUSED, reason="invalid_labels")),
        (400, "what is this", Meaning(verdict=Verdict.REFUSED, reason="other")),
        (
            422,
            "error at least one valid stream is required for ingestion",
            Meaning(verdict=Verdict.REFUSED, reason="missing_streams"),
        ),
        (
            260,
            "ingestion blocked for user 'fake' until '2026-01-01T00:00:00Z' with status code '260'",
            Meaning(verdict=Verdict.REFUSED, reason="blocked_ingestion"),
        ),
        (400, "multiple org IDs present", Meaning(verdict=Verdict.MISCONFIGURED)),
        (400, "tenant ID 'a b' contains unsupported character ' '", Meaning(verdict=Verdict.MISCONFIGURED)),
        (413, "too large", Meaning(verdict=Verdict.TOO_LARGE, reason="request_body_too_large")),
        (429, RATE, Meaning(verdict=Verdict.RATE_LIMITED, limit_bytes=4194304)),
        (429, RATE.replace("ingestion", "Ingestion", 1), Meaning(verdict=Verdict.RATE_LIMITED, limit_bytes=4194304)),
        (429, "slow down", Meaning(verdict=Verdict.RATE_LIMITED)),
        (429, STREAM_RATE, Meaning(verdict=Verdict.STREAM_RATE_LIMITED, limit_bytes=3 * 2**20, stream=A)),
        (429, NO_PLACE, Meaning(verdict=Verdict.STREAM_LIMITED)),
        *((status, "", Meaning(verdict=Verdict.MISCONFIGURED)) for status in (301, 401, 403, 404, 405)),
        *((status, "", Meaning(verdict=Verdict.FAILED)) for status in (408, 500, 502, 503, 504)),
    ],
)
def test_an_answer_says_what_to_do(status, text, expected):
    assert read_answer(status, text) == expected


def test_entries_that_were_too_many_beside_some_that_were_too_old_are_sent_again():
    both = STREAM_RATE.replace("total", "entry with timestamp x ignored, reason: 'entry too far behind',\ntotal")

    assert read_answer(400, both).verdict is Verdict.STREAM_RATE_LIMITED


@pytest.mark.parametrize(("said", "limit"), [("512KB", 512 * 2**10), ("1048577B", 1048577), ("3MB", 3 * 2**20)])
def test_sizes_are_read_as_loki_writes_them(said, limit):
    assert read_answer(429, STREAM_RATE.replace("3MB", said)).limit_bytes == limit
