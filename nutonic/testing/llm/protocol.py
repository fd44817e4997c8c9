"""What the chat completions API takes, by its published reference, and the error objects for what it does not take."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wrong:
    """Why a request is refused."""

    status: int
    message: str
    param: str | None = None
    code: str | None = None
    type: str = "invalid_request_error"

    def body(self) -> bytes:
        """The error object."""
        error = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return json.dumps({"error": error}).encode()


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _between(least: float, most: float) -> Callable[[Any], bool]:
    return lambda value: value is None or (_is_number(value) and least <= value <= most)


def _is_count(value: Any) -> bool:
    return value is None or (_is_int(value) and value >= 1)


def _is_bool(value: Any) -> bool:
    return value is None or isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return value is None or isinstance(value, str)


#: What a request may have, with what it must be.
_TAKEN: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "model": ("a string", lambda value: isinstance(value, str) and value != ""),
    "messages": ("a non-empty array", lambda value: isinstance(value, list) and len(value) > 0),
    "temperature": ("a number from 0 to 2", _between(0, 2)),
    "top_p": ("a number from 0 to 1", _between(0, 1)),
    "presence_penalty": ("a number from -2 to 2", _between(-2, 2)),
    "frequency_penalty": ("a number from -2 to 2", _between(-2, 2)),
    "max_tokens": ("an integer above 0", _is_count),
    "max_completion_tokens": ("an integer above 0", _is_count),
    "n": ("an integer above 0", _is_count),
    "seed": ("an integer", lambda value: value is None or _is_int(value)),
    "stream": ("a boolean", _is_bool),
    "store": ("a boolean", _is_bool),
    "logprobs": ("a boolean", _is_bool),
    "user": ("a string", _is_text),
    "stop": ("a string or an array", lambda value: value is None or isinstance(value, str | list)),
    "response_format": ("an object", lambda value: value is None or isinstance(value, dict)),
    "metadata": ("an object", lambda value: value is None or isinstance(value, dict)),
    "logit_bias": ("an object", lambda value: value is None or isinstance(value, dict)),
    "tools": ("an array", lambda value: value is None or isinstance(value, list)),
    "tool_choice": ("a string or an object", lambda value: value is None or isinstance(value, str | dict)),
    "reasoning_effort": ("a string", _is_text),
    "service_tier": ("a string", _is_text),
}

_ROLES = ("developer", "system", "user", "assistant", "tool", "function")
_PARTS = {"text": "text", "image_url": "image_url", "input_audio": "input_audio", "file": "file", "refusal": "refusal"}


def problem_of(request: Any) -> Wrong | None:
    """Why a request's body is refused; None if it is taken."""
    if not isinstance(request, dict):
        return Wrong(400, "The body of your request is no JSON object.")
    unknown = next((name for name in request if name not in _TAKEN), None)
    if unknown is not None:
        return Wrong(400, f"Unrecognized request argument supplied: {unknown}", unknown, "unknown_parameter")
    for name in ("model", "messages"):
        if name not in request:
            return Wrong(400, f"you must provide a {name} parameter", name, "missing_required_parameter")
    for name, value in request.items():
        what, fits = _TAKEN[name]
        if not fits(value):
            return Wrong(400, f"Invalid value for '{name}': expected {what}.", name, "invalid_type")
    if request.get("stream"):
        return Wrong(400, "This server does not stream.", "stream", "unsupported_value")
    found = (_message(index, message) for index, message in enumerate(request["messages"]))
    return next((wrong for wrong in found if wrong is not None), None) or _format(request.get("response_format"))


def _message(index: int, message: Any) -> Wrong | None:
    where = f"messages[{index}]"
    if not isinstance(message, dict):
        return Wrong(400, f"Invalid type for '{where}': expected an object.", where, "invalid_type")
    role, content = message.get("role"), message.get("content")
    if role not in _ROLES:
        given = f"Supported values are: {', '.join(map(repr, _ROLES))}."
        return Wrong(400, f"Invalid value for '{where}.role': {role!r}. {given}", f"{where}.role", "invalid_value")
    if isinstance(content, str) or (content is None and role == "assistant" and message.get("tool_calls")):
        return None
    if not isinstance(content, list) or not content:
        what = "expected a string or an array of content parts."
        return Wrong(400, f"Invalid type for '{where}.content': {what}", f"{where}.content", "invalid_type")
    wrong = next((part for part in content if not _is_part(part)), None)
    if wrong is not None:
        return Wrong(400, f"Invalid content part in '{where}.content'.", f"{where}.content", "invalid_value")
    return None


def _is_part(part: Any) -> bool:
    if not isinstance(part, dict) or part.get("type") not in _PARTS:
        return False
    content = part.get(_PARTS[part["type"]])
    if part["type"] == "image_url":
        url = content.get("url") if isinstance(content, dict) else None
        return isinstance(url, str) and url.startswith(("data:image/", "https://", "http://"))
    return isinstance(content, str if part["type"] in ("text", "refusal") else dict)


def _format(given: Any) -> Wrong | None:
    if given is None or given.get("type") in ("text", "json_object"):
        return None
    if given.get("type") != "json_schema":
        return Wrong(400, "Invalid value for 'response_format.type'.", "response_format.type", "invalid_value")
    schema = given.get("json_schema")
    if not (
        isinstance(schema, dict) and isinstance(schema.get("name"), str) and isinstance(schema.get("schema"), dict)
    ):
        what = "Missing required parameter: 'response_format.json_schema' with its name and schema."
        return Wrong(400, what, "response_format.json_schema", "missing_required_parameter")
    return None
