"""What Prometheus reads at /metrics."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from isthmus.backends.backend import Usage
from isthmus.stopwatch import Watch

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
RATES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class Metrics:
    """Of one server. For the thread of its event loop."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter("isthmus_requests", "Requests answered.", ["route", "status"], registry=self.registry)
        self.rejected = Counter("isthmus_rejected", "Requests refused.", ["code"], registry=self.registry)
        self.cancelled = Counter("isthmus_cancelled", "Answers whose client left.", ["when"], registry=self.registry)
        self._tokens = Counter("isthmus_tokens", "Tokens of whole answers.", ["kind"], registry=self.registry)
        self._first = Histogram(
            "isthmus_time_to_first_text_seconds", "From the last byte of a request to the first text.",
            buckets=SECONDS, registry=self.registry,
        )  # fmt: skip
        self._parts = Histogram(
            "isthmus_part_seconds", "Of that, the time of each part.", ["part"], buckets=SECONDS, registry=self.registry
        )
        self._rate = Histogram(
            "isthmus_tokens_per_second", "Of an answer, after its first token.", buckets=RATES, registry=self.registry
        )

    def follow(self, name: str, what: str, value: Callable[[], float]) -> None:
        """A gauge whose value is asked for whenever somebody reads."""
        Gauge(name, what, registry=self.registry).set_function(value)

    def note_first(self, watch: Watch, seconds: float) -> None:
        self._first.observe(seconds)
        for part, taken in watch.seconds.items():
            self._parts.labels(part).observe(taken)

    def note_finish(self, usage: Usage, seconds: float) -> None:
        """`seconds`: from the first token to the end."""
        completion = usage.completion_tokens or 0
        self._tokens.labels("prompt").inc(usage.prompt_tokens or 0)
        self._tokens.labels("picture").inc(usage.picture_tokens or 0)
        self._tokens.labels("completion").inc(completion)
        if completion > 1 and seconds > 0:
            self._rate.observe((completion - 1) / seconds)

    def text(self) -> bytes:
        return generate_latest(self.registry)
