"""The interpreter of Earth Engine's expression graph: a table of nodes that refer to each other, and functions by name.

The names, order, types and defaults of arguments come from the list of algorithms that the client itself uses, so a call
that Earth Engine would refuse is refused here. As in Earth Engine, values are cast to the type of their argument: a number
becomes a constant image where an image is expected, and a list of images becomes a collection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from nutonic.testing.earthengine.faults import Problem, unsupported
from nutonic.testing.earthengine.images import Json
from nutonic.testing.earthengine.values import CASTS

#: A function of the graph. It takes its arguments in the documented order.
Function = Callable[..., Any]


class Argument(NamedTuple):
    """One argument of a function."""

    name: str
    type: str
    optional: bool
    default: Any


class Language:
    """The functions of expressions, and their arguments."""

    def __init__(self, algorithms: Sequence[Json], functions: Mapping[str, Function]) -> None:
        self.functions = functions
        self.arguments = {
            algorithm["name"].removeprefix("algorithms/"): tuple(_arguments(algorithm)) for algorithm in algorithms
        }

    def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """The value of a function for arguments by name."""
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
    """The value of an argument, or its default, cast to its type."""
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
    """One expression: its nodes by key, and the values of the nodes that depend on no argument, computed once.

    `free` holds the names of the arguments that each node depends on.
    """

    language: Language
    nodes: Mapping[str, Json]
    values: dict[str, Any]
    free: dict[str, frozenset[str]]

    def of(self, key: str, bound: Mapping[str, Any]) -> Any:
        """The value of a node, given the values of arguments."""
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
        """The value of a function that the expression defines."""
        names = definition.get("argumentNames", ())
        return self.of(definition["body"], {**bound, **dict(zip(names, arguments, strict=False))})

    def _free_of(self, key: str) -> frozenset[str]:
        """The names of the arguments that a node depends on."""
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
