"""Reads traces and summaries: what several of the checks need."""

import json


def chunks(values, size):
    return [values[at : at + size] for at in range(0, len(values), size)]


def documents_of(xray, trace_id):
    """The documents of one trace; None when there is no such trace."""
    traces = xray.call("BatchGetTraces", TraceIds=[trace_id]).get("Traces") or []
    if not traces:
        return None
    documents = []
    for segment in traces[0].get("Segments") or []:
        try:
            documents.append(json.loads(segment["Document"]))
        except (ValueError, TypeError):
            documents.append({"unreadable": segment.get("Document")})
    return documents


def summaries_of(xray, corpus, **members):
    """Summaries of those traces of the corpus that are found, by the traces' names."""
    asked = {**corpus.window(), **members}
    found = xray.every("GetTraceSummaries", "TraceSummaries", **asked)
    named = ((corpus.names.get(summary["Id"].lower()), summary) for summary in found)
    return {name: summary for name, summary in named if name}
