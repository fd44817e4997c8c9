"""What commits, sidecars and summaries must look like before anything in them is believed: types and bounds.

Whatever passes here can be counted, sorted and compared without a look at its type again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, FailFast, Field, TypeAdapter, ValidationError

Count = Annotated[int, Field(ge=0, lt=2**53)]
Position = Annotated[int, Field(ge=0, lt=2**31)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Short = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
#: Of remote files, by address: size in bytes, digests of the first bytes, of the ETag and of Last-Modified.
Pins = dict[
    Annotated[str, Field(pattern=r"^(https?|s3|gs|az|ee)://[^?]*$")],
    tuple[Count, _Short, Annotated[str, Field(pattern=r"^(W/)?[0-9a-f]{16}$")] | None, _Short | None],
]
#: Size in bytes and SHA-256, by path.
Files = dict[str, tuple[Count, Digest]]


class _Shape(BaseModel):
    """Strict: no value is turned into another type."""

    model_config = ConfigDict(strict=True)


class _Rows(_Shape):
    start: Count
    length: Count
    size: Count
    tasks: dict[str, Count]


class _Reject(_Shape):
    tile_id: str | None
    reason: str
    detail: str


class _Chip(_Shape):
    model_config = ConfigDict(strict=True, extra="forbid")
    dhash: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    labelled: Annotated[int, Field(ge=1, lt=2**31)]


class _Rejection(_Shape):
    patch_id: str
    task: Literal[3]
    annotator: str
    reason: str
    detail: str
    text: str


class _About(_Shape):
    number: Literal[3]
    element: str
    index: Count


class _Annotation(_Shape):
    task: _About
    text: str
    annotator: str
    request: Digest
    prompt: Digest
    seed: Count
    model: str
    temperature: float


class _Polished(_Shape):
    patch_id: str
    annotations: Annotated[list[_Annotation], Field(max_length=1)]
    rejections: list[_Rejection]
    usage: list[tuple[str, Count, Count]]


class _Place(_Shape):
    index: Position
    poi_id: str
    ordinal: Position
    variant: Annotated[int, Field(ge=0, lt=2**15)]
    split: Literal["train", "validation", "test"]
    item_id: str | None
    tiles: Position
    rows: _Rows
    classes: dict[str, Count]
    chips: dict[
        Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,6})$")], _Chip
    ] = {}  # trees of earlier versions have none
    rejects: Annotated[list[_Reject], FailFast()]
    files: Files
    captions: Annotated[list[_Polished], Field(min_length=1)] = []  # only where they are polished


class _Commit(_Shape):
    commit: str
    recipe_digest: str
    plan: str
    part: Files
    remote: Annotated[Pins, Field(min_length=1)] = {}  # only of what was made from remote files
    places: Annotated[list[_Place], FailFast()]
    seal: str


class Window(BaseModel):
    """Within how many days of a scene labels were observed."""

    model_config = ConfigDict(strict=True)
    days: dict[str, Share]


ClassId = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,2})$")]


class LabelMeta(BaseModel):
    """What a sidecar counts of its mask."""

    model_config = ConfigDict(strict=True)
    classes: dict[ClassId, Annotated[int, Field(ge=1, lt=2**31)]]
    patches: dict[ClassId, Position]
    pieces: dict[ClassId, Annotated[int, Field(ge=1, lt=2**31)]]
    cells: dict[ClassId, Annotated[list[Annotated[int, Field(ge=0, lt=2**33)]], Field(min_length=36, max_length=36)]]
    borders: dict[Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,2})-[1-9][0-9]{0,2}$")], Position]
    window: Window | None


class Stretch(BaseModel):
    """Limits of a picture's stretch, by band."""

    model_config = ConfigDict(strict=True)
    low: dict[str, Annotated[int, Field(ge=0, lt=2**16)]]
    high: dict[str, Annotated[int, Field(ge=0, lt=2**16)]]


class Shares(BaseModel):
    """How badly a square was seen."""

    model_config = ConfigDict(strict=True, extra="forbid")
    cloud: Share
    shadow: Share
    snow: Share
    nodata: Share


class Imagery(BaseModel):
    """Which scene a picture shows, and why not a better one."""

    model_config = ConfigDict(strict=True)
    item_id: str
    assets: dict[str, str]
    substituted: str | None
    place_quality: Shares | None = None


class Patch(BaseModel):
    """A region of a mask."""

    model_config = ConfigDict(strict=True)
    class_id: int
    bbox: Annotated[list[Annotated[int, Field(ge=0, lt=2**16)]], Field(min_length=4, max_length=4)]
    area_px: Annotated[int, Field(ge=1, lt=2**31)]

    @property
    def box(self) -> tuple[int, int, int, int]:
        """x1, y1, x2, y2 in mask pixels, half-open."""
        x1, y1, x2, y2 = self.bbox
        return x1, y1, x2, y2


class Facts(BaseModel):
    """What of a sidecar follows from nothing else in a tree; all other keys follow from these, the plan and the recipe."""

    model_config = ConfigDict(strict=True)
    imagery: Imagery
    stretch: Stretch
    land_cover_label_meta: LabelMeta
    regions: Annotated[list[Patch], FailFast()]  # of a million wrong ones the first is told
    caption: str
    valid_fraction: Share
    quality: Shares | None = None
    pixels_sha256: Digest


class _Failure(_Shape):
    poi_id: str
    asset: str | None
    reason: str
    error: str
    attempts: Count


class _Polishing(_Shape):
    model_config = ConfigDict(strict=True, extra="forbid")
    polished: Count
    stayed: Count
    rejected: dict[str, Count]
    usage: dict[str, dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)] | Count]]
    waiting: Count


class _Summary(_Shape):
    model_config = ConfigDict(strict=True, extra="allow")
    __pydantic_extra__: dict[str, Count] = Field(init=False)  # a further key is a number
    places: Count
    wanted: Count
    done_before: Count
    finished: Count
    built: Count
    tiles: Count
    rows: Count
    bytes_written: Count
    rejects: dict[str, Count]
    failures: Annotated[list[_Failure], FailFast()]
    requests: Count
    bytes_read: Count
    faults: dict[str, Count]
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    limit: Annotated[int, Field(ge=1, lt=2**53)] | None
    still_open: Count
    chips: Count
    places_with_chips: Count | None = None  # summaries of earlier versions do not tell
    left_out: dict[str, dict[str, Count]] = {}  # summaries of earlier versions do not tell places from tiles
    examples: dict[str, str] = {}
    example: str | None = None  # of earlier versions, instead
    card_sha256: Digest
    data: dict[str, Count]
    made_of: dict[str, Digest] = {}  # summaries of earlier versions have none
    commits: Digest
    card: dict[str, str | list[str]] = {}  # summaries of earlier versions have none
    captions: _Polishing | Annotated[dict[str, Any], Field(max_length=0)] = {}  # only where they are polished
    seal: str


def wrong_commit(data: bytes) -> str | None:
    """What is wrong with the types in a commit, in words; None if nothing is."""
    return _wrong(_Commit, data)


def wrong_summary(data: bytes) -> str | None:
    """The same of a summary."""
    return _wrong(_Summary, data)


def wrong_pins(value: object) -> str | None:
    """The same of pins of remote files that came from JSON."""
    try:
        _pins().validate_json(orjson.dumps(value), strict=True)
    except ValidationError as error:
        return _first(error)
    return None


@cache
def _pins() -> TypeAdapter[Any]:
    return TypeAdapter(Pins)


def facts_of(data: bytes) -> Facts:
    """The facts of a sidecar; ValueError says where one is missing or of another type."""
    try:
        return Facts.model_validate_json(data)
    except ValidationError as error:
        raise ValueError(_first(error)) from None


def _wrong(shape: type[BaseModel], data: bytes) -> str | None:
    try:
        shape.model_validate_json(data)
    except ValidationError as error:
        return _first(error)
    return None


def wrong_values(kind: Any, values: Sequence[object]) -> str | None:
    """What is wrong with the types in values of a dataclass that came from JSON; None if nothing is."""
    try:
        _adapter(kind).validate_json(orjson.dumps(values), strict=True)
    except ValidationError as error:
        return _first(error)
    except (TypeError, ValueError):  # no JSON at all
        return "something that is no JSON"
    return None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(list[kind])


def _first(error: ValidationError) -> str:
    """The first fault: where it is, and which; the value is not shown, since it may be anything."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part)[:40] for part in first["loc"][:6])
    return f"{where}: {first['msg'][:80]}" if where else first["msg"][:80]
