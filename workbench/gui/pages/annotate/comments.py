"""Comments on parts of responses, in the making: added, changed, taken away, and each of these undone. No Qt, no service."""

from __future__ import annotations

from collections.abc import Iterable

from workbench.domain.judgement import Span

Spans = tuple[Span, ...]


class Comments:
    """The comments on the item that is shown, in the order in which they are read: by candidate, then by place."""

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self.spans: Spans = _in_order(spans)
        self._before: list[Spans] = []
        self._after: list[Spans] = []

    def of(self, candidate: int) -> Spans:
        """The comments on one candidate; their numbers count from 1."""
        return tuple(span for span in self.spans if span.candidate == candidate)

    def put(self, span: Span, instead: Span | None = None) -> None:
        """Add a comment, or put it in the place of another one."""
        self._become((*(one for one in self.spans if one != instead), span))

    def remove(self, span: Span) -> None:
        """Take a comment away."""
        self._become(tuple(one for one in self.spans if one != span))

    def undo(self) -> bool:
        """Take the last change back; False when there is none."""
        return self._step(self._before, self._after)

    def redo(self) -> bool:
        """Make the change again that was taken back last; False when there is none."""
        return self._step(self._after, self._before)

    def at(self, candidate: int, place: int) -> Span | None:
        """The shortest comment whose stretch holds this character, if any; one on the whole text only where no other does."""
        found = [span for span in self.of(candidate) if span.start <= place < span.end or not span.end]
        return min(found, key=lambda span: (not span.end, span.end - span.start), default=None)

    def _become(self, spans: Iterable[Span]) -> None:
        self._before.append(self.spans)
        self._after.clear()
        self.spans = _in_order(spans)

    def _step(self, source: list[Spans], target: list[Spans]) -> bool:
        if not source:
            return False
        target.append(self.spans)
        self.spans = source.pop()
        return True


def _in_order(spans: Iterable[Span]) -> Spans:
    return tuple(sorted(set(spans), key=lambda span: (span.candidate, span.start, span.end, span.comment)))
