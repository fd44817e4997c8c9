"""What is asked of an endpoint after it refused something: whether it takes anything at all."""

from __future__ import annotations

from nutonic.core.model import Json


def harmless(request: Json) -> Json:
    """A request of the same kind, with the same picture, if any, and with words that nobody minds."""
    messages = []
    for message in request["messages"][-1:]:
        content = message["content"]
        parts = [] if isinstance(content, str) else [part for part in content if part.get("type") != "text"]
        say = "Describe a lake in one sentence."
        messages.append({"role": "user", "content": [{"type": "text", "text": say}, *parts] if parts else say})
    return {**request, "messages": messages}
