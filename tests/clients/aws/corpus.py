"""Traces made for the checks: what they are called, what they consist of, and how they are sent.

Numbers stand for ids, and times count from the trace's own start, so that a trace fits on a few lines.
"""

import json
import random
import time

START_BEFORE_SECONDS = 120
URL = "http://{}"


def segment(number, name, end, parent=None, **more):
    return {"id": number, "name": name, "start_time": 0, "end_time": end, "parent_id": parent, **more}


def part(number, name, start, end, **more):
    """A subsegment."""
    return {"id": number, "name": name, "start_time": start, "end_time": end, **more}


def remote(number, name, start, end, **more):
    return part(number, name, start, end, namespace="remote", **more)


def aws(number, name, start, end, /, aws=None, **more):
    return part(number, name, start, end, namespace="aws", **({"aws": aws} if aws else {}), **more)


def http(status, url=None, method="GET", **request):
    """What a request was and how it ended."""
    asked = {"request": {"method": method, "url": URL.format(url), **request}} if url else {}
    return {"http": {**asked, "response": {"status": status}}}


def thrown(kind, message=None):
    """A fault with an exception."""
    exception = {"id": 99, "type": kind, "message": message, "stack": []}
    return {"fault": True, "cause": {"working_directory": "/", "exceptions": [exception]}}


def hop(number):
    """One of eight services that call each other; the last one throws."""
    end = 2 - 0.01 * number
    more = {"fault": True}
    if number < 7:
        call = remote(100 + number, f"hop-{number + 1}", 0.01 * number + 0.005, end - 0.005, fault=True)
        more["subsegments"] = [call]
    else:
        more = thrown("Boom")
    parent = 99 + number if number else None
    return {**segment(200 + number, f"hop-{number}", end, parent, **more), "start_time": 0.01 * number}


def typed(origin, other, account):
    """`a` calls `b`, `n` and `N`; with or without types."""
    of = {"origin": origin} if origin else {}
    of_other = {"origin": other} if other else {}
    calls = [
        remote(2, "b", 0.1, 0.5, error=True),
        remote(4, "n", 0.6, 0.7, fault=True),
        remote(6, "N", 0.8, 0.9),
    ]
    return [
        segment(1, "a", 1.5, subsegments=calls, **of),
        {**segment(3, "b", 0.4, 2, **of), "start_time": 0.2},
        {**segment(5, "n", 0.7, 4, fault=True, **of), "start_time": 0.6},
        {**segment(7, "N", 0.9, 6, aws={"account_id": account}, **of_other), "start_time": 0.8},
    ]


def call_of(name, start, end, called, **more):
    """A call that another service's segment answers, and that segment."""
    fields = {key: more[key] for key in ("error", "fault") if key in more}
    if "http" in more:
        fields["http"] = {"response": more["http"]["response"]}
    own = {**segment(3, called, end - 0.1, 2, **more), "start_time": start + 0.1}
    return remote(2, name, start, end, **fields), own


def answered(segment_of_root, call, *callees):
    return [{**segment_of_root, "subsegments": [call]}, *callees]


def table():
    """All traces: name and documents. See filters.py for which is found by what."""
    shop_404 = call_of("backend.example.com", 0.1, 0.5, "backend.example.com", error=True, **http(404))
    shop_200 = call_of("backend.example.com", 0.05, 0.28, "backend.example.com", **http(200))
    login = call_of("Auth", 0.1, 0.7, "Auth", **thrown("AuthError", "no such key"))
    weather = call_of("get_temperature", 0.1, 0.85, "GetTemperature", **thrown("Timeout", "too late"))
    inner = call_of("data-plane", 0.1, 0.4, "data-plane", fault=True)
    late = call_of("worker", 0.1, 0.2, "worker")
    books = {"operation": "GetItem", "table_name": "books", "region": "us-east-1", "request_id": "R"}
    orders = {"operation": "PutItem", "table_name": "orders", "region": "us-east-1"}
    queue = "https://sqs.us-east-1.amazonaws.com/123456789012/jobs"
    jobs = {"operation": "SendMessage", "queue_url": queue, "region": "us-east-1"}
    sql = {"url": "jdbc:x", "sanitized_query": "SELECT ?", "database_type": "PostgreSQL"}
    game = {"gameid": "817DL6VO", "age": 30, "foo": "bar"}
    kinds = {"text": "ünï", "whole": 42, "part": 1.5, "yes": True, "no": False}
    place = {"ec2": {"instance_id": "i-0abc", "availability_zone": "us-east-1a"}}
    api = {"a": "z", "b": "y", "aws_local_service": "x", "aws_local_operation": "z", "aws.local.operation": "GET /x"}
    console = {"aws.local.environment": "k8s:default", "aws.remote.operation": "ListOwners"}
    flag, bad, denied = {"fault": True}, {"error": True}, "Access Denied for account_id: 1234567890"
    asked = {"user_agent": "curl/8", "client_ip": "203.0.113.7"}
    return {
        "plain": [segment(1, "web", 0.2, **http(200, "www.example.net/", **asked))],
        "game": [
            segment(
                1,
                "api.amazon.com",
                6,
                user="alice",
                annotations=game,
                **flag,
                **http(500, "example/game/api/game/1", "POST"),
            )
        ],
        "late": answered(segment(1, "async", 1), late[0], {**late[1], "end_time": 7}),
        "slow": [segment(1, "tortoise", 6, user="bob", **http(200, "tortoise.example.com/"))],
        "deserialize": answered(
            segment(1, "parser", 1, **flag, **http(500, "parser.example.com/v1")),
            part(2, "deserialize", 0.2, 0.8, **thrown("ValueError", "bad token")),
        ),
        "slow-call": answered(segment(1, "front", 4, **flag), remote(2, "traces", 0.1, 3.6, **flag)),
        "data-plane": [segment(1, "data-plane", 0.3, **flag)],
        "proxied": answered(segment(1, "edge-proxy", 0.5), *inner),
        "deep": [hop(number) for number in range(8)],
        "slow-local": answered(segment(1, "cook", 4), part(2, "stir", 0.5, 3.5)),
        "auth": answered(
            segment(1, "gateway", 0.8, user="carol", **flag, **http(502, "gateway.example.com/login")), *login
        ),
        "slow-dynamo": answered(segment(1, "reader", 2), aws(2, "DynamoDB", 0.05, 1.95)),
        "slow-table": answered(segment(1, "librarian", 2), aws(2, "DynamoDB", 0.05, 1.95, books)),
        "denied": [segment(1, "vault", 0.4, **thrown("AccessDenied", denied), **http(500))],
        "shop": answered(segment(1, "api.example.com", 2.5, **http(200, "api.example.com/v2/items")), *shop_404),
        "shop-ok": answered(segment(1, "api.example.com", 0.3, **http(200, "api.example.com/v1/items")), *shop_200),
        "shop-fault": [segment(1, "api.example.com", 0.4, **flag, **http(500, "api.example.com/v2/pay"))],
        "stray": [segment(1, "frontend", 3, annotations=console, **http(200, "api.example.com/v2/items"))],
        "lambda": [
            segment(1, "function-name", 0.4, origin="AWS::Lambda", **bad),
            segment(2, "function-name", 0.3, 1, origin="AWS::Lambda::Function"),
        ],
        "random": [
            segment(1, "random-name", 0.4, origin="AWS::Lambda"),
            segment(2, "random-name", 0.3, 1, origin="AWS::Lambda::Function", **bad),
        ],
        "typed": typed("t", "T", "account-id"),
        "untyped": typed(None, None, "other"),
        "pair": [
            segment(
                1,
                "src",
                0.8,
                subsegments=[
                    remote(2, "dst", 0.1, 0.3),
                    remote(3, "example.com", 0.1, 0.6, **bad),
                    remote(4, "api.example.com", 0.1, 0.7, **flag, **http(503)),
                ],
            )
        ],
        "annotated": [segment(1, "api", 0.9, annotations=api, **flag)],
        "throttled": [segment(1, "busy", 0.1, throttle=True, **bad, **http(429, "busy.example.com/"))],
        "missing": [segment(1, "files", 0.1, **bad, **http(404, "files.example.com/x"))],
        "throttled-call": answered(
            segment(1, "writer", 0.6, **bad, **http(400, "writer.example.com/")),
            aws(2, "DynamoDB", 0.1, 0.5, orders, throttle=True, **bad, **http(400)),
        ),
        "sqs": answered(segment(1, "producer", 0.5), aws(2, "SQS", 0.1, 0.3, jobs)),
        "sql": answered(segment(1, "accounts", 0.5), remote(2, "orders@db.example.com", 0.1, 0.3, sql=sql)),
        "orphan": [
            segment(
                2, "worker", 1, 57005, user="bob", annotations={"age": 20, "account": "12345"}, **http(200, "orphan/")
            )
        ],
        "orphan-part": [{**part(2, "lost", 0, 0.1), "type": "subsegment", "parent_id": 57005}],
        "kinds": answered(
            segment(1, "kinds", 0.3, annotations=kinds), part(2, "inner", 0.1, 0.14, annotations={"whole": 43})
        ),
        "placed": [
            segment(1, "placed", 0.2, origin="AWS::EC2::Instance", aws=place, resource_arn="arn:aws:ecs:task/contract")
        ],
        "split": [
            segment(1, "splitter", 0.9),
            {
                **part(2, "part", 0.1, 0.3, annotations={"part_of": "split"}),
                "type": "subsegment",
                "parent_id": 1,
            },
        ],
        "w3c": [segment(1, "w3c", 0.1)],
        "upper": [segment(11, "upper", 0.1)],
        "nan": [
            segment(1, "nan", 0.1, annotations={"score": "NaN", "fine": "yes"}, metadata={"default": {"x": "NaN"}})
        ],
        "weather": answered(segment(1, "GetWeatherData", 1, **flag, **http(500, "weather.example.com/")), *weather),
        "finished": [
            {"id": 1, "name": "finisher", "start_time": 0, "in_progress": True},
            segment(1, "finisher", 0.7),
        ],
        "half": [
            segment(1, "halver", 0.5),
            {"id": 2, "parent_id": 1, "name": "other half", "start_time": 0.1, "in_progress": True},
        ],
        "open": [{"id": 1, "name": "x", "start_time": 0, "in_progress": True}],
        "resent": [segment(1, "first", 0.2), segment(1, "second", 0.3)],
        "backwards": [segment(1, "backwards", -0.5)],
        "unanswered": answered(
            segment(1, "caller", 0.2),
            remote(2, "elsewhere", 0.05, 0.1, **http(200, "elsewhere.example.com/", traced=True)),
        ),
    }


# Those that the service graph and the time series are counted over.
GRAPHED = ("shop", "shop-ok", "shop-fault", "auth", "throttled-call", "sqs", "sql")
BY_UDP = {"plain", "shop", "split", "w3c", "upper", "nan", "resent", "deep", "sql"}


class Corpus:
    """The traces of one run: with ids of its own, so that a second run does not find those of the first."""

    def __init__(self):
        self.run = f"{random.getrandbits(40):010x}"
        self.put_at = None
        self.base = int(time.time()) - START_BEFORE_SECONDS
        self.documents, self.ids, self.starts = {}, {}, {}
        traces = table()
        self.index = {name: index for index, name in enumerate(traces)}
        for index, (name, documents) in enumerate(traces.items()):
            start = self.base + index + 0.25
            self.ids[name] = f"1-{int(start):08x}-{self.run}{index:014x}"
            self.starts[name] = start
            self.documents[name] = [self._made(name, document) for document in documents]
        self.names = {trace: name for name, trace in self.ids.items()}

    def groups(self):
        """Groups that the checks ask by: name and filter."""
        slow = f"slow-{self.run}"
        return {slow: "responsetime > 5", f"graph-{self.run}": f'annotation.graph = "{self.run}"'}

    def window(self, margin=300):
        """Holds all traces, by whatever time they are looked for."""
        return {"StartTime": self.base - 60, "EndTime": int(time.time()) + margin}

    def _made(self, name, document):
        made = self._entity(name, json.loads(json.dumps(document)))
        made["trace_id"] = self.ids[name]
        if name == "w3c":
            made["trace_id"] = made["trace_id"].replace("-", "")[1:]
        if name == "upper":
            made["trace_id"], made["id"] = made["trace_id"].upper(), made["id"].upper()
        if name in GRAPHED and made.get("parent_id") is None:
            made.setdefault("annotations", {})["graph"] = self.run
        text = json.dumps({key: value for key, value in made.items() if value is not None})
        # The SDK for Python sends Python's own idea of JSON.
        return text.replace('"NaN"', "NaN") if name == "nan" else text

    def _entity(self, name, entity):
        for key in ("id", "parent_id"):
            if isinstance(entity.get(key), int):
                entity[key] = self.entity_id(name, entity[key])
        for key in ("start_time", "end_time"):
            if key in entity:
                entity[key] = round(self.starts[name] + entity[key], 6)
        for exception in (entity.get("cause") or {}).get("exceptions", []):
            exception["id"] = self.entity_id(name, exception["id"])
        for inner in entity.get("subsegments", []):
            self._entity(name, inner)
        return entity

    def entity_id(self, name, number):
        """16 digits, with letters among them; different in every trace."""
        return f"{self.run[:4]}{self.index[name]:04x}ab{number:06x}"
