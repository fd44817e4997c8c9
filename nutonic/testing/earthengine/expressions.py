"""The interpreter of Earth Engine's expression graph: a table of nodes that refer to each other, and functions by name.

Names, order, types and defaults of arguments are those of the list of algorithms that the client itself is given, so a
call that Earth Engine would not take is not taken here. Values become what an argument's type says, as in Earth Engine:
a number that stands for an image is a constant image, a list of images that stands for a collection is a collection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from nutonic.testing.earthengine.faults import Problem, unsupported
from nutonic.testing.earthengine.images import Json
from nutonic.testing.earthengine.values import CASTS

#: A function of the graph: takes its arguments in the documented order.
Function = Callable[..., Any]


class Argument(NamedTuple):
    """One argument of a function."""

    name: str
    type: str
    optional: bool
    default: Any


class Language:
    """Which functions there are: what they are called with, and what they do."""

    def __init__(self, algorithms: Sequence[Json], functions: Mapping[str, Function]) -> None:
        self.functions = functions
        self.arguments = {
            algorithm["name"].removeprefix("algorithms/"): tuple(_arguments(algorithm)) for algorithm in algorithms
        }

    def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """The value of a function."""
        if name not in self.functions:
            raise unsupported(f"function {name}")
        parameters = self.arguments[name]
        if unknown := sorted(set(arguments) - {parameter.name for parameter in parameters}):
            raise Problem(f"{name}: Unrecognized arguments {unknown}.")
        return self.functions[name](*(_value(name, parameter, arguments) for parameter in parameters))


def _arguments(algorithm: Json) -> Iterator[Argument]:
    for argument in algorithm.get("arguments", ()):
        yield Argument(
            argument["argumentName"], argument["type"], argument.get("optional", False), argument.get("defaultValue")
        )


def _value(function: str, argument: Argument, arguments: Mapping[str, Any]) -> Any:
    """What an argument is: as given, or its default; of its type."""
    value = arguments.get(argument.name)
    if value is None:
        if not argument.optional:
            raise Problem(f"{function}: Parameter '{argument.name}' is required and may not be null.")
        value = argument.default
    cast = CASTS.get(argument.type.partition("<")[0])
    if value is None or cast is None:
        return value
    try:
        return cast(value)
    except (TypeError, ValueError) as error:
        raise Problem(
            f"{function}, argument '{argument.name}': Invalid type. Expected type: {argument.type}. "
            f"Actual type: {type(value).__name__}."
        ) from error


@dataclass(frozen=True)
class Evaluation:
    """One expression: its nodes by key, and the values of those that hang on no argument, each worked out once."""

    language: Language
    nodes: Mapping[str, Json]
    values: dict[str, Any]
    free: dict[str, frozenset[str]]

    def of(self, key: str, bound: Mapping[str, Any]) -> Any:
        """The value of a node, with these values of arguments."""
        if key not in self.nodes:
            raise Problem(f"Invalid expression: no value '{key}'.")
        if self._free_of(key):
            return self._node(self.nodes[key], bound)
        if key not in self.values:
            self.values[key] = self._node(self.nodes[key], {})
        return self.values[key]

    def _node(self, node: Json, bound: Mapping[str, Any]) -> Any:
        ((kind, content),) = node.items()
        if kind == "constantValue":
            return content
        if kind == "integerValue":
            return int(content)
        if kind == "arrayValue":
            return [self._node(child, bound) for child in content.get("values", ())]
        if kind == "dictionaryValue":
            return {name: self._node(child, bound) for name, child in content.get("values", {}).items()}
        if kind == "valueReference":
            return self.of(content, bound)
        if kind == "argumentReference":
            return bound[content]
        if kind == "functionDefinitionValue":
            return partial(self._apply, content, bound)
        if kind == "functionInvocationValue":
            return self._call(content, bound)
        raise unsupported(f"node of kind {kind}")

    def _call(self, call: Json, bound: Mapping[str, Any]) -> Any:
        arguments = {name: self._node(child, bound) for name, child in call.get("arguments", {}).items()}
        if "functionReference" in call:
            return self.of(call["functionReference"], bound)(*arguments.values())
        return self.language.call(call["functionName"], arguments)

    def _apply(self, definition: Json, bound: Mapping[str, Any], *arguments: Any) -> Any:
        """The value of a function that was defined in the expression."""
        names = definition.get("argumentNames", ())
        return self.of(definition["body"], {**bound, **dict(zip(names, arguments, strict=False))})

    def _free_of(self, key: str) -> frozenset[str]:
        """The arguments that a node hangs on."""
        if key not in self.free:
            self.free[key] = frozenset(self._names(self.nodes[key]))
        return self.free[key]

    def _names(self, node: Any) -> Iterator[str]:
        if isinstance(node, list):
            for child in node:
                yield from self._names(child)
            return
        if not isinstance(node, dict):
            return
        if "argumentReference" in node:
            yield node["argumentReference"]
        elif "functionDefinitionValue" in node:
            inner = node["functionDefinitionValue"]
            yield from self._free_of(inner["body"]) - set(inner.get("argumentNames", ()))
        elif isinstance(node.get("valueReference"), str):
            yield from self._free_of(node["valueReference"])
        elif isinstance(node.get("functionReference"), str):
            yield from self._free_of(node["functionReference"])
            yield from self._names(node.get("arguments", {}))
        elif "constantValue" not in node:
            for child in node.values():
                yield from self._names(child)


def evaluate(language: Language, expression: Json) -> Any:
    """The value of an expression."""
    evaluation = Evaluation(language, expression["values"], {}, {})
    try:
        return evaluation.of(expression["result"], {})
    except RecursionError:
        raise Problem("Expression is nested too deeply.") from None
