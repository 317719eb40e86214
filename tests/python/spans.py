"""Sends the spans of one afternoon with the Python SDK of OpenTelemetry, as an instrumented agent would.

usage: spans.py ENDPOINT KEY START_NANOS COMPRESSION, where COMPRESSION is `none` or `gzip`

The same spans (trace and span ids are fixed) are sent whatever the compression. Prints `SUCCESS` or `FAILURE`.
"""

import sys

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

SECOND = 1_000_000_000
# What people and models say must not get far.
CONTENT = {
    "gen_ai.input.messages": '[{"role":"user","parts":[{"content":"CANARY-PROMPT"}]}]',
    "gen_ai.output.messages": '[{"role":"assistant","parts":[{"content":"CANARY-ANSWER"}]}]',
    "gen_ai.prompt.0.content": "CANARY-PROMPT",
    "llm.output_messages.0.message.content": "CANARY-ANSWER",
    "input.value": "CANARY-PROMPT",
}


class Counting(IdGenerator):
    """Ids that are the same in every run."""

    def __init__(self):
        self.traces = self.spans = 0

    def generate_trace_id(self):
        self.traces += 1
        return 0xAB << 120 | self.traces

    def generate_span_id(self):
        self.spans += 1
        return 0xCD << 56 | self.spans


def main():
    endpoint, key, start, compression = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    kept = InMemorySpanExporter()
    resource = Resource.create({"service.name": "helpdesk", "billing.customer_id": "acme"})
    provider = TracerProvider(resource=resource, id_generator=Counting())
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("spans.py")

    def span(name, attributes, begin, end, parent=None, error=None):
        context = set_span_in_context(parent) if parent else None
        span = tracer.start_span(
            name, context=context, kind=SpanKind.CLIENT, attributes=attributes, start_time=start + begin * SECOND
        )
        span.add_event("gen_ai.user.message", {"content": "CANARY-PROMPT"}, timestamp=start + begin * SECOND)
        if error:
            span.set_attribute("error.type", error)
            span.set_status(Status(StatusCode.ERROR, "CANARY-ANSWER"))
        return span, start + end * SECOND

    def ended(*arguments, **more):
        child, end = span(*arguments, **more)
        child.end(end)

    # An agent that answers: its work, a call told of by a wrapper and by the library under it, a tool, a request.
    case = {"gen_ai.conversation.id": "ticket-1", "billing.action": "support.resolution"}
    agent = {**case, "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "resolver"}
    work, done = span("invoke_agent resolver", {**agent, "billing.status": "answered", **CONTENT}, 0, 10)
    call = {
        **case,
        **CONTENT,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.id": "chatcmpl-1",
    }
    wrapper, wrapped = span("chat", {**call, "gen_ai.agent.name": "resolver"}, 1, 5, parent=work)
    counted = {
        **call,
        "gen_ai.agent.name": "resolver",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.cache_read.input_tokens": 200,
        "gen_ai.usage.output_tokens": 300,
    }
    ended("chat gpt-4o", counted, 2, 4, parent=wrapper)
    wrapper.end(wrapped)
    tool = {**case, "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "orders", **CONTENT}
    ended("execute_tool orders", tool, 6, 7, parent=work)
    ended("GET /orders", {"http.request.method": "GET", "url.full": "https://shop.example/orders"}, 6, 7, parent=work)
    work.end(done)

    # A call that was refused for load; it names no response, and its agent is the service.
    refused = {**call, "billing.case_id": "ticket-2", "billing.customer_id": "globex"}
    del refused["gen_ai.response.id"]
    ended("chat gpt-4o", refused, 20, 21, error="openai.RateLimitError")

    # A call of no case.
    lost = {**counted, "gen_ai.response.id": "chatcmpl-2"}
    del lost["gen_ai.conversation.id"]
    ended("chat gpt-4o", lost, 30, 31)

    exporter = OTLPSpanExporter(
        endpoint=endpoint,
        headers={"Authorization": f"Bearer {key}"},
        compression=Compression.Gzip if compression == "gzip" else Compression.NoCompression,
    )
    print(exporter.export(kept.get_finished_spans()).name)


if __name__ == "__main__":
    main()
