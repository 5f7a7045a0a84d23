"""Counts checks, tells failures, and compares what came with what should have come."""

import json
import re
import sys
import time

SHOWN_CHARACTERS = 700
POLL_SECONDS = 0.05

# Where three things did not come in time, the next will hardly come either, and nobody wants to wait for each.
PATIENT_TIMES = 3
IMPATIENT_SECONDS = 1


class Report:
    """What was checked and what failed. A failure says what was asked, what was expected and what came."""

    def __init__(self, out=sys.stderr):
        self.checks = 0
        self.failed = []
        self.out = out
        self.waited_in_vain = 0

    def passed(self, count=1):
        self.checks += count

    def fail(self, what, reason):
        self.checks += 1
        # Who asks again and again would hear the same again and again.
        if f"{what}: {reason}" in self.failed:
            return
        self.failed.append(f"{what}: {reason}")
        print(f"FAILED {what}\n    {reason}", file=self.out, flush=True)

    def expect(self, what, expected, got):
        """Compares, and is true when `got` is as `expected`; see `difference`."""
        reason = difference(expected, got)
        if reason is None:
            self.passed()
        else:
            self.fail(what, reason)
        return reason is None

    def until(self, what, expected, ask, seconds=20):
        """Asks again and again until the answer is as expected, and gives it back; fails when it never is."""
        if self.waited_in_vain >= PATIENT_TIMES:
            seconds = min(seconds, IMPATIENT_SECONDS)
        deadline = time.monotonic() + seconds
        while True:
            got = ask()
            reason = difference(expected, got)
            if reason is None:
                self.passed()
                return got
            if time.monotonic() > deadline:
                self.waited_in_vain += 1
                self.fail(what, f"not within {seconds} s: {reason}")
                return got
            time.sleep(POLL_SECONDS)


def shown(value):
    """A value as text of bearable length."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"


def near(number, within=0.0015):
    """Expects a number that is equal but for rounding to milliseconds."""

    def test(got):
        return is_number(got) and abs(got - number) <= within

    test.__name__ = f"about {number}"
    return test


def one_of(*choices):
    """Expects one of several."""

    def test(got):
        return any(difference(choice, got) is None for choice in choices)

    test.__name__ = f"one of {choices}"
    return test


def having(*elements):
    """Expects a list that has an element like each of these, whatever else it has."""

    def test(got):
        return isinstance(got, list) and all(
            any(difference(element, found) is None for found in got) for element in elements
        )

    test.__name__ = f"a list having {shown([describe(element) for element in elements])}"
    return test


def unordered(*elements):
    """Expects a list of exactly these, in any order."""

    def test(got):
        return isinstance(got, list) and len(got) == len(elements) and having(*elements)(got)

    test.__name__ = f"exactly {shown([describe(element) for element in elements])}"
    return test


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def present(got):
    """Expects anything but nothing."""
    return got is not None


def number(got):
    """Expects a number."""
    return is_number(got)


def describe(expected):
    """What is expected, in words."""
    if isinstance(expected, re.Pattern):
        return f"text like {expected.pattern}"
    if callable(expected):
        return expected.__name__
    if isinstance(expected, dict):
        return {key: describe(value) for key, value in expected.items()}
    if isinstance(expected, list):
        return [describe(value) for value in expected]
    return expected


def difference(expected, got, path="answer"):
    """Why `got` is not as expected, or None.

    Objects may have more members than expected. None means absent or null. Lists are compared whole. A pattern must
    match the whole text, a type must be that of the value, and a function must be true of it.
    """
    if isinstance(expected, dict):
        if not isinstance(got, dict):
            return f"{path}: expected an object like {shown(describe(expected))}, got {shown(got)}"
        differences = (difference(value, got.get(key), f"{path}.{key}") for key, value in expected.items())
        return next((reason for reason in differences if reason), None)
    if isinstance(expected, list):
        if not isinstance(got, list) or len(got) != len(expected):
            return f"{path}: expected {shown(describe(expected))}, got {shown(got)}"
        differences = (difference(value, got[index], f"{path}[{index}]") for index, value in enumerate(expected))
        return next((reason for reason in differences if reason), None)
    if isinstance(expected, type):
        fine = isinstance(got, expected)
    elif isinstance(expected, re.Pattern):
        fine = isinstance(got, str) and expected.fullmatch(got) is not None
    elif callable(expected):
        fine = expected(got)
    elif isinstance(expected, bool) or isinstance(got, bool):
        fine = expected is got
    elif is_number(expected) and is_number(got):
        fine = abs(expected - got) < 1e-9
    else:
        fine = expected == got
    return None if fine else f"{path}: expected {shown(describe(expected))}, got {shown(got)}"
