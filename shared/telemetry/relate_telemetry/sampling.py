"""Sampling: the standard samplers as plain data, so that the fast pipeline decides without the SDK's sampler."""

import logging
import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from opentelemetry.context import Context, create_key, get_value
from opentelemetry.sdk.environment_variables import OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceState, get_current_span
from opentelemetry.util.types import Attributes

_SHARED = create_key("relate-is-sampled")
_BASED_ON_PARENT = "parentbased_"

_logger = logging.getLogger(__name__)


class Sampling(NamedTuple):
    """A standard sampler: of the SDK, and as the numbers that decide.

    A root is sampled if the low 64 bits of its trace id are below `bound`. A child is sampled if its parent is; so is
    the child of a span of another process if `follows_parent`, else it is sampled like a root.
    """

    sampler: Sampler
    bound: int
    follows_parent: bool

    def samples(self, trace_id: bytes, parent: SpanContext | None = None) -> bool:
        """Whether a span is sampled."""
        if parent is not None and (self.follows_parent or not parent.is_remote):
            return parent.trace_flags.sampled
        return int.from_bytes(trace_id[8:]) < self.bound


# With the SDK's default, parentbased_always_on, an API client could turn off tracing of its requests, by a traceparent
# that is not sampled.
EVERYTHING = Sampling(ALWAYS_ON, 1 << 64, follows_parent=False)
NOTHING = Sampling(ALWAYS_OFF, 0, follows_parent=False)


def sampling_from_environment(environ: Mapping[str, str] = os.environ) -> Sampling | None:
    """The sampler that OTEL_TRACES_SAMPLER names, all spans where it is unset; None for one that is not standard."""
    name = environ.get(OTEL_TRACES_SAMPLER, "").strip().lower()
    if not name:
        return EVERYTHING
    follows_parent = name.startswith(_BASED_ON_PARENT)
    match name.removeprefix(_BASED_ON_PARENT):
        case "always_on":
            root: Sampler = ALWAYS_ON
            bound = 1 << 64
        case "always_off":
            root, bound = ALWAYS_OFF, 0
        case "traceidratio":
            root = by_ratio = TraceIdRatioBased(_ratio(environ))
            bound = by_ratio.bound
        case _:
            return None
    return Sampling(SharedDecision(ParentBased(root) if follows_parent else root), bound, follows_parent)


def _ratio(environ: Mapping[str, str]) -> float:
    text = environ.get(OTEL_TRACES_SAMPLER_ARG, "").strip() or "1"
    try:
        return TraceIdRatioBased(float(text)).rate
    except ValueError:
        _logger.warning("%s: a number from 0 to 1 is needed, all spans are sampled", OTEL_TRACES_SAMPLER_ARG)
        return 1.0


def share_decision(is_sampled: bool) -> Context:
    """The context of roots for which the decision has been made."""
    return Context({_SHARED: is_sampled})


class SharedDecision(Sampler):
    """A sampler whose decision about a session holds for all that is below it, and for the traces of its commands."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler

    def should_sample(  # noqa: PLR0917 - the SDK's own signature
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """See `Sampler.should_sample`."""
        parent = get_current_span(parent_context).get_span_context()
        if parent.is_valid and not parent.is_remote:
            is_sampled: object = parent.trace_flags.sampled
        else:
            is_sampled = get_value(_SHARED, parent_context)
        if is_sampled is None:
            return self._sampler.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)
        decision = Decision.RECORD_AND_SAMPLE if is_sampled else Decision.DROP
        return SamplingResult(decision, attributes, parent.trace_state)

    def get_description(self) -> str:
        """See `Sampler.get_description`."""
        return f"SharedDecision({self._sampler.get_description()})"
