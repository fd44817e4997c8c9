"""What is asked of an endpoint after it refused something: whether it takes anything at all, and when to come back."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime

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


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds until an endpoint wants to be asked again, which it says as such, or as a date by its own clock."""
    told = headers.get("retry-after", "")
    with suppress(ValueError):
        seconds = float(told)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    with suppress(ValueError, TypeError, OverflowError):
        until = parsedate_to_datetime(told).timestamp()
        now = headers.get("date")
        return max(0.0, until - (parsedate_to_datetime(now).timestamp() if now else time.time()))
    return None
