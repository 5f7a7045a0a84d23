"""X-Ray by boto3 and by plain HTTP. Every answer is held against the model before anybody looks at it."""

import json

import boto3
import botocore.parsers
import urllib3
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from report import describe, shown
from shapes import Shapes

REGION = "us-east-1"
TIMEOUT_SECONDS = 20


class XRay:
    """One X-Ray, and which of its operations have been called and have refused something."""

    def __init__(self, endpoint, report):
        self.endpoint = endpoint.rstrip("/")
        self.report = report
        self.called = set()
        self.refused_by = set()
        self.asked = {}
        settings = Config(
            retries={"total_max_attempts": 1}, read_timeout=TIMEOUT_SECONDS, connect_timeout=TIMEOUT_SECONDS
        )
        self.client = boto3.session.Session(
            aws_access_key_id="contract", aws_secret_access_key="contract", region_name=REGION
        ).client("xray", endpoint_url=self.endpoint, config=settings)
        self.model = self.client.meta.service_model
        self.shapes = Shapes(self.model)
        self.pool = urllib3.PoolManager(timeout=TIMEOUT_SECONDS, retries=False)
        events = self.client.meta.events
        events.register("before-parameter-build.xray", self._remember)
        events.register("before-parse.xray", self._hold)

    def _remember(self, params, **_):
        self.asked = dict(params)

    def _hold(self, operation_model, response_dict, **_):
        name, status = operation_model.name, response_dict["status_code"]
        self.called.add(name)
        judge = self.shapes.answer if status < 300 else self.shapes.refusal
        self._tell(name, self.asked, judge(name, status, response_dict["headers"], response_dict["body"]))

    def _tell(self, operation, asked, problems):
        if not problems:
            self.report.passed()
        for problem in problems:
            self.report.fail(f"{operation} {shown(asked)}", f"shape: {problem}")

    def call(self, operation, /, **members):
        """The answer as boto3 gives it; when there is none, a failure is told and the answer is empty."""
        try:
            answer = getattr(self.client, xform_name(operation))(**members)
        except (ClientError, BotoCoreError, urllib3.exceptions.HTTPError) as error:
            self.report.fail(f"{operation} {shown(members)}", f"expected an answer, got {error!r}")
            return {}
        answer.pop("ResponseMetadata", None)
        return answer

    def pages(self, operation, /, **members):
        """All pages of boto3's own paginator."""
        pages = []
        try:
            for page in self.client.get_paginator(xform_name(operation)).paginate(**members):
                pages.append(page)
        except (ClientError, BotoCoreError, urllib3.exceptions.HTTPError) as error:
            self.report.fail(f"{operation} {shown(members)}", f"page {len(pages) + 1}: {error!r}")
        return pages

    def every(self, operation, member, /, **members):
        """The elements of all pages."""
        return [element for page in self.pages(operation, **members) for element in page.get(member) or []]

    def post(self, operation, body):
        """Plain, unsigned HTTP: status, headers and body."""
        path = self.model.operation_model(operation).http["requestUri"]
        return self.post_path(path, body)

    def post_path(self, path, body):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = {"Content-Type": "application/json"}
        answer = self.pool.request("POST", self.endpoint + path, body=body, headers=head)
        return answer.status, answer.headers, answer.data

    def plain(self, operation, body):
        """The answer to plain HTTP as it is in JSON, null members and all."""
        self.called.add(operation)
        status, headers, answer = self.post(operation, body)
        problems = self.shapes.answer(operation, status, headers, answer)
        self._tell(operation, body, problems)
        try:
            return json.loads(answer or b"{}")
        except ValueError:
            return {}

    def refused(self, operation, body, code, message, more=None):
        """Expects a refusal: with this code, and this text or a text like this pattern; None is any text."""
        self.called.add(operation)
        self.refused_by.add(operation)
        what = f"{operation} {shown(body if not isinstance(body, bytes) else repr(body))}"
        try:
            status, headers, answer = self.post(operation, body)
        except urllib3.exceptions.HTTPError as error:
            self.report.fail(what, f"expected {code}, got {error!r}")
            return
        if status < 300:
            self.report.fail(what, f"expected {code} {shown(describe(message))}, got {status} {answer[:500]!r}")
            return
        self._tell(operation, body, self.shapes.refusal(operation, status, headers, answer))
        parsed = self._as_botocore_reads_it(operation, status, headers, answer)
        expected = {"Error": {"Code": code, **({} if message is None else {"Message": message})}, **(more or {})}
        self.report.expect(what, expected, parsed)

    def _as_botocore_reads_it(self, operation, status, headers, body):
        answer = {"status_code": status, "headers": headers, "body": body}
        model = self.model.operation_model(operation)
        try:
            parsed = botocore.parsers.create_parser("rest-json").parse(answer, model.output_shape)
            # Members beyond code and text belong to the error's own shape.
            parsed.update({key: value for key, value in json.loads(body).items() if key not in parsed})
        except (botocore.parsers.ResponseParserError, ValueError, AttributeError) as error:
            return {"unreadable": repr(error)}
        return parsed
