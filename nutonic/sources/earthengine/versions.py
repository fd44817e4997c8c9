"""When images were changed last, by which they are known again: Earth Engine replaces an image without another name.

A listing tells it of every image, and so does a question for one of them. An image whose time is the same before and after
its pixels were read was the same all the while.
"""

from __future__ import annotations

import hashlib
import threading
from typing import Any

from nutonic.core.model import RemotePin
from nutonic.errors import Gone, ReadFailed
from nutonic.io.session import current
from nutonic.sources.earthengine.account import Account, signed_in

#: Images that a session remembers from its listings; of others it is asked again.
_KEPT = 2**17


class _ListedPins:
    """What a session's listings told last of images."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pins: dict[tuple[Account, str], RemotePin | None] = {}

    def note(self, account: Account, image: str, pin: RemotePin | None) -> None:
        """Remember an image; beyond some the oldest are forgotten."""
        with self._lock:
            self._pins.pop((account, image), None)
            self._pins[account, image] = pin
            if len(self._pins) > _KEPT:
                del self._pins[next(iter(self._pins))]

    def known(self, account: Account, image: str) -> RemotePin | None:
        """What was told of an image, if anything was."""
        with self._lock:
            return self._pins.get((account, image))


def note(account: Account, image: Any) -> None:
    """Remember when an image of a listing was changed last."""
    current().resource(_ListedPins).note(account, str(image.get("id")), pin_told(image))


def listed_pin(account: Account, image: str) -> RemotePin | None:
    """The pin of an image as it was listed last in this session, or as it is now; None where no time is told."""
    return current().resource(_ListedPins).known(account, image) or pin_of(account, image)


def pin_of(account: Account, image: str) -> RemotePin | None:
    """The pin of an image as it is now; None where no time is told.

    Raises
    ------
    Gone
        If there is no such image any more.
    ReadFailed, Refused
        If Earth Engine does not tell.
    """
    try:
        with signed_in(account):
            import ee

            return pin_told(ee.data.getAsset(image))
    except ReadFailed as error:
        if error.reason == "no such asset":
            raise Gone(str(error), reason=error.reason) from None
        raise


def pin_told(image: Any) -> RemotePin | None:
    """Of what the API tells of an image, when it was changed last, as a pin. Zeros at its end make it no other time."""
    moment = image.get("updateTime")
    if not isinstance(moment, str):
        return None
    seconds, _, fraction = moment.removesuffix("Z").partition(".")
    text = f"{seconds}.{fraction.rstrip('0')}"
    return RemotePin(size=0, head=hashlib.sha256(text.encode()).hexdigest()[:16], etag=None, modified=None)
