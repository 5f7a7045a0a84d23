"""The trace graph, the service graph and time series of the corpus, counted by hand."""

from corpus import GRAPHED
from report import having, near, one_of, present

QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/jobs"


def counts(seconds, ok=0, throttle=0, error=0, fault=0):
    """Statistics in X-Ray's exclusive buckets."""
    return {
        "OkCount": ok,
        "ErrorStatistics": {"ThrottleCount": throttle, "OtherCount": error, "TotalCount": throttle + error},
        "FaultStatistics": {"OtherCount": fault, "TotalCount": fault},
        "TotalCount": ok + throttle + error + fault,
        "TotalResponseTime": near(seconds, 0.003),
    }


# Nodes, as (name, type), and what they count; a client counts nothing. Then edges, from and to, and what they count:
# a node counts its own segments, an edge the calls as its caller saw them.
API, BACKEND = ("api.example.com", None), ("backend.example.com", None)
GATEWAY, AUTH, WRITER, ORDERS = ("gateway", None), ("Auth", None), ("writer", None), ("orders", "AWS::DynamoDB::Table")
PRODUCER, JOBS, ACCOUNTS = ("producer", None), (QUEUE, "AWS::SQS::Queue"), ("accounts", None)
DATABASE = ("orders@db.example.com", "Database::SQL")


def client(node):
    return (node[0], "client")


SERVICES = {
    API: counts(3.2, ok=2, fault=1),
    BACKEND: counts(0.2 + 0.03, ok=1, error=1),
    GATEWAY: counts(0.8, fault=1),
    AUTH: counts(0.4, fault=1),
    WRITER: counts(0.6, error=1),
    ORDERS: counts(0.4, throttle=1),
    PRODUCER: counts(0.5, ok=1),
    JOBS: counts(0.2, ok=1),
    ACCOUNTS: counts(0.5, ok=1),
    DATABASE: counts(0.2, ok=1),
    **{client(root): None for root in (API, GATEWAY, WRITER, PRODUCER, ACCOUNTS)},
}
EDGES = {
    (client(API), API): counts(3.2, ok=2, fault=1),
    (API, BACKEND): counts(0.4 + 0.23, ok=1, error=1),
    (client(GATEWAY), GATEWAY): counts(0.8, fault=1),
    (GATEWAY, AUTH): counts(0.6, fault=1),
    (client(WRITER), WRITER): counts(0.6, error=1),
    (WRITER, ORDERS): counts(0.4, throttle=1),
    (client(PRODUCER), PRODUCER): counts(0.5, ok=1),
    (PRODUCER, JOBS): counts(0.2, ok=1),
    (client(ACCOUNTS), ACCOUNTS): counts(0.5, ok=1),
    (ACCOUNTS, DATABASE): counts(0.2, ok=1),
}

# The graph of one trace: nodes and edges.
TRACES = {
    "shop": (
        {API: counts(2.5, ok=1), BACKEND: counts(0.2, error=1), client(API): None},
        {(client(API), API): counts(2.5, ok=1), (API, BACKEND): counts(0.4, error=1)},
    ),
    "throttled-call": (
        {WRITER: counts(0.6, error=1), ORDERS: counts(0.4, throttle=1), client(WRITER): None},
        {(client(WRITER), WRITER): counts(0.6, error=1), (WRITER, ORDERS): counts(0.4, throttle=1)},
    ),
    "slow-call": (
        {
            ("front", None): counts(4, fault=1),
            ("traces", "remote"): counts(3.5, fault=1),
            ("front", "client"): None,
        },
        {
            (("front", "client"), ("front", None)): counts(4, fault=1),
            (("front", None), ("traces", "remote")): counts(3.5, fault=1),
        },
    ),
    # Same name, another type: another node. Without a call between them, the callee's own times count.
    "lambda": (
        {
            ("function-name", "AWS::Lambda"): counts(0.4, error=1),
            ("function-name", "AWS::Lambda::Function"): counts(0.3, ok=1),
            ("function-name", "client"): None,
        },
        {
            (("function-name", "client"), ("function-name", "AWS::Lambda")): counts(0.4, error=1),
            (("function-name", "AWS::Lambda"), ("function-name", "AWS::Lambda::Function")): counts(0.3, ok=1),
        },
    ),
}


def run(xray, report, corpus):
    for name, (nodes, edges) in TRACES.items():
        answer = xray.call("GetTraceGraph", TraceIds=[corpus.ids[name]])
        drawn(report, f"GetTraceGraph of {name}", answer.get("Services") or [], nodes, edges)
    alias(xray, report, corpus)
    extras(xray, report, corpus)
    asked = {**corpus.window(), "GroupName": f"graph-{corpus.run}"}
    services = xray.every("GetServiceGraph", "Services", **asked)
    drawn(report, "GetServiceGraph of a group", services, SERVICES, EDGES)
    states(report, services)
    answer = xray.call("GetServiceGraph", **asked)
    expected = {"StartTime": present, "EndTime": present, "ContainsOldGroupVersions": one_of(True, False)}
    report.expect("GetServiceGraph of a group", expected, answer)
    arn = (xray.call("GetGroup", GroupName=asked["GroupName"]).get("Group") or {}).get("GroupARN") or "arn"
    by_arn = xray.every("GetServiceGraph", "Services", **corpus.window(), GroupARN=arn)
    report.expect("GetServiceGraph by ARN", sorted(map(str, SERVICES)), sorted(str(node_of(one)) for one in by_arn))
    everything = xray.every("GetServiceGraph", "Services", **corpus.window())
    expected = having(*({"Name": name, "Type": kind} for name, kind in SERVICES))
    report.expect("GetServiceGraph without a group: services", expected, everything)
    answer = xray.plain("GetServiceGraph", {"StartTime": 1000, "EndTime": 2000})
    expected = {"Services": [], "StartTime": None, "EndTime": None, "NextToken": None}
    report.expect("GetServiceGraph of a time without traces", expected, answer)
    series(xray, report, corpus, asked)


def node_of(service):
    return (service.get("Name"), service.get("Type"))


def drawn(report, what, services, nodes, edges):
    """Compares a graph as a whole: no node and no edge more or less."""
    by_reference = {service.get("ReferenceId"): node_of(service) for service in services}
    references = list(range(len(services)))
    report.expect(f"{what}: ReferenceIds", references, sorted(by_reference))
    report.expect(f"{what}: nodes", sorted(nodes, key=str), sorted(map(node_of, services), key=str))
    found = {}
    for service in services:
        node = node_of(service)
        statistics = service.get("SummaryStatistics")
        report.expect(f"{what}: statistics of {node}", nodes.get(node), statistics)
        for edge in service.get("Edges") or []:
            found[node, by_reference.get(edge.get("ReferenceId"))] = edge
    report.expect(f"{what}: edges", sorted(edges, key=str), sorted(found, key=str))
    for ends, expected in edges.items():
        edge = found.get(ends, {})
        report.expect(f"{what}: statistics of {ends}", {"SummaryStatistics": expected}, edge)
        counted = sum(entry["Count"] for entry in edge.get("ResponseTimeHistogram") or [])
        report.expect(f"{what}: histogram of {ends}", expected["TotalCount"], counted)
    roots = [node_of(service) for service in services if service.get("Root")]
    expected = [target for source, target in edges if source[1] == "client"]
    report.expect(f"{what}: roots", sorted(expected, key=str), sorted(roots, key=str))


def states(report, services):
    """Whether a node has segments of its own."""
    by_node = {node_of(service): service.get("State") for service in services}
    for node, state in [(API, "active"), (BACKEND, "active"), (ORDERS, "unknown"), (client(API), "unknown")]:
        report.expect(f"GetServiceGraph: State of {node}", state, by_node.get(node))


def extras(xray, report, corpus):
    """What is not counted, and members that only AWS's recorded answers show."""
    answer = xray.call("GetTraceGraph", TraceIds=[corpus.ids["open"]])
    report.expect("GetTraceGraph of a trace whose root has not ended", {"Services": []}, answer)
    answer = xray.plain("GetTraceGraph", {"TraceIds": [corpus.ids["throttled-call"]]})
    services = {node_of(service): service for service in answer.get("Services") or []}
    expected = {"Region": "us-east-1", "HostedIn": None, "KeyAttributes": None, "StartTime": None, "EndTime": None}
    report.expect("GetTraceGraph: a table", expected, services.get(ORDERS))
    expected = {"Region": None, "DurationHistogram": None, "ResponseTimeHistogram": None, "SummaryStatistics": None}
    report.expect("GetTraceGraph: a client", expected, services.get(client(WRITER)))
    answer = xray.plain("GetServiceGraph", {**corpus.window(), "GroupName": f"graph-{corpus.run}"})
    for service in answer.get("Services") or []:
        what = f"GetServiceGraph: {node_of(service)}"
        report.expect(what, {"Region": None, "HostedIn": {}, "KeyAttributes": {}}, service)
        times = {"StartTime": service.get("StartTime"), "EndTime": service.get("EndTime")}
        for edge in service.get("Edges") or []:
            report.expect(f"{what}: an edge has the times of where it starts", times, edge)


def alias(xray, report, corpus):
    """A call by another name than that of the service which answered it."""
    services = xray.call("GetTraceGraph", TraceIds=[corpus.ids["weather"]]).get("Services") or []
    caller = next((service for service in services if node_of(service) == ("GetWeatherData", None)), {})
    expected = {"Edges": [{"Aliases": having({"Name": "get_temperature"})}]}
    report.expect("GetTraceGraph of weather: edge of GetWeatherData", expected, caller)


def series(xray, report, corpus, asked):
    """Requests by the minute; what is counted depends on what is selected."""
    of_api = counts(3.2, ok=2, fault=1)
    by_service = ("ServiceSummaryStatistics", of_api)
    by_edge = ("EdgeSummaryStatistics", counts(0.63, ok=1, error=1))
    for selector, period, (member, expected) in [
        (None, 60, ("EdgeSummaryStatistics", {"TotalCount": len(GRAPHED)})),
        (None, 300, ("EdgeSummaryStatistics", {"TotalCount": len(GRAPHED)})),
        ('service("api.example.com")', 60, by_service),
        ('service(id(name: "api.example.com"))', 300, by_service),
        ('edge("api.example.com", "backend.example.com")', 60, by_edge),
        ('edge(id(name: "api.example.com"), id(name: "backend.example.com"))', 60, by_edge),
        ('service("never-made")', 60, ("ServiceSummaryStatistics", {"TotalCount": 0})),
    ]:
        members = {"EntitySelectorExpression": selector} if selector else {}
        entries = xray.every(
            "GetTimeSeriesServiceStatistics",
            "TimeSeriesServiceStatistics",
            **asked,
            Period=period,
            **members,
        )
        what = f"GetTimeSeriesServiceStatistics {selector} by {period} s"
        report.expect(f"{what}: sum of {member}", expected, total(entries, member))
        other = {"EdgeSummaryStatistics", "ServiceSummaryStatistics"} - {member}
        report.expect(f"{what}: no {other}", [], [entry for entry in entries if entry.get(other.copy().pop())])
        times = [entry["Timestamp"].timestamp() for entry in entries]
        report.expect(f"{what}: newest first", sorted(times, reverse=True), times)
        report.expect(f"{what}: whole periods", [], [time for time in times if time % period])
        # By when the segments came, not by when they were; the label is the end of the period.
        early = [entry["Timestamp"] for entry in entries if entry.get(member) and entry[member]["TotalCount"]]
        early = [time for time in early if time.timestamp() < corpus.put_at - 1]
        report.expect(f"{what}: nothing is counted before it came", [], early)
    same = {**asked, "EndTime": asked["StartTime"]}
    answer = xray.call("GetTimeSeriesServiceStatistics", **same)
    expected = {"TimeSeriesServiceStatistics": []}
    report.expect("GetTimeSeriesServiceStatistics of no time", expected, answer)


def total(entries, member):
    """The statistics of all buckets together, in the shape of one."""
    every = [entry[member] for entry in entries if entry.get(member)]

    def add(*path):
        values = []
        for statistics in every:
            for key in path:
                statistics = statistics.get(key) or 0
            values.append(statistics)
        return sum(values)

    return {
        "OkCount": add("OkCount"),
        "ErrorStatistics": {key: add("ErrorStatistics", key) for key in ("ThrottleCount", "OtherCount", "TotalCount")},
        "FaultStatistics": {key: add("FaultStatistics", key) for key in ("OtherCount", "TotalCount")},
        "TotalCount": add("TotalCount"),
        "TotalResponseTime": add("TotalResponseTime"),
    }
