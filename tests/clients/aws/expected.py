"""What comes back of the corpus: documents and summaries, as worked out by hand."""

from report import having, near, number, one_of, unordered

# Members of the summary of each trace, as worked out by hand. Flags and times are those of the root alone.
NO_FLAGS = {"HasFault": False, "HasError": False, "HasThrottle": False, "IsPartial": False}
FAULT = {**NO_FLAGS, "HasFault": True}
ERROR = {**NO_FLAGS, "HasError": True}


def floating(got):
    """Expects a number that is written as a floating-point one."""
    return isinstance(got, float)


def later(got):
    """Expects a revision after the first."""
    return isinstance(got, int) and got > 1


def took(response, duration=None):
    return {"ResponseTime": near(response), "Duration": near(duration or response)}


def value(**value):
    return {"AnnotationValue": value}


def node(name, kind=None):
    return {"Name": name, "Type": kind}


def cause(*services, impacting=True):
    return [{"Services": list(services), "ClientImpacting": impacting}]


def served(name, *entities, kind=None, inferred=None):
    more = {"Type": kind} if kind else {}
    return {
        "Name": name,
        **more,
        "Inferred": one_of(True) if inferred else one_of(None, False),
        "EntityPath": list(entities),
    }


def failing(name, *exceptions, remote=False):
    flag = one_of(True) if remote else one_of(None, False)
    return {"Name": name, "Remote": flag, "Exceptions": [{"Name": text} for text in exceptions]}


def taking(name, coverage, remote=False):
    flag = one_of(True) if remote else one_of(None, False)
    return {"Name": name, "Coverage": near(coverage, 0.01), "Remote": flag}


SUMMARIES = {
    "plain": {
        **NO_FLAGS,
        **took(0.2),
        "Http": {
            "HttpURL": "http://www.example.net/",
            "HttpStatus": 200,
            "HttpMethod": "GET",
            "UserAgent": "curl/8",
            "ClientIp": "203.0.113.7",
        },
        "EntryPoint": {"Name": "web", "Names": ["web"]},
        "ServiceIds": unordered(node("web"), node("web", "client")),
        "FaultRootCauses": one_of(None, []),
        "ErrorRootCauses": one_of(None, []),
        "ResponseTimeRootCauses": one_of(None, []),
        "MatchedEventTime": None,
    },
    "game": {
        **FAULT,
        **took(6),
        "Annotations": {
            "gameid": [value(StringValue="817DL6VO")],
            "age": [value(NumberValue=30)],
            "foo": [value(StringValue="bar")],
        },
        "Users": [{"UserName": "alice"}],
        # A flag alone is no cause.
        "FaultRootCauses": one_of(None, []),
    },
    "late": {**NO_FLAGS, **took(1, 7)},
    "deserialize": {
        **FAULT,
        "FaultRootCauses": cause(served("parser", failing("parser"), failing("deserialize", "ValueError"))),
        "ResponseTimeRootCauses": cause(served("parser", taking("parser", 1), taking("deserialize", 0.6))),
    },
    "slow-call": {
        **FAULT,
        "ServiceIds": unordered(node("front"), node("front", "client"), node("traces", "remote")),
        "FaultRootCauses": cause(
            served("front", failing("front"), failing("traces", remote=True)),
            served("traces", failing("traces"), kind="remote", inferred=True),
        ),
        "ResponseTimeRootCauses": cause(
            served("front", taking("front", 1), taking("traces", 0.875, remote=True)),
            served("traces", taking("traces", 0.875), kind="remote", inferred=True),
        ),
    },
    "auth": {
        **FAULT,
        "FaultRootCauses": cause(
            served("gateway", failing("gateway"), failing("Auth", remote=True)),
            served("Auth", failing("Auth", "AuthError")),
        ),
        # The callee is a real segment, so the path ends at the call.
        "ResponseTimeRootCauses": cause(served("gateway", taking("gateway", 1), taking("Auth", 0.75, remote=True))),
        "Users": [{"UserName": "carol"}],
    },
    "denied": {**FAULT, "FaultRootCauses": cause(served("vault", failing("vault", "AccessDenied")))},
    # Handled by the root, so nothing of it shows.
    "shop": {**NO_FLAGS, **took(2.5), "FaultRootCauses": one_of(None, [])},
    "lambda": {
        **ERROR,
        "ServiceIds": unordered(
            node("function-name", "AWS::Lambda"),
            node("function-name", "AWS::Lambda::Function"),
            node("function-name", "client"),
        ),
        "EntryPoint": node("function-name", "AWS::Lambda"),
    },
    "random": NO_FLAGS,
    "deep": {"FaultRootCauses": [{"Services": [{"Name": f"hop-{number}"} for number in range(8)]}]},
    # What fails below a root that has not failed begins below it.
    "pair": {
        **NO_FLAGS,
        "ErrorRootCauses": cause(
            served("example.com", failing("example.com"), kind="remote", inferred=True), impacting=False
        ),
        "FaultRootCauses": cause(
            served("api.example.com", failing("api.example.com"), kind="remote", inferred=True), impacting=False
        ),
    },
    "throttled": {**NO_FLAGS, "HasThrottle": True},
    "missing": ERROR,
    "throttled-call": {
        **ERROR,
        "ServiceIds": having(node("orders", "AWS::DynamoDB::Table")),
        "ErrorRootCauses": having(
            {"Services": having({"Inferred": True, "EntityPath": having({"Remote": one_of(None, False)})})}
        ),
    },
    "sqs": {"ServiceIds": having(node("https://sqs.us-east-1.amazonaws.com/123456789012/jobs", "AWS::SQS::Queue"))},
    "sql": {"ServiceIds": having(node("orders@db.example.com", "Database::SQL"))},
    "slow-dynamo": {
        "ServiceIds": having(node("DynamoDB", "AWS::DynamoDB")),
        "ResponseTimeRootCauses": cause(
            served("reader", taking("reader", 1), taking("DynamoDB", 0.95, remote=True)),
            served("DynamoDB", taking("DynamoDB", 0.95), kind="AWS::DynamoDB", inferred=True),
        ),
    },
    "orphan": {
        "IsPartial": True,
        "EntryPoint": None,
        "ResponseTime": None,
        "Duration": near(1),
        "Http": {"HttpURL": None, "HttpStatus": None, "HttpMethod": None},
        "ServiceIds": [node("worker")],
        "Users": [{"UserName": "bob"}],
        "Annotations": {"age": [value(NumberValue=20)], "account": [value(StringValue="12345")]},
    },
    "kinds": {
        "Annotations": {
            "text": [value(StringValue="ünï")],
            "whole": unordered(value(NumberValue=42), value(NumberValue=43)),
            "part": [value(NumberValue=1.5)],
            "yes": [value(BooleanValue=True)],
            "no": [value(BooleanValue=False)],
        }
    },
    "placed": {
        "ResourceARNs": [{"ARN": "arn:aws:ecs:task/contract"}],
        "InstanceIds": [{"Id": "i-0abc"}],
        "AvailabilityZones": [{"Name": "us-east-1a"}],
        "EntryPoint": node("placed", "AWS::EC2::Instance"),
    },
    "split": {**NO_FLAGS, **took(0.9), "Annotations": {"part_of": [value(StringValue="split")]}},
    "w3c": {**NO_FLAGS, **took(0.1)},
    "upper": {**NO_FLAGS, **took(0.1)},
    "nan": {**NO_FLAGS, **took(0.1), "Annotations": {"fine": [value(StringValue="yes")]}},
    "weather": {
        **FAULT,
        "FaultRootCauses": cause(
            served("GetWeatherData", failing("GetWeatherData"), failing("get_temperature", remote=True)),
            served("GetTemperature", failing("GetTemperature", "Timeout")),
        ),
    },
    "finished": {**NO_FLAGS, **took(0.7), "Revision": later},
    "half": {**NO_FLAGS, "Duration": None, "ResponseTime": near(0.5)},
    "open": {"Duration": None, "ResponseTime": None, "IsPartial": False},
    "resent": {**took(0.2), "EntryPoint": {"Name": "first"}},
    "backwards": {"Duration": None},
    # A traced callee that never answered makes nothing partial.
    "unanswered": NO_FLAGS,
}

# What documents BatchGetTraces adds or changes: name of the trace, and documents it must have.
BOOKS = {"name": "DynamoDB", "origin": "AWS::DynamoDB::Table", "inferred": True, "aws": {"resource_names": ["books"]}}
SQS = {"name": "SQS", "origin": "AWS::SQS::Queue", "inferred": True, "subsegments": having({"name": "QueueTime"})}


# Traces whose last document is sent when the others are there, and what BatchGetTraces gives until then.
LATE = {
    "finished": unordered({"name": "finisher", "in_progress": True}),
    # What nobody has answered yet is inferred, until the answer is there.
    "weather": unordered({"name": "GetWeatherData"}, {"name": "get_temperature", "inferred": True}),
}
DOCUMENTS = {
    "plain": unordered({"name": "web", "http": {"request": {"url": "http://www.example.net/"}}}),
    "slow-call": unordered(
        {"name": "front"}, {"name": "traces", "inferred": True, "fault": True, "origin": None, "namespace": None}
    ),
    "slow-dynamo": unordered({"name": "reader"}, {"name": "DynamoDB", "inferred": True, "origin": "AWS::DynamoDB"}),
    "slow-table": unordered({"name": "librarian"}, BOOKS),
    "throttled-call": unordered({"name": "writer"}, {"inferred": True, "throttle": True, "cause": None}),
    "sqs": unordered({"name": "producer"}, SQS),
    # Answered by a real segment, so nothing is inferred.
    "auth": unordered({"name": "gateway", "inferred": None}, {"name": "Auth", "inferred": None}),
    "split": unordered(
        {
            "name": "splitter",
            "subsegments": [{"name": "part", "type": None, "parent_id": None, "trace_id": None}],
        }
    ),
    "orphan-part": [],
    "kinds": unordered({"name": "kinds", "annotations": {"whole": floating, "part": 1.5, "yes": True}}),
    "denied": unordered({"name": "vault", "cause": {"exceptions": [{"type": "AccessDenied", "stack": None}]}}),
    "weather": unordered({"name": "GetWeatherData"}, {"name": "GetTemperature", "inferred": None}),
    "resent": unordered({"name": "first"}),
    "finished": unordered({"name": "finisher", "in_progress": one_of(None, False), "end_time": number}),
    "open": unordered({"name": "x", "in_progress": True}),
    "unanswered": unordered(
        {"name": "caller", "subsegments": [{"http": {"request": {"traced": None}}}]},
        {"name": "elsewhere", "inferred": True, "http": {"request": {"traced": None}}},
    ),
}

# Documents that are not taken: what is wrong, the document, and the id that the answer names.
OK = {"id": "000000000000abcd", "name": "a", "start_time": 1.0, "end_time": 2.0}
OK["trace_id"] = "1-00000001-a006649127e371903a2de979"


def without(key, **more):
    return {**{name: kept for name, kept in OK.items() if name != key}, **more}


UNPROCESSED = [
    ("ParseError", "no JSON at all"),
    ("MissingId", without("id")),
    ("InvalidId", {**OK, "id": "xyz"}),
    ("MissingName", without("name")),
    ("MissingTraceId", without("trace_id")),
    ("InvalidTraceId", {**OK, "trace_id": "1-2-3"}),
    ("MissingStartTime", without("start_time")),
    ("MissingEndTime", without("end_time")),
    ("InProgressSegmentHasEndTime", {**OK, "in_progress": True}),
    ("MissingParentId", {**OK, "type": "subsegment"}),
    ("InvalidParentId", {**OK, "parent_id": "xyz"}),
    ("UnknownType", {**OK, "type": "something"}),
]
