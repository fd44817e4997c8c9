"""What is asked of an endpoint to learn whether it takes anything at all: before all else, or after it refused something."""

from __future__ import annotations

from nutonic.core.model import Json
from nutonic.recipe.annotation import Annotator

_SAY = "Describe a lake in one sentence."


def first_request(annotator: Annotator) -> Json:
    """A short request for a completion, with the annotator's own settings."""
    settings = {"temperature": annotator.temperature, "max_tokens": annotator.max_tokens}
    return {"model": annotator.model, "messages": [{"role": "user", "content": _SAY}], **settings}


def harmless(request: Json) -> Json:
    """A request of the same kind, with the same picture, if any, and with words that nobody minds."""
    messages = []
    for message in request["messages"][-1:]:
        content = message["content"]
        parts = [] if isinstance(content, str) else [part for part in content if part.get("type") != "text"]
        messages.append({"role": "user", "content": [{"type": "text", "text": _SAY}, *parts] if parts else _SAY})
    return {**request, "messages": messages}
