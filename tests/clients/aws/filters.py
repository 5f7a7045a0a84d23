"""Filter expressions against the corpus. Which traces each finds was worked out by hand from corpus.py."""

import re

from refusals import INVALID, located
from retrieving import summaries_of

ROOT_FAULTS = "game deserialize slow-call data-plane deep auth denied shop-fault annotated weather"
ROOT_ERRORS = "lambda missing throttled-call"
NOT_OK = f"{ROOT_FAULTS} {ROOT_ERRORS} throttled"
ROOT_OK = (
    "plain late slow proxied slow-local slow-dynamo slow-table shop shop-ok stray random typed untyped pair sqs sql"
    " kinds placed split w3c upper nan finished resent backwards unanswered half"
)
# Without an ended root: whether these are ok, or how long they took, is not recorded.
ROOTLESS = "orphan orphan-part open"
LONG = "game slow late"
OTHER_STATUS = "game deserialize auth denied shop-fault throttled missing throttled-call weather"
SHORT_AND_OK = (
    "plain proxied slow-dynamo slow-table shop shop-ok random typed untyped pair sqs sql kinds placed split w3c upper"
    " nan finished resent unanswered"
)
ANY_FAULT = f"{ROOT_FAULTS} proxied typed untyped pair"
EVERYTHING = f"{NOT_OK} {ROOT_OK} orphan open"
WEATHER = (
    '#[{ "Services": [ { "Name": "GetWeatherData", "EntityPath": [{ "Name": "GetWeatherData" },'
    ' { "Name": "get_temperature" } ] }, { "Name": "GetTemperature" } ] }]'
)
DENIED = 'rootcause.fault.exception { last and message = "Access Denied for account_id: 1234567890"'

# Expression, traces it finds, traces of which nothing is known. Those with a number are printed in the X-Ray guide and
# API reference, or made by the console, Grafana's data source or AWS's own tests of Application Signals.
IN_USE = [
    (1, "responsetime > 5", "game slow", ""),
    (2, "duration >= 5 AND duration <= 8", LONG, ""),
    (3, "ok", ROOT_OK, ROOTLESS),
    (4, "!ok", NOT_OK, ROOTLESS),
    (5, "ok = false", NOT_OK, ROOTLESS),
    (6, 'rootcause.fault.entity { last and name = "deserialize" }', "deserialize", ""),
    (7, 'rootcause.responsetime.entity { remote and coverage > 0.7 and name = "traces" }', "slow-call", ""),
    (8, 'rootcause.fault.service { inferred and name = traces and type = "AWS::DynamoDB" }', "", ""),
    (9, 'service("data-plane") {root = true and fault = true}', "data-plane", ""),
    (10, "http.status != 200", OTHER_STATUS, ""),
    (11, "ok !partial duration <3", SHORT_AND_OK, "open orphan-part backwards"),
    (12, "rootcause.fault.service { index > 5 }", "deep", ""),
    (
        13,
        "rootcause.responsetime.entity { last and coverage > 0.8 }",
        "slow-call slow-dynamo slow-table deep",
        "",
    ),
    (14, 'http.url CONTAINS "/api/game/"', "game", ""),
    (15, 'user CONTAINS ""', "game slow auth orphan", ""),
    (16, 'rootcause.fault.service { name = "Auth" }', "auth", ""),
    (17, 'rootcause.responsetime.service { last and type = "AWS::DynamoDB" }', "slow-dynamo", ""),
    # Printed without its closing brace, see below.
    (18, f"{DENIED} }}", "denied", ""),
    (19, 'service("api.example.com") { fault }', "shop-fault pair", ""),
    (20, "service() { fault }", ANY_FAULT, ""),
    (21, 'edge("api.example.com", "backend.example.com") { error }', "shop", ""),
    (
        22,
        'http.url BEGINSWITH "http://api.example.com/" AND http.url CONTAINS "/v2/" AND !service("api.example.com")',
        "stray",
        "",
    ),
    (23, "http.url AND responseTime > 2", "game slow shop stray", ""),
    (24, 'annotation.gameid = "817DL6VO"', "game", ""),
    (25, "annotation.age", "game orphan", ""),
    (26, "!annotation.age", " ".join(set(EVERYTHING.split()) - {"game", "orphan"}), "orphan-part"),
    (27, "annotation.age > 29", "game", ""),
    # Printed with a name that no group can have.
    (28, 'group.name = "slow-{run}" AND user = "alice"', "game", ""),
    (29, f"rootcause.json = {WEATHER}", "weather", ""),
    (30, 'service(id(name: "n", type: "t")) { fault }', "typed", ""),
    (31, 'edge(id(name: "a", type: "t"), id(name: "b", type: "t")) { error }', "typed", ""),
    (32, 'service("function-name") { error }', "lambda", ""),
    (33, 'service(id(name: "random-name", type: "AWS::Lambda::Function")) { error }', "random", ""),
    (34, 'service(id(type: "AWS::Lambda::Function")) { error }', "random", ""),
    (35, 'service(id(account.id: "account-id"))', "typed", ""),
    (
        36,
        'service("api.amazon.com") { fault = true OR responsetime > 2.5 } AND annotation.foo = "bar"',
        "game",
        "",
    ),
    (37, 'fault = true AND http.url CONTAINS "example/game" AND responsetime >= 5', "game", ""),
    (38, 'service("example.com") {fault OR error}', "pair", ""),
    (39, 'annotation.account = "12345"', "orphan", ""),
    (
        40,
        '(service(id(name: "frontend"  ))) AND (Annotation[aws.local.environment] = "k8s:default")',
        "stray",
        "",
    ),
    (41, 'annotation[aws.remote.operation]="ListOwners"', "stray", ""),
    (
        42,
        'annotation.aws_local_service = "x" AND (annotation.aws_local_service = "y" OR'
        ' annotation.aws_local_operation = "z")',
        "annotated",
        "",
    ),
    (43, 'annotation.a != "x" AND annotation.b = "y"', "annotated", ""),
    (44, 'service(id(name: "N", type: "T"))', "typed", ""),
    (45, 'edge("src", "dst")', "pair", ""),
    # From a deep link, where it is URL-encoded.
    (46, "duration >= 5 AND duration <= 8", LONG, ""),
    (47, 'service("api"){fault = true} AND annotation[aws.local.operation]="GET /x"', "annotated", ""),
]

MORE = [
    # Flags are the root's and exclude each other.
    ("fault", ROOT_FAULTS, ""),
    ("error", ROOT_ERRORS, ""),
    ("throttle", "throttled", ""),
    ("service() { throttle }", "throttled throttled-call", ""),
    ("partial", "orphan", "orphan-part"),
    ('service("x") { root AND ok }', "open", ""),
    ('service("x") { root AND ok } AND duration >= 2', "", ""),
    # AND before OR, NOT before both, in any case.
    ('throttle OR fault AND user = "alice"', "throttled game", ""),
    ('(throttle OR fault) AND user = "alice"', "game", ""),
    ('NOT fault AND user = "alice" or THROTTLE', "throttled", ""),
    # Comparisons.
    ('duration = "slow"', "", ""),
    ('user = "ALICE"', "", ""),
    ('user != "bob"', "game auth", ""),
    ('annotation.GAMEID = "817DL6VO"', "", ""),
    ("annotation.whole = 43", "kinds", ""),
    ("annotation.whole != 43", "kinds", ""),
    ("annotation.yes", "kinds", ""),
    ("annotation.yes = true", "kinds", ""),
    ("annotation.no = true", "", ""),
    ('annotation.text = "ünï"', "kinds", ""),
    ("annotation.part >= 1.5", "kinds", ""),
    ('annotation.whole = "42"', "", ""),
    ('annotation.part_of BEGINSWITH "spl"', "split", ""),
    ('annotation.fine = "yes"', "nan", ""),
    ("!annotation.absent", EVERYTHING, "orphan-part"),
    ('instance.id = "i-0abc"', "placed", ""),
    ('availabilityzone ENDSWITH "1a"', "placed", ""),
    ('resource.arn CONTAINS "task/contract"', "placed", ""),
    ('http.method = "POST"', "game", ""),
    ('http.useragent BEGINSWITH "curl"', "plain", ""),
    ('http.clientip = "203.0.113.7"', "plain", ""),
    # Nodes and edges.
    ('service("second")', "", ""),
    ('service("GetTemperature") { fault }', "weather", ""),
    ('service(id(type: "Database::SQL"))', "sql", ""),
    ('service(id(name: "orders", type: "AWS::DynamoDB::Table"))', "throttled-call", ""),
    ('service(id(type: "AWS::SQS::Queue"))', "sqs", ""),
    ('edge("GetWeatherData", "GetTemperature")', "weather", ""),
    ('edge("dst", "src")', "", ""),
    # Causes.
    ('rootcause.fault.service { inferred and name = traces and type = "remote" }', "slow-call", ""),
    ("rootcause.error.service { inferred }", "throttled-call pair", ""),
    ("rootcause.fault.service { inferred }", "slow-call pair", ""),
    ('rootcause.fault.exception { name = "Timeout" }', "weather", ""),
    ('rootcause.json = #[{"Services": [{"Name": "never-made"}]}]', "", ""),
    # Groups.
    ('group.name = "slow-{run}"', "game slow", ""),
    ('group.name = "graph-{run}" AND fault', "auth shop-fault", ""),
    ('group.name = "Default" AND throttle', "throttled", ""),
]

# Wrong expressions: the text where it is recorded, else a text that says where.
SOMEWHERE = re.compile(r"Error Location: line 1, position [1-9]\d* : .+", re.DOTALL)
WRONG = [
    ("(ok", located(4, "missing ')' at end of expression")),
    ('service("a"', located(12, "missing ')' at end of expression")),
    ('service("api.example.com") AND (responsetime > 5 OR ok', located(55, "missing ')' at end of expression")),
    ("ma = 1", SOMEWHERE),
    ("madeup = 1", located(1, "Invalid input symbol: 'ma'")),
    ("ok AND madeup = 1", located(8, "Invalid input symbol: 'ma'")),
    ("fault AND (", located(12, "Invalid input symbol: 'fault AND ('")),
    ("responsetime >", SOMEWHERE),
    ("fault AND", SOMEWHERE),
    ('groupname = "Default"', SOMEWHERE),
    (DENIED, SOMEWHERE),
]


def run(xray, report, corpus):
    table = [(f"#{number} ", *row) for number, *row in IN_USE] + [("", *row) for row in MORE]
    for number, expression, expected, unknown in table:
        text = expression.replace("{run}", corpus.run)
        found = set(summaries_of(xray, corpus, FilterExpression=text))
        found -= set(unknown.split())
        report.expect(f"GetTraceSummaries {number}{text}", sorted(set(expected.split())), sorted(found))
    for expression, message in WRONG:
        body = {**corpus.window(), "FilterExpression": expression}
        xray.refused("GetTraceSummaries", body, INVALID, message)
    processed(xray, report, corpus)


def processed(xray, report, corpus):
    """Traces that were looked at count, whether or not they match."""
    pages = xray.pages("GetTraceSummaries", **corpus.window(), FilterExpression='duration = "slow"')
    count = sum(page.get("TracesProcessedCount") or 0 for page in pages)
    least = len(EVERYTHING.split())
    report.expect(f"GetTraceSummaries without a match: {least} or more were processed", True, count >= least)
