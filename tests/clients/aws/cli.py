"""The aws command line as people type it, with the chains that AWS's documents show."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from paging import TRACES
from refusals import RULE
from report import having, one_of
from wire import REGION

COMMAND_SECONDS = 60

PUT_AND_GET = """
DOCUMENT=$(cat document.json)
aws xray put-trace-segments --trace-segment-documents "$DOCUMENT" --query 'length(UnprocessedTraceSegments)'
"""
# The X-Ray guide's own lines, with another time range and with a filter that finds what was just put.
SUMMARIES = """
EPOCH=$(date +%s)
TRACEIDS=$(aws xray get-trace-summaries --start-time $(($EPOCH-120)) --end-time $EPOCH \
  --filter-expression 'annotation.typed = "RUN"' --query 'TraceSummaries[*].Id' --output text)
test -n "$TRACEIDS" && aws xray batch-get-traces --trace-ids $TRACEIDS --query 'Traces[*].Id'
"""
SERVICE_GRAPH = """
EPOCH=$(date +%s)
aws xray get-service-graph --start-time $(($EPOCH-600)) --end-time $EPOCH --query 'Services[*].Name'
"""
ISO_TIME = """
aws xray get-trace-summaries --start-time $(date -u -d @$(($(date +%s)-600)) +%Y-%m-%dT%H:%M:%SZ) \
  --end-time $(date -u +%Y-%m-%dT%H:%M:%SZ) --filter-expression 'annotation.typed = "RUN"' \
  --query 'length(TraceSummaries)'
"""

RETRIEVAL = """
EPOCH=$(date +%s)
TOKEN=$(aws xray start-trace-retrieval --trace-ids TRACE --start-time $(($EPOCH-120)) --end-time $EPOCH \
  --query RetrievalToken --output text)
aws xray list-retrieved-traces --retrieval-token "$TOKEN" --query 'Traces[*].Id'
"""
RETRIEVED_GRAPH = RETRIEVAL.replace("list-retrieved-traces", "get-retrieved-traces-graph").replace(
    "Traces[*].Id", "Services[*].Service.Name"
)
TAGS = """
ARN=$(aws xray get-group --group-name Default --query Group.GroupARN --output text)
aws xray list-tags-for-resource --resource-arn "$ARN"
"""
TARGETS = """
aws xray get-sampling-targets --sampling-statistics-documents \
  RuleName=Default,ClientID=0123456789abcdef01234567,Timestamp=$(date +%s),RequestCount=5,SampledCount=1,BorrowCount=0
"""

# Subcommands that read, with what they need; once each.
READS = [
    "get-encryption-config",
    "get-group --group-name Default",
    "get-groups",
    "get-indexing-rules",
    "get-insight-summaries --start-time 1000 --end-time 2000",
    "get-sampling-rules",
    "get-sampling-statistic-summaries",
    "get-service-graph --start-time 1000 --end-time 2000",
    "get-time-series-service-statistics --start-time 1000 --end-time 2000",
    "get-trace-segment-destination",
    "get-trace-summaries --start-time 1000 --end-time 2000 --time-range-type Event",
    "list-resource-policies",
    "batch-get-traces --trace-ids 1-00000001-ffffffffffffffffffffffff",
]
REFUSED = [
    ("get-group --group-name never-made", "InvalidRequestException", "Group not found"),
    ("get-trace-graph --trace-ids 1-00000001-ffffffffffffffffffffffff", "InvalidRequestException", "not found"),
    ("list-retrieved-traces --retrieval-token never-made", "ResourceNotFoundException", ""),
    *(
        (f"{command} --insight-id 12345678-1234-1234-8234-123456789012{more}", "InvalidRequestException", "")
        for command, more in [
            ("get-insight", ""),
            ("get-insight-events", ""),
            ("get-insight-impact-graph", " --start-time 1000 --end-time 2000"),
        ]
    ),
]


class Shell:
    """Runs lines of a shell where `aws` is the installed one and nobody has settings or credentials."""

    def __init__(self, folder, endpoint):
        self.folder = folder
        beside = str(pathlib.Path(sys.executable).parent)
        self.environment = {
            "PATH": f"{beside}:{os.environ.get('PATH', '')}",
            "HOME": folder,
            "AWS_ACCESS_KEY_ID": "contract",
            "AWS_SECRET_ACCESS_KEY": "contract",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL_XRAY": endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_PAGER": "",
            "LC_ALL": "C.UTF-8",
        }

    def run(self, lines, without=()):
        """Exit code, output and errors."""
        environment = {key: value for key, value in self.environment.items() if key not in without}
        command = ["sh", "-c", lines]
        try:
            ended = subprocess.run(
                command,
                cwd=self.folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return 124, "", f"not done within {COMMAND_SECONDS} s"
        return ended.returncode, ended.stdout, ended.stderr

    def read(self, report, lines, expected, without=()):
        """Expects success and JSON like this."""
        code, out, errors = self.run(lines, without)
        what = f"$ {lines.strip()}"
        if code != 0:
            report.fail(what, f"exit code {code}: {errors.strip()} {out.strip()}")
            return
        try:
            printed = json.loads(out) if out.strip() else {}
        except ValueError:
            printed = out
        report.expect(what, expected, printed)


def run(xray, report, corpus):
    with tempfile.TemporaryDirectory() as folder:
        shell = Shell(folder, xray.endpoint)
        traces(shell, report, corpus)
        account(shell, report, corpus)
        option = f"--endpoint-url {xray.endpoint}"
        for index, command in enumerate(READS):
            # By the environment and by option, in turn.
            extra, without = (option, ["AWS_ENDPOINT_URL_XRAY"]) if index % 2 else ("", [])
            shell.read(report, f"aws xray {command} {extra}".strip(), dict, without)
        for command, error, text in REFUSED:
            code, out, errors = shell.run(f"aws xray {command}")
            fine = code not in (0, 124) and f"({error})" in errors and text in errors
            report.expect(f"$ aws xray {command}", True, fine or [code, out, errors])


def write(shell, name, value):
    pathlib.Path(shell.folder, name).write_text(json.dumps(value), encoding="utf-8")


def traces(shell, report, corpus):
    """Puts a trace from a file, finds it, reads it and draws it."""
    start = time.time() - 5
    trace = f"1-{int(start):08x}-{corpus.run}00000000c11a01"
    name = f"typed-{corpus.run}"
    times = {"start_time": start, "end_time": start + 0.5}
    document = {"trace_id": trace, "id": "00000000c11a0001", "name": name, **times}
    write(shell, "document.json", {**document, "annotations": {"typed": corpus.run}})
    shell.read(report, PUT_AND_GET, lambda printed: printed == 0)
    other = {**document, "id": "00000000c11a0002", "parent_id": "00000000c11a0001"}
    write(shell, "put.json", {"TraceSegmentDocuments": [json.dumps(other)]})
    put = "aws xray put-trace-segments --cli-input-json file://put.json"
    shell.read(report, put, {"UnprocessedTraceSegments": []})
    lines = SUMMARIES.replace("RUN", corpus.run)

    def found():
        code, out, errors = shell.run(lines)
        return json.loads(out) if code == 0 and out else errors

    report.until(f"$ {lines.strip()}", [trace], found)
    shell.read(report, SERVICE_GRAPH, having(name))
    shell.read(report, ISO_TIME.replace("RUN", corpus.run), lambda printed: printed == 1)
    ids = f"aws xray batch-get-traces --trace-ids {trace} --query 'Traces[0].Segments[*].Id'"
    shell.read(report, ids, one_of(["00000000c11a0001", "00000000c11a0002"], ["00000000c11a0002", "00000000c11a0001"]))
    shell.read(report, RETRIEVAL.replace("TRACE", trace), [trace])
    shell.read(report, RETRIEVED_GRAPH.replace("TRACE", trace), having(name))
    # The command line reads all pages.
    every = ISO_TIME.replace("annotation.typed", "annotation.mark").replace("RUN", f"page-{corpus.run}")
    shell.read(report, every, lambda printed: printed >= TRACES)
    graph = f"aws xray get-trace-graph --trace-ids {trace} --query 'Services[*].Name'"
    shell.read(report, graph, having(name))


def account(shell, report, corpus):
    """Groups and sampling rules, from files and from options."""
    rule, group = f"cli-{corpus.run}", f"cli-{corpus.run}"
    write(shell, "rule.json", {"SamplingRule": {**RULE, "RuleName": rule}})
    for lines, expected in [
        (TAGS, {"Tags": list}),
        (TARGETS, {"SamplingTargetDocuments": having({"RuleName": "Default"})}),
        (
            "aws xray create-sampling-rule --cli-input-json file://rule.json",
            {"SamplingRuleRecord": {"SamplingRule": {"RuleName": rule, "FixedRate": 0.5}}},
        ),
        (
            f"aws xray update-sampling-rule --sampling-rule-update RuleName={rule},FixedRate=0.75",
            {"SamplingRuleRecord": {"SamplingRule": {"FixedRate": 0.75}}},
        ),
        (
            "aws xray get-sampling-rules --query 'SamplingRuleRecords[*].SamplingRule.RuleName'",
            having(rule, "Default"),
        ),
        (f"aws xray delete-sampling-rule --rule-name {rule}", {"SamplingRuleRecord": {}}),
        (
            f"aws xray create-group --group-name {group} --filter-expression 'service(\"a\") {{fault OR error}}'",
            {"Group": {"GroupName": group, "FilterExpression": 'service("a") {fault OR error}'}},
        ),
        (f"aws xray get-group --group-name {group}", {"Group": {"GroupName": group}}),
        (
            f"aws xray update-group --group-name {group} --filter-expression 'responsetime > 5'",
            {"Group": {"FilterExpression": "responsetime > 5"}},
        ),
        (
            f"aws xray get-service-graph --start-time 1000 --end-time 2000 --group-name {group}",
            {"Services": []},
        ),
        (f"aws xray delete-group --group-name {group}", {}),
        ("aws xray put-encryption-config --type NONE", {"EncryptionConfig": {"Type": "NONE"}}),
        (
            "aws xray put-telemetry-records --telemetry-records"
            " Timestamp=$(date +%s),SegmentsReceivedCount=1,SegmentsSentCount=1",
            {},
        ),
    ]:
        shell.read(report, lines, expected)
