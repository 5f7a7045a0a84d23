"""Holds an X-Ray (`xrayd local`) against what AWS documents and answers; see ../README.md."""

import argparse
import json
import sys

import accounts
import cli
import documents
import filters
import graphs
import groups
import paging
import refusals
import restart
import retrieval
import sampling
import selftest
from corpus import Corpus
from report import Report
from udp import Datagrams
from wire import XRay

PHASES = ["before-restart", "after-restart", "all"]


def whole(xray, datagrams, report):
    """Everything that needs no restart; what stays over a restart is left and found at once."""
    corpus = Corpus()
    refusals.run(xray, report)
    groups.run(xray, report, corpus.run)
    sampling.run(xray, report, corpus.run)
    accounts.run(xray, report, corpus.run)
    with groups.made(xray, corpus.groups()):
        documents.put(xray, datagrams, report, corpus)
        documents.run(xray, report, corpus)
        graphs.run(xray, report, corpus)
        filters.run(xray, report, corpus)
    retrieval.run(xray, report, corpus)
    paging.run(xray, report, corpus)
    cli.run(xray, report, corpus)
    restart.leave(xray, datagrams, report)
    restart.find(xray, datagrams, report)
    report.expect("operations called", set(xray.model.operation_names), xray.called)
    report.expect("operations that refused something", set(xray.model.operation_names), xray.refused_by)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--endpoint", default="http://127.0.0.1:2000")
    arguments.add_argument("--udp", default="127.0.0.1:2000", metavar="HOST:PORT")
    arguments.add_argument("--phase", choices=PHASES, default="all")
    arguments.add_argument("--self-test", action="store_true", help="check the checks; needs no X-Ray")
    given = arguments.parse_args()
    report = Report()
    called = set()
    if given.self_test:
        selftest.run(report)
    else:
        xray, datagrams = XRay(given.endpoint, report), Datagrams(given.udp)
        called = xray.called
        if given.phase == "before-restart":
            restart.leave(xray, datagrams, report)
        elif given.phase == "after-restart":
            restart.find(xray, datagrams, report)
        else:
            whole(xray, datagrams, report)
    print(json.dumps({"checks": report.checks, "operations": len(called), "failed": report.failed}))
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
