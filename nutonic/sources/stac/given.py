"""Items that were found elsewhere and are given in Python: dicts, or what pystac and pystac-client make of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Any

import orjson

from nutonic.core.model import Json
from nutonic.errors import InputError
from nutonic.io.buckets.address import refuse_misspelt
from nutonic.sources.item import Item, Sieve

#: What the messages call where items came from.
_HERE = "items="


@dataclass(frozen=True, slots=True)
class Given:
    """Items as one frozen value that travels: what is done to the originals afterwards does not reach it."""

    content: bytes = field(repr=False)
    """JSON, one item a line."""

    def __len__(self) -> int:
        return self.content.count(b"\n") + 1

    def items(self) -> list[Item]:
        """The items; relative hrefs are relative to an item's own address, or to the current folder.

        Raises
        ------
        InputError
            If none is a STAC item; the message has the first. An odd one among others is left out, and told.
        """
        items, sieve = _sifted(self.content)
        sieve.close()
        return list(items)

    @property
    def home(self) -> str:
        """The address of the first item in its catalogue; empty where it does not tell."""
        return next((_own_address(item.content) for item in _sifted(self.content)[0]), "")

    def collection(self) -> str:
        """The one collection that all are of.

        Raises
        ------
        InputError
            If they are of several.
        """
        items = _sifted(self.content)[0] or self.items()
        names = sorted({str(item.content.get("collection") or "") for item in items})
        if len(names) > 1:
            raise InputError(
                f"the items are of {', '.join(name or 'no collection' for name in names)}: say which one by collection="
            )
        return names[0] if names else ""


@lru_cache(maxsize=8)
def _sifted(content: bytes) -> tuple[tuple[Item, ...], Sieve]:
    """The items among documents, and what knows of the others."""
    sieve = Sieve(_HERE)
    documents = map(orjson.loads, content.splitlines())
    return tuple(sieve.items((document, _base(document)) for document in documents)), sieve


def given(items: Any) -> Given:
    """Items in any of the forms that Python has for them.

    Parameters
    ----------
    items
        A dict of an item or an ItemCollection, a ``pystac.Item``, ``pystac.ItemCollection`` or ``pystac.Catalog``, a
        search of pystac-client, or any iterable of dicts and ``pystac.Item``.

    Raises
    ------
    InputError
        If it is none of these, or holds none.
    """
    if isinstance(items, Given):
        return items
    try:
        lines = [orjson.dumps(item, option=orjson.OPT_SERIALIZE_NUMPY) for item in _dicts(items)]
    except TypeError as error:
        raise InputError(f"{_HERE}{items!r:.60} are no STAC items: {error}") from None
    if not lines:
        raise InputError(f"{_HERE} holds no item: was the search that gave it empty?")
    return Given(b"\n".join(lines))


def _dicts(items: Any) -> Iterator[Json]:
    """Items as plain dicts, one by one."""
    if isinstance(items, dict):
        yield from items["features"] if isinstance(items.get("features"), list) else [items]
    elif callable(getattr(items, "get_items", None)):  # a catalogue of pystac
        yield from _dicts(items.get_items(recursive=True))
    elif callable(getattr(items, "items", None)):  # a search of pystac-client
        yield from _dicts(items.items())
    elif callable(getattr(items, "to_dict", None)) and hasattr(items, "assets"):
        yield items.to_dict(include_self_link=True, transform_hrefs=False)
    elif isinstance(items, Iterable) and not isinstance(items, str | bytes):
        for item in items:
            yield from _dicts(item)
    else:
        raise InputError(
            f"{_HERE}{items!r:.60} are no STAC items: give dicts or pystac items, or the path or address of a catalogue "
            "as url="
        )


def _own_address(item: Json) -> str:
    links = item.get("links") if isinstance(item, dict) else None
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and link.get("rel") == "self":
            return str(link.get("href") or "")
    return ""


def _base(item: Json) -> str:
    """What an item's relative hrefs are relative to."""
    own = _own_address(item)
    if "://" in own:
        return own
    return str(Path(own).parent.absolute()) if own else str(Path.cwd())


def settled(url: Any, collection: str, items: Any) -> tuple[str, str, Given | None]:
    """Where a source's items come from: the address or path of a catalogue and a collection of it, or items themselves.

    Raises
    ------
    InputError
        If both are given, or no collection, or what is given as one is none.
    """
    if items is None:
        if not isinstance(url, str | PathLike):
            raise InputError(f"url is {url!r:.60}: give the address or the path of a STAC catalogue, or items=")
        if url and not collection:
            raise InputError("collection is not given: say which collection of the catalogue")
        refuse_misspelt(str(url))
        local = url and "://" not in str(url)
        return str(Path(url).expanduser()) if local else str(url), collection, None
    if url:
        raise InputError("url and items are given both: give one of them")
    documents = given(items)
    return "", collection or documents.collection(), documents


def as_names(names: Any, what: str) -> tuple[Any, ...]:
    """Names as a tuple; one of them is no list of letters."""
    if isinstance(names, str | Mapping) or not isinstance(names, Iterable):
        raise InputError(f"{what} is {names!r:.60}: write it as a list, {what}=[{names!r:.40}]")
    return tuple(names)
