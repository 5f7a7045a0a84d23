"""Sends documents whose store is known beforehand, and reads that store as docs/store.md says.

    check.py send --part 1|2 --udp HOST:PORT --tcp HOST:PORT
    check.py check --store DIRECTORY --tcp HOST:PORT

The view and the queries are taken out of the documents, so that what is tested is what users copy.
"""

import argparse
import glob
import http.client
import json
import os
import re
import shutil
import socket
import sys
import tempfile
import time
from collections import defaultdict
from datetime import datetime, timezone
from pathlib import Path

DOCS = Path(__file__).resolve().parents[3] / "docs"

# 2025-11-24T16:00:00Z
BEGAN = 1764000000

# Several pages of each column and more than one row group in the first part.
BULK = {1: 20_000, 2: 3_000}

TENANTS = ["blue", "green", "red", "white", "black", "grey", "pink"]
STATUSES = [200, 200, 200, 404, 200, 500, 200, 429, 201, 503]

IN_PROGRESS = {"in_progress": True, "end_time": None}


def trace_of(number):
    return f"1-{BEGAN:08x}-{number:024x}"


class Made:
    """Documents in the order in which they are sent."""

    def __init__(self):
        self.sent = []

    def add(self, part, trace, number, *, wire=None, **fields):
        """`wire` are the bytes that are sent when they are not what json.dumps makes of the document."""
        document = {
            "trace_id": trace_of(trace),
            "id": f"{number:016x}",
            "name": "orders",
            "start_time": BEGAN + 0.5,
            "end_time": BEGAN + 1.75,
            "metadata": {"test": {"copy": len(self.sent)}},
            **fields,
        }
        document = {key: value for key, value in document.items() if value is not None}
        if wire:
            wire = wire(json.dumps(document, ensure_ascii=False))
        self.sent.append((part, document, wire))


def made():
    """All documents. What they hold was chosen so that no two of them would give the same answers."""
    all_ = Made()
    again(all_)
    odd(all_)
    annotated(all_)
    calling(all_)
    example(all_)
    for part, count in BULK.items():
        for number in range(count):
            bulk(all_, part, number + part * 1_000_000)
    return sorted(all_.sent, key=lambda sent: sent[0])


def again(all_):
    """The same ids more than once, in one block and in two. The comment says which one counts."""
    orders = [
        [(1, "open"), (1, "done")],  # the second
        [(1, "open"), (2, "done")],  # the second
        [(1, "done"), (2, "done")],  # the first
        [(1, "done"), (1, "done")],  # the first
        [(1, "open"), (2, "open")],  # the second
        [(1, "open"), (1, "open"), (1, "open")],  # the third
        [(1, "done"), (2, "open")],  # the first
        [(1, "done"), (1, "open")],  # the first
        [(1, "open"), (2, "done"), (2, "done")],  # the second
        [(1, "open"), (1, "done"), (2, "open"), (2, "done")],  # the second
        [(2, "open"), (2, "done")],  # the second
    ]
    for number, order in enumerate(orders):
        for part, state in order:
            all_.add(part, 100 + number, 1, **(IN_PROGRESS if state == "open" else {}))
    # Same bytes, sent again.
    for part in (1, 1, 2):
        all_.add(part, 150, 1, metadata={"test": {"copy": "same"}})
    # The same id in two traces is two segments.
    for trace in (151, 152):
        all_.add(1, trace, 7)
    # A subsegment by itself, first in progress. X-Ray shows it within the segment it belongs to.
    all_.add(2, 153, 0xFF)
    for part, changes in ((1, IN_PROGRESS), (2, {})):
        all_.add(part, 153, 8, type="subsegment", parent_id="00000000000000ff", namespace="remote", **changes)


def odd(all_):
    """What SDKs send that is not quite JSON, and times nobody expects."""
    all_.add(1, 200, 1, annotations={"ratio": "@", "kept": 1}, wire=lambda text: text.replace('"@"', "NaN").encode())
    all_.add(1, 201, 1, user="@", wire=lambda text: text.encode().replace(b"@", b"caf\xe9"))
    all_.add(1, 202, 1, http={"request": {"url": "@"}}, wire=lambda text: text.replace("@", r"http://x/\ud800").encode())
    all_.add(1, 203, 1, start_time=1e300, end_time=1e300)
    all_.add(1, 204, 1, start_time=-1.0, end_time=2e11)
    all_.add(1, 205, 1, end_time=BEGAN - 5.0)
    all_.add(1, 206, 1, name="日本 \u0000 'quoted' \"x\" \\ \n", user="𝄞")
    all_.add(2, 207, 1, metadata={"test": {"copy": "large", "text": "x" * 50_000}})
    upper = f"{BEGAN:08X}{208:024X}"
    all_.add(1, 208, 0xABCDEF, wire=lambda text: text.replace(trace_of(208), upper).replace("0000abcdef", "0000ABCDEF").encode())


def annotated(all_):
    """Every type there is."""
    values = {"text": "zoé-日本", "whole": 42, "part": 1.5, "yes": True, "no": False, "with.dot": "a", "huge": 1e300}
    all_.add(1, 300, 1, annotations={**values, "null": None, "list": [1]})
    inner = {"id": "00000000000000a1", "name": "inner", "start_time": BEGAN, "end_time": BEGAN + 1}
    all_.add(1, 301, 1, annotations={"tenant": "blue"}, subsegments=[{**inner, "annotations": {"tenant": "violet"}}])


ANNOTATIONS = {
    (300, 1): {"text": "zoé-日本", "whole": 42, "part": 1.5, "yes": True, "no": False, "with.dot": "a", "huge": 1e300},
    (301, 1): {"tenant": ["blue", "violet"]},
    (200, 1): {"kept": 1},
}


def calling(all_):
    """Calls of all kinds, at two depths."""

    def sub(number, name, **fields):
        return {"id": f"{number:016x}", "name": name, "start_time": BEGAN + 1, "end_time": BEGAN + 1.125, **fields}

    table = sub(0xB1, "DynamoDB", namespace="aws", aws={"operation": "PutItem", "table_name": "basket"})
    bucket = sub(0xB2, "S3", namespace="aws")
    failing = sub(0xB3, "pay.example.com", namespace="remote", fault=True, http={"response": {"status": 503}})
    throttled = sub(0xB4, "pay.example.com", namespace="remote", http={"response": {"status": 429}})
    missing = sub(0xB9, "pay.example.com", namespace="remote", error=True)
    sql = sub(0xB5, "db@host", namespace="remote", sql={"url": "x"})
    open_ = sub(0xB6, "slow.example.com", namespace="remote", in_progress=True)
    del open_["end_time"]
    work = sub(0xB7, "work", subsegments=[sql, open_])
    all_.add(1, 400, 1, name="shop", subsegments=[table, bucket, failing, throttled, missing, work, sub(0xB8, "more work")])


CALLS = [
    {"id": "00000000000000b1", "name": "DynamoDB", "type": "AWS::DynamoDB::Table", "resource": "basket", "aws": True},
    {"id": "00000000000000b2", "name": "S3", "type": "AWS::S3", "aws": True},
    {"id": "00000000000000b3", "name": "pay.example.com", "type": "remote", "status": 503, "fault": True},
    {"id": "00000000000000b4", "name": "pay.example.com", "type": "remote", "status": 429, "error": True, "throttle": True},
    {"id": "00000000000000b9", "name": "pay.example.com", "type": "remote", "error": True},
    {"id": "00000000000000b5", "name": "db@host", "type": "Database::SQL"},
    {"id": "00000000000000b6", "name": "slow.example.com", "type": "remote"},
]
CALL_KEYS = ["id", "name", "type", "resource", "aws", "start", "end", "status", "error", "fault", "throttle"]
CALLS = [
    {**dict.fromkeys(CALL_KEYS), "start": BEGAN + 1.0, "end": None if "slow" in call["name"] else BEGAN + 1.125, **call}
    for call in CALLS
]

# The trace that docs/store.md shows.
EXAMPLE = 0x5F1C0B2AD0E94D3C8B7A6F51


def example(all_):
    for number, name in enumerate(["shop", "orders", "payments"]):
        parent = f"{number:016x}" if number else None
        all_.add(1 + number % 2, EXAMPLE, number + 1, name=name, parent_id=parent, start_time=BEGAN + number / 10)


def bulk(all_, part, number):
    status = STATUSES[number % len(STATUSES)]
    start = BEGAN + number % 3 * 3600 + number % 1000 / 8
    all_.add(
        part,
        number,
        number % 3 + 1,
        name=["shop", "orders", "payments", "stock"][number % 4],
        start_time=start,
        end_time=start + number % 997 / 1024,
        origin="AWS::EC2::Instance",
        user=f"user-{number % 50}",
        aws={"account_id": "123456789012", "ec2": {"availability_zone": "eu-central-1a", "instance_id": f"i-{number % 9}"}},
        http={
            "request": {"method": "GET", "url": f"http://shop/{number % 100}", "user_agent": "t", "client_ip": "10.0.0.1"},
            "response": {"status": status},
        },
        annotations={"tenant": TENANTS[number % len(TENANTS)], "number": number},
    )


def wire_of(document, wire):
    return json.dumps(document, ensure_ascii=False).encode() if wire is None else wire


class Daemon:
    def __init__(self, address):
        self.connection = http.client.HTTPConnection(address, timeout=30)

    def ask(self, path, body):
        self.connection.request("POST", path, json.dumps(body))
        answer = self.connection.getresponse()
        text = answer.read()
        assert answer.status == 200, (path, answer.status, text)
        return json.loads(text)

    def stored(self):
        self.connection.request("GET", "/metrics")
        text = self.connection.getresponse().read().decode()
        return int(re.search(r'^xrayd_documents_stored_total\{sink="store"\} (\d+)', text, re.M)[1])

    def traces(self, ids):
        """Which copy of each document the daemon shows."""
        found = {}

        def note(trace, document):
            copy = document.get("metadata", {}).get("test", {}).get("copy")
            if copy is not None:
                found[trace, document["id"]] = copy
            for inner in document.get("subsegments", []):
                note(trace, inner)

        for at in range(0, len(ids), 5):
            answer = self.ask("/Traces", {"TraceIds": ids[at : at + 5]})
            assert not answer["UnprocessedTraceIds"], answer
            for trace in answer["Traces"]:
                for segment in trace["Segments"]:
                    note(trace["Id"], json.loads(segment["Document"]))
        return found


def send(part, udp, tcp):
    daemon = Daemon(tcp)
    host, port = udp.rsplit(":", 1)
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    batch, sent = [], 0

    def put():
        if batch:
            answer = daemon.ask("/TraceSegments", {"TraceSegmentDocuments": batch})
            assert answer["UnprocessedTraceSegments"] == [], answer
            batch.clear()

    for its_part, document, wire in made():
        if its_part != part:
            continue
        sent += 1
        if wire is None:
            batch.append(wire_of(document, wire).decode())
            if len(batch) == 50:
                put()
            continue
        # Only a datagram can carry what is not text. It is waited for, so that the order is the one of the list.
        put()
        sender.sendto(b'{"format": "json", "version": 1}\n' + wire, (host, int(port)))
        until_stored(daemon, sent)
    put()
    until_stored(daemon, sent)


def until_stored(daemon, count):
    deadline = time.monotonic() + 20
    while daemon.stored() < count:
        assert time.monotonic() < deadline, f"{daemon.stored()} of {count} documents were stored"
        time.sleep(0.005)


def settled():
    """The rule of docs/store.md, said in another way than there."""
    counting = {}
    for _, document, wire in made():
        key = document["trace_id"], document["id"]
        if key not in counting or "end_time" not in counting[key][0]:
            counting[key] = document, wire
    return counting


def flags_of(document):
    status = document.get("http", {}).get("response", {}).get("status", 0)
    return {
        "error": 400 <= status < 500,
        "fault": 500 <= status < 600,
        "throttle": status == 429,
        "in_progress": "end_time" not in document,
    }


def same(name, found, expected):
    if found != expected:
        if isinstance(found, dict):
            different = [key for key in {**found, **expected} if found.get(key) != expected.get(key)]
            found, expected = ({key: side.get(key) for key in different[:3]} for side in (found, expected))
        raise SystemExit(f"check.py: {name}:\n  found    {found}\n  expected {expected}")
    print(f"check.py: {name}: as expected", file=sys.stderr)


def close(name, found, expected, tolerance=0.11):
    """Rows whose numbers were rounded."""
    same(f"{name}, rows", sorted(found), sorted(expected))
    for key, numbers in expected.items():
        for one, other in zip(found[key], numbers, strict=True):
            assert one == other or abs(one - other) <= tolerance, f"{name}: {key}: {found[key]}, expected {numbers}"


def quantile(values, part):
    """As SQL's percentile_cont."""
    values = sorted(values)
    place = (len(values) - 1) * part
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)


def moment(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc).replace(tzinfo=None)


class Documented:
    """What stands in docs/store.md."""

    def __init__(self):
        self.text = (DOCS / "store.md").read_text()
        self.view = (DOCS / "store.sql").read_text()

    def blocks(self, language):
        return re.findall(rf"^```{language}\n(.*?)^```$", self.text, re.M | re.S)

    def queries(self):
        """By the comment each begins with."""
        queries = {}
        for block in self.blocks("sql"):
            title, query = re.fullmatch(r"-- (.*?)\n(.*)", block, re.S).groups()
            queries[title] = query
        return queries

    def columns(self):
        """Name, type, and whether it may be null, of each column of a block."""
        [section] = re.findall(r"^## Columns\n(.*?)^## ", self.text, re.M | re.S)
        rows = re.findall(r"^\| `(\w+)` \| ([A-Z ]+?) \| .* \| (.*?) \|$", section, re.M)
        return [(name, type_, null != "never") for name, type_, null in rows]


def check_schema(documented):
    """By Arrow, which reads the types as the file has them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = {
        pa.string(): "VARCHAR",
        pa.int64(): "BIGINT",
        pa.int32(): "INTEGER",
        pa.float64(): "DOUBLE",
        pa.binary(): "BLOB",
        pa.timestamp("us", tz="UTC"): "TIMESTAMP WITH TIME ZONE",
    }
    files = glob.glob("date=*/*.parquet")
    assert len(files) >= 2, files
    for file in files:
        parquet = pq.ParquetFile(file)
        assert parquet.metadata.metadata[b"xrayd.schema"] == b"1", parquet.metadata.metadata
        logical = [parquet.schema.column(at).logical_type.type for at in range(len(parquet.schema))]
        fields = [
            (field.name, "JSON" if kind == "JSON" else names[field.type], field.nullable)
            for field, kind in zip(parquet.schema_arrow, logical, strict=True)
        ]
        same(f"columns of {file}", fields, documented.columns())
        # All values can be read, in whatever way they are encoded.
        assert parquet.read().num_rows == parquet.metadata.num_rows
    groups = max(pq.ParquetFile(file).metadata.num_row_groups for file in files)
    assert groups > 1, "no block is large enough to show how row groups follow each other"


def check_rows(duck, settled_):
    columns = "trace_id, id, type, name, start_time, end_time, error, fault, throttle, in_progress, http_status"
    found = {}
    for row in duck.execute(f"SELECT {columns} FROM segments").fetchall():
        assert row[:2] not in found, f"{row[:2]} is there twice"
        found[row[:2]] = row[2:]
    expected = {}
    for key, (document, _) in settled_.items():
        of = document.get
        status = of("http", {}).get("response", {}).get("status")
        times = of("start_time"), of("end_time")
        expected[key] = (of("type", "segment"), of("name"), *times, *flags_of(document).values(), status)
    same("rows of the view", found, expected)


def check_documents(duck, settled_):
    rows = duck.execute("SELECT trace_id, id, document::VARCHAR, raw FROM segments").fetchall()
    found = {(trace, id_): (json.loads(document), raw) for trace, id_, document, raw in rows}
    exact = {key: (document, None) for key, (document, wire) in settled_.items() if wire is None}
    same("documents", {key: found[key] for key in exact}, exact)
    for key, (document, wire) in settled_.items():
        if wire is None:
            continue
        shown, raw = found[key]
        try:
            json.loads(wire.decode(), parse_constant=lambda word: 1 / 0)
            is_json = b"\\ud800" not in wire
        except (UnicodeDecodeError, ZeroDivisionError):
            is_json = False
        same(f"raw of {key}", raw, None if is_json else wire)
        assert shown["metadata"] == document["metadata"], (key, shown)
    of = lambda trace, path: duck.execute(
        f"SELECT {path} FROM segments WHERE trace_id = ?", [trace_of(trace)]
    ).fetchone()
    same("NaN", of(200, "document->'annotations'->>'ratio', annotations->>'ratio'"), (None, None))
    same("bytes that are no text", of(201, '"user", document->>\'user\''), ("caf\ufffd", "caf\ufffd"))
    same("half a surrogate pair", of(202, "http_url"), ("http://x/\ufffd",))
    same("times in no year", of(203, "started_at, ended_at, duration"), (None, None, 0.0))
    same("times before 1970 and after 9999", of(204, "started_at, ended_at"), (None, moment(2e11)))
    same("an end before the start", of(205, "ended_at, duration"), (moment(BEGAN - 5), None))
    same("text of all kinds", of(206, 'name, "user"'), ("日本 \u0000 'quoted' \"x\" \\ \n", "𝄞"))
    same("ids in lower case", of(208, "id"), ("0000000000abcdef",))


def check_columns(duck, settled_):
    for (trace, number), annotations in ANNOTATIONS.items():
        rows = duck.execute(
            "SELECT annotations::VARCHAR FROM segments WHERE trace_id = ? AND id = ?", [trace_of(trace), f"{number:016x}"]
        ).fetchall()
        same(f"annotations of {trace}", [json.loads(text) for (text,) in rows], [annotations])
    calls, locals_ = duck.execute("SELECT calls, locals FROM segments WHERE trace_id = ?", [trace_of(400)]).fetchone()
    same("calls", calls, CALLS)
    same("locals", locals_, ["00000000000000b7", "00000000000000b8"])
    row = duck.execute(
        """SELECT origin, account_id, http_method, http_url, http_user_agent, http_client_ip, "user", availability_zone,
                  instance_id, resource_arn, parent_id, started_at, ended_at, annotations->>'tenant'
           FROM segments WHERE trace_id = ?""",
        [trace_of(1_000_010)],
    ).fetchone()
    document = settled_[trace_of(1_000_010), f"{1_000_010 % 3 + 1:016x}"][0]
    request, aws = document["http"]["request"], document["aws"]
    expected = (
        document["origin"], aws["account_id"], request["method"], request["url"], request["user_agent"],
        request["client_ip"], document["user"], aws["ec2"]["availability_zone"], aws["ec2"]["instance_id"], None, None,
        moment(document["start_time"]), moment(document["end_time"]), document["annotations"]["tenant"],
    )
    # A moment of floating point is right to the microsecond.
    same("the other columns", row, expected)
    count, early = duck.execute(
        "SELECT count(*), count(*) FILTER (WHERE received_at NOT BETWEEN date AND date + INTERVAL 1 DAY) FROM segments"
    ).fetchone()
    same("received on the day of the partition", (count, early), (len(settled_), 0))


def check_queries(duck, documented, settled_):
    documents = [document for document, _ in settled_.values()]
    whole = [document for document in documents if document.get("type") is None]
    checks = {
        "The slowest services": slowest,
        "Errors per service and hour": errors,
        "Traces of a tenant": traces_of_a_tenant,
        "Calls of others": calls_of_others,
        "The largest documents": largest,
        "One trace, in the form of aws xray batch-get-traces": one_trace,
        "What never ended": never_ended,
        "What came again": came_again,
    }
    queries = documented.queries()
    same("documented queries", sorted(queries), sorted(checks))
    for title, query in queries.items():
        checks[title](title, duck.execute(query).fetchall(), documents, whole)


def slowest(title, rows, documents, whole):
    durations = defaultdict(list)
    for document in whole:
        if document.get("end_time", 0) >= document["start_time"]:
            durations[document["name"]].append(1000 * (document["end_time"] - document["start_time"]))
    expected = {
        name: [len(all_), quantile(all_, 0.5), quantile(all_, 0.99), max(all_)] for name, all_ in durations.items()
    }
    assert [row[3] for row in rows] == sorted((row[3] for row in rows), reverse=True), rows
    close(title, {name: list(rest) for name, *rest in rows}, expected)


def errors(title, rows, documents, whole):
    expected = defaultdict(lambda: [0, 0, 0, 0])
    for document in whole:
        hour = moment(document["start_time"] // 3600 * 3600) if 0 <= document["start_time"] < 1e11 else None
        flags = flags_of(document)
        for at, counts in enumerate([True, flags["error"], flags["fault"], flags["throttle"]]):
            expected[hour, document["name"]][at] += counts
    expected = {key: counts for key, counts in expected.items() if counts[1] + counts[2]}
    same(title, {(hour, name): list(rest) for hour, name, *rest in rows}, expected)


def traces_of_a_tenant(title, rows, documents, whole):
    def tenants(document):
        yield document.get("annotations", {}).get("tenant")
        for inner in document.get("subsegments", []):
            yield from tenants(inner)

    traces, expected = defaultdict(list), {}
    for document in documents:
        traces[document["trace_id"]].append(document)
    for trace, of in traces.items():
        if not any("blue" in tenants(document) for document in of):
            continue
        start, end = min(one["start_time"] for one in of), max(one["end_time"] for one in of)
        expected[trace] = moment(start), end - start, any(flags_of(one)["fault"] for one in of)
    assert [row[1] for row in rows] == sorted((row[1] for row in rows), reverse=True)
    same(title, {trace: tuple(rest) for trace, *rest in rows}, expected)


def calls_of_others(title, rows, documents, whole):
    expected = {
        ("shop", "basket", "AWS::DynamoDB::Table"): [1, 0, 0, 125.0],
        ("shop", "S3", "AWS::S3"): [1, 0, 0, 125.0],
        ("shop", "pay.example.com", "remote"): [3, 2, 1, 125.0],
        ("shop", "db@host", "Database::SQL"): [1, 0, 0, 125.0],
        ("shop", "slow.example.com", "remote"): [1, 0, 0, None],
        ("orders", "orders", "remote"): [1, 0, 0, 1250.0],
    }
    same(title, {tuple(row[:3]): list(row[3:]) for row in rows}, expected)


def largest(title, rows, documents, whole):
    sizes = sorted((len(wire_of(document, None)) for document in documents), reverse=True)[: len(rows)]
    same(title, ([row[3] for row in rows], rows[0][0], len(rows)), (sizes, trace_of(207), 10))


def one_trace(title, rows, documents, whole):
    [(text,)] = rows
    [trace] = json.loads(text)["Traces"]
    of = [document for document in documents if document["trace_id"] == trace_of(EXAMPLE)]
    of.sort(key=lambda document: document["start_time"])
    shown = [(segment["Id"], json.loads(segment["Document"])) for segment in trace["Segments"]]
    same(title, (trace["Id"], shown), (trace_of(EXAMPLE), [(one["id"], one) for one in of]))


def never_ended(title, rows, documents, whole):
    open_ = [document for document in documents if "end_time" not in document]
    starts = [moment(document["start_time"]) for document in open_]
    same(title, rows, [("orders", len(open_), min(starts), max(starts))])


def came_again(title, rows, documents, whole):
    total = sum(row[1] for row in rows)
    # Over midnight what comes again may come on the next day.
    again_ = sum(row[2] for row in rows) if len(rows) == 1 else len(made()) - len(documents)
    same(title, (total, again_), (len(made()), len(made()) - len(documents)))


def check_daemon(duck, daemon, settled_):
    """xrayd makes the same of the same files."""
    few = sorted({trace for trace, _ in settled_ if int(trace[11:], 16) < 1_000_000} | {trace_of(EXAMPLE)})
    rows = duck.execute(
        "SELECT trace_id, id, document->'metadata'->'test'->'copy' FROM segments WHERE list_contains(?, trace_id)", [few]
    ).fetchall()
    view = {(trace, id_): json.loads(copy) for trace, id_, copy in rows}
    same("what xrayd shows", daemon.traces(few), view)
    expected = {key: document["metadata"]["test"]["copy"] for key, (document, _) in settled_.items() if key[0] in few}
    same("what was expected of both", view, expected)


def check_left_over(duck, settled_):
    """Between writing a compacted block and deleting what it was made of, documents stand in two files."""
    with tempfile.TemporaryDirectory() as copy:
        for file in glob.glob("date=*/*.parquet"):
            to = Path(copy, file)
            to.parent.mkdir(exist_ok=True)
            shutil.copy(file, to)
            shutil.copy(file, to.with_name("f" + to.name[1:]))
        duck.execute(f"SET file_search_path = '{copy}'")
        os.chdir("/")
        count, counting = duck.execute("SELECT count(*), count(DISTINCT (trace_id, id)) FROM segments").fetchone()
    same("files that hold the same", (count, counting), (len(settled_), len(settled_)))


def check_pandas(duck, documented):
    [program] = documented.blocks("python")
    names = {}
    exec(program, names)
    columns = ["trace_id", "id", "sequence", "name"]
    found = sorted(names["segments"][columns].itertuples(index=False, name=None))
    same("segments by pandas", found, sorted(duck.execute(f"SELECT {', '.join(columns)} FROM segments").fetchall()))


def check(store, tcp):
    import duckdb

    os.chdir(store)
    documented, settled_, duck = Documented(), settled(), duckdb.connect()
    check_schema(documented)
    duck.execute(documented.view)
    check_rows(duck, settled_)
    check_documents(duck, settled_)
    check_columns(duck, settled_)
    check_queries(duck, documented, settled_)
    check_daemon(duck, Daemon(tcp), settled_)
    check_pandas(duck, documented)
    check_left_over(duck, settled_)


def main():
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(dest="verb", required=True)
    sending, checking = verbs.add_parser("send"), verbs.add_parser("check")
    sending.add_argument("--part", type=int, choices=[1, 2], required=True)
    sending.add_argument("--udp", required=True)
    checking.add_argument("--store", required=True)
    for verb in (sending, checking):
        verb.add_argument("--tcp", required=True)
    arguments = vars(parser.parse_args())
    {"send": send, "check": check}[arguments.pop("verb")](**arguments)


if __name__ == "__main__":
    main()
