"""The answers that were paid for: each is kept before it is used, by the whole request that it answers."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import asdict

import orjson

from nutonic.core.model import Json
from nutonic.errors import Corrupt
from nutonic.io.objects import Store, sealed, unsealed
from nutonic.recipe.annotation import Annotator
from nutonic.sources.annotators import ANSWERS as FOLDER
from nutonic.sources.annotators.endpoint import Answer


def request_of(annotator: Annotator, messages: list[Json], seed: int) -> Json:
    """The body of a request, as it is sent and as its answer is known by: neither address nor key is in it."""
    body: Json = {
        "model": annotator.model,
        "messages": messages,
        "temperature": annotator.temperature,
        "max_tokens": annotator.max_tokens,
        "seed": seed,
    }
    return {**body, "response_format": SCHEMA} if annotator.structured else body


#: What an annotator that is asked for JSON is to answer.
SCHEMA: Json = {
    "type": "json_schema",
    "json_schema": {
        "name": "caption",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"caption": {"type": "string"}},
            "required": ["caption"],
            "additionalProperties": False,
        },
    },
}


def caption_of(answer: Answer, *, structured: bool) -> str | None:
    """The caption that an answer holds; None where it was to be JSON by :data:`SCHEMA`, and is not."""
    if not structured:
        return answer.text.strip()
    try:
        caption = orjson.loads(answer.text)["caption"]
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return None
    return caption.strip() if isinstance(caption, str) else None


def digest_of(request: Json) -> str:
    """SHA-256 (hex) of a whole request, whatever the order of its keys."""
    return hashlib.sha256(orjson.dumps(request, option=orjson.OPT_SORT_KEYS)).hexdigest()


def path_of(digest: str) -> str:
    """Where the answer to a request lies in a tree."""
    return f"{FOLDER}/{digest[:2]}/{digest}.json"


class Answers:
    """Answers in a store; safe in threads, and where several processes write.

    Whoever is killed loses no more than the answers that were on their way.
    """

    def __init__(self, store: Store, ask: Callable[[Annotator, Json], Answer]) -> None:
        """`ask` gets an answer where none is kept: :meth:`Endpoints.ask`, or :func:`.batches.asker`."""
        self._store, self._ask = store, ask
        self._lock = threading.Lock()
        self._asking: dict[str, threading.Lock] = {}

    def ask(self, annotator: Annotator, request: Json) -> Answer:
        """The answer to a request: the one that is kept, else a new one, which is kept first.

        Raises
        ------
        StoreError
            If it cannot be kept.
        NutonicError
            As `ask` does.
        """
        digest = digest_of(request)
        with self._alone(digest):
            return self.stored(digest) or self.keep(digest, self._ask(annotator, request), annotator.name)

    def _alone(self, digest: str) -> threading.Lock:
        """A lock for this request: two threads do not ask the same at the same time."""
        with self._lock:
            if len(self._asking) > 4096:  # those that nobody holds are of no use any more
                self._asking = {key: lock for key, lock in self._asking.items() if lock.locked()}
            return self._asking.setdefault(digest, threading.Lock())

    def stored(self, digest: str) -> Answer | None:
        """The answer that is kept; None where there is none, or what is there is not what was written."""
        try:
            return _read(self._store.get(path_of(digest)), digest)
        except (FileNotFoundError, Corrupt):
            return None

    def keep(self, digest: str, answer: Answer, annotator: str) -> Answer:
        """Keep an annotator's answer unless there is one; gives the one that is kept. What is damaged is replaced."""
        data, path = sealed({"request": digest, "annotator": annotator, **asdict(answer)}), path_of(digest)
        if self._store.create(path, data):
            return answer
        found = self.stored(digest)
        if found is None:
            self._store.put(path, data)
        return found or answer


def tokens_of(store: Store) -> dict[str, tuple[int, int]]:
    """Tokens of requests and of answers, of all answers that are kept, by annotator; whatever is made of them."""
    sums: dict[str, tuple[int, int]] = {}
    for path, _ in store.sizes(FOLDER):
        try:
            value = unsealed(store.get(path), path)
            name, asked, answered = (
                str(value["annotator"]),
                int(value["prompt_tokens"]),
                int(value["completion_tokens"]),
            )
        except (FileNotFoundError, Corrupt, LookupError, TypeError, ValueError):
            continue  # it is no answer, and will be asked for again
        before = sums.get(name, (0, 0))
        sums[name] = before[0] + asked, before[1] + answered
    return sums


def _read(data: bytes, digest: str) -> Answer:
    value = unsealed(data, path_of(digest))
    if value.pop("request", None) != digest or not isinstance(value.pop("annotator", None), str):
        raise Corrupt(f"{path_of(digest)} answers another request")
    try:
        answer = Answer(**value)
    except TypeError:
        raise Corrupt(f"{path_of(digest)} is no answer") from None
    counts = (answer.prompt_tokens, answer.completion_tokens)
    if not all(type(each) is int and each >= 0 for each in counts) or not isinstance(answer.text, str):
        raise Corrupt(f"{path_of(digest)} is no answer")
    return answer
