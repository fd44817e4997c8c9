"""An endpoint of a language model: who we are to it, what is asked of it, and how its answers are come by.

An attempt is :mod:`.client`'s. How often, after which pause, and until when it is made again is said here.
"""

from __future__ import annotations

import os
import random
import re
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from nutonic.core.model import Json
from nutonic.core.units import counted
from nutonic.errors import MissingExtra, NutonicError, Refused, Unreachable
from nutonic.inert import inert
from nutonic.io.access import is_loopback
from nutonic.io.http import retry_after
from nutonic.recipe.annotation import Annotator
from nutonic.secrets import redact
from nutonic.sources.annotators.client import BadAnswer, BadStatus, Client, Loop
from nutonic.sources.annotators.harmless import first_request, harmless
from nutonic.sources.annotators.limits import EndpointLimits
from nutonic.sources.source import Needs

#: What asking takes besides what is always there.
NEEDS = Needs(packages=("aiohttp",), resident_bytes=30 * 2**20)

#: What an endpoint calls a refusal; anything else that it says is not repeated, since it may hold a key.
_CODE = re.compile(r"[a-z][a-z_]{0,40}")

#: Refusals that are never of one request alone: of a key, an account without credit, whoever stands in between.
_OF_ALL = frozenset({"401", "402", "403", "407", "429"})

#: Statuses of who may answer later, whatever is asked for.
_LATER = frozenset({"408", "409", "429", "503"})

#: Why an answer ends that says for good that there is none: the endpoint's status follows.
REFUSED = "refused: "

#: What an endpoint is asked for before anything else.
_MODELS = "its list of models (GET /models)"

#: So many letters of what an endpoint says of a refusal are told.
_TOLD = 160

_T = TypeVar("_T")


class Stopped(NutonicError):
    """A request that was not made, since the build is to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model said."""

    text: str
    prompt_tokens: int
    """Of the request, as the endpoint counts them; 0 where it does not tell."""
    completion_tokens: int
    """Of the answer."""
    finish_reason: str
    """``stop``; ``length`` if it was cut off at `max_tokens`; or what else the endpoint says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often an endpoint is asked, and how long is waited in between."""

    attempts: int = 6
    deferrals: int = 60
    """Times that an endpoint may tell to come back later; these are no attempts."""
    pause_s: float = 0.5
    """Seconds of pause after the first failure; they double each time. Each is this, times a random number of 0.5 to 1.5."""
    longest_pause_s: float = 60.0
    """The most seconds that an endpoint's Retry-After is obeyed; one that asks for more is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Who we are to a model's endpoint: an :class:`~nutonic.sources.source.Account`. It travels, and holds no secret."""

    annotator: Annotator

    @property
    def service(self) -> str:
        """What it is called: the annotator and the endpoint's host."""
        return f"{self.annotator.name} at {urlsplit(self._url).netloc}"

    @property
    def most_requests(self) -> int:
        """Requests in flight, of all processes together."""
        return self.annotator.max_in_flight

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine."""
        return is_loopback(urlsplit(self._url).hostname or "")

    @property
    def _url(self) -> str:
        return self.annotator.base_url or ""

    def environment(self) -> dict[str, str]:
        """Nothing: each process needs a key of its own."""
        return {}

    def check(self) -> None:
        """Raise if this process has not what it takes; asks nobody.

        Raises
        ------
        MissingExtra
            If ``aiohttp`` is not installed.
        Refused
            If the address is a plain one elsewhere, or there is no key.
        """
        try:
            import aiohttp  # noqa: F401
        except ImportError as error:
            raise MissingExtra(f"asking models needs {error.name}: pip install 'nutonic[llm]'") from None
        self.key()

    def sign_in(self) -> None:
        """Raise unless the endpoint lets this process in, by asking which models it has.

        Many servers keep no such list, or show it to few: of these a short request for a completion decides.

        Raises
        ------
        MissingExtra, Refused, Unreachable
            If it does not.
        """
        try:
            with Endpoints([self.annotator], patience=Patience(attempts=2)) as endpoints:
                models = endpoints.models(self.annotator)
        except (Refused, Unreachable) as error:
            if error.reason != "malformed" and (not str(error.reason).isdigit() or error.reason in _LATER):
                raise
            models = ()
            with Endpoints([self.annotator], patience=Patience(attempts=2)) as endpoints:  # the others asked no more
                endpoints.ask(self.annotator, first_request(self.annotator))
        if models and self.annotator.model not in models:
            told = inert(", ".join(sorted(models)[:5]))[:200]
            raise Refused(f"{self.service} has no model {self.annotator.model!r:.80}: it has {told}", reason="no model")

    def key(self) -> str | None:
        """The key of this process' environment; None on this machine where there is none.

        Raises
        ------
        Refused
            If the address is a plain one elsewhere, or there is no key.
        """
        if urlsplit(self._url).scheme != "https" and not self.is_here:
            raise Refused(
                f"{self.service}: captions and keys go over http to this machine alone; write https://",
                reason="plain http",
            )
        key = os.environ.get(self.annotator.key_variable, "").strip()
        if not key and not self.is_here:
            raise Refused(
                f"{self.service} needs a key: set {self.annotator.key_variable} in the environment", reason="no key"
            )
        return key or None


class _Fault(Exception):
    """An attempt that failed, and may not the next time."""

    def __init__(self, kind: str, pause_s: float | None = None) -> None:
        super().__init__(kind)
        self.kind, self.pause_s = kind, pause_s


class Endpoints:
    """The endpoints of some annotators, as this process asks them; safe in threads. To be closed."""

    def __init__(
        self,
        annotators: Iterable[Annotator],
        limits: EndpointLimits | None = None,
        *,
        patience: Patience | None = None,
    ) -> None:
        """Nothing is opened yet. `limits`: of this process; by default it is the only one."""
        self._endpoints = {each.name: Endpoint(annotator=each) for each in annotators if each.kind == "openai"}
        self.limits = limits or EndpointLimits.alone(each.annotator for each in self._endpoints.values())
        self._patience = patience or Patience()
        self.on_refrain: Callable[[str, float], None] | None = None
        """Told that an endpoint wants to be left alone: the annotator's name, and for how many seconds."""
        self._stopped = False
        self._gone: dict[str, NutonicError] = {}
        self._answered: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._loop: Loop | None = None
        self._clients: dict[str, Client] = {}
        self._end: Callable[[], object] = lambda: None

    def __enter__(self) -> Endpoints:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            end, self._loop, self._clients, self._end = self._end, None, {}, lambda: None
        end()

    def ask(self, annotator: Annotator, request: Json) -> Answer:
        """What a model answers to the body of a request; waits for a turn, and is patient.

        Where the endpoint takes other requests and never this one, as where it is too long, that is the answer: it has no
        text, and `finish_reason` is `REFUSED` with the status.

        Raises
        ------
        MissingExtra
            If ``aiohttp`` is not installed.
        Refused
            If the endpoint takes no request, or this process has no key.
        Unreachable
            If it did not answer in any attempt.
        """
        endpoint = self._endpoints[annotator.name]

        async def create(client: Client) -> Answer:
            return answer_of(await client.post("/chat/completions", request))

        try:
            answer = self._patiently(endpoint, create)
        except Refused as error:
            return self._refused(annotator, request, error)
        key = endpoint.key()
        if key is not None and key in answer.text:
            raise Refused(
                f"{endpoint.service} answered with this process' key: its answer is not kept", reason="tells keys"
            )
        return answer

    def _refused(self, annotator: Annotator, request: Json, error: Refused) -> Answer:
        """Of a request that was refused: whether it is of this one alone, as one in which nothing is wrong shows.

        Raises
        ------
        Refused
            If that is refused too: then nobody else is to ask.
        """
        if self._is_of_all(annotator.name, error):
            raise error

        async def ask(client: Client) -> Answer:
            return answer_of(await client.post("/chat/completions", harmless(request)))

        try:
            self._patiently(self._endpoints[annotator.name], ask)
        except Refused:
            self._give_up(annotator.name, error)
            raise error from None
        return Answer(text="", prompt_tokens=0, completion_tokens=0, finish_reason=f"{REFUSED}{error.reason}")

    def _is_of_all(self, name: str, error: Refused) -> bool:
        return error.reason in _OF_ALL or not str(error.reason).isdigit() or name in self._gone

    def models(self, annotator: Annotator) -> tuple[str, ...]:
        """Names of the models that an endpoint has; raises as :meth:`ask`."""

        async def models(client: Client) -> tuple[str, ...]:
            found = await client.get("/models")
            if not isinstance(found, dict) or not isinstance(found.get("data"), list):
                raise _Fault("malformed")
            return tuple(str(each.get("id")) for each in found["data"] if isinstance(each, dict))

        return self._patiently(self._endpoints[annotator.name], models, _MODELS)

    def stop(self) -> None:
        """Begin no other request; whoever asks from now on, or waits for a turn, is told by :class:`Stopped`."""
        self._stopped = True
        self.limits.end()

    @property
    def gone(self) -> NutonicError | None:
        """Why an endpoint is not asked any more, if one is not."""
        return next(iter(self._gone.values()), None)

    def _patiently(
        self, endpoint: Endpoint, what: Callable[[Client], Coroutine[Any, Any, _T]], asked_for: str = ""
    ) -> _T:
        """What an endpoint answers, in as many attempts as may be; `asked_for` is what, where it is no completion."""
        endpoint.check()
        name, most = endpoint.annotator.name, self._patience
        attempts, deferrals = 0, 0
        answered: list[int] = []
        while True:
            try:
                with self.limits.turn(name):
                    self._refuse_ended(name)
                    answer = self._attempt(endpoint, what, asked_for)
                    self._answered[name] += 1
                    return answer
            except Refused as error:
                if self._is_of_all(name, error):
                    self._give_up(name, error)
                raise
            except _Fault as fault:
                last = fault
            self.limits.fault(name, last.kind)
            is_deferral = last.pause_s is not None
            attempts, deferrals = attempts + (not is_deferral), deferrals + is_deferral
            answered.append(self._answered[name])
            if attempts >= most.attempts or deferrals > most.deferrals:
                break
            self._pause(endpoint, attempts, last)
        times = attempts + deferrals
        told = [f"did not {_answer_with(asked_for)} in {counted(attempts, 'attempt')}"] if attempts else []
        told += [f"asked {counted(deferrals, 'time')} to come back later"] if deferrals else []
        silent = Unreachable(
            f"{endpoint.service} {' and '.join(told)} (last: {last.kind}): run again when it answers",
            reason=last.kind,
        )
        if self._answered[name] == answered[times // 2 - 1]:  # nor did it answer anybody else for a while
            self._give_up(name, silent)
        raise silent

    def _refuse_ended(self, name: str) -> None:
        if self._stopped:
            raise Stopped("the build is to end")
        if name in self._gone:
            raise self._gone[name]

    def _give_up(self, name: str, error: NutonicError) -> None:
        """Ask an endpoint no more: nobody else waits in vain as long."""
        self._gone.setdefault(name, error)
        self.limits.end(name)

    def _pause(self, endpoint: Endpoint, attempt: int, fault: _Fault) -> None:
        """Wait after an attempt: as the endpoint says, and all others too; else at random, so that not all return at once.

        Raises
        ------
        Unreachable
            If it asks for a longer pause than its patience allows.
        """
        name, patience = endpoint.annotator.name, self._patience
        if fault.pause_s is not None and fault.pause_s > patience.longest_pause_s:
            error = Unreachable(
                f"{endpoint.service} asks to wait for {fault.pause_s:.0f} s, "
                f"longer than {patience.longest_pause_s:.0f}: run again later",
                reason=fault.kind,
            )
            self._give_up(name, error)
            raise error
        if fault.pause_s is not None:
            self.refrain(name, fault.pause_s)
            attempt = 0
        pause = patience.pause_s * 2.0 ** max(0, attempt - 1) * (0.5 + random.random())
        self.limits.sleep(name, min(pause, patience.longest_pause_s))

    def refrain(self, name: str, seconds: float) -> None:
        """Ask an endpoint for nothing in so many seconds, and tell whoever listens."""
        self.limits.refrain(name, seconds)
        if self.on_refrain is not None:
            self.on_refrain(name, seconds)

    def _attempt(self, endpoint: Endpoint, what: Callable[[Client], Coroutine[Any, Any, _T]], asked_for: str) -> _T:
        import aiohttp

        loop, client = self._client(endpoint)
        try:
            return loop.run(what(client), endpoint.annotator.timeout_s)
        except TimeoutError:
            failed: NutonicError | _Fault = _Fault("timed out")
        except BadStatus as error:
            failed = _of_status(endpoint, error, asked_for)
        except (ValueError, RecursionError):  # of an answer that is none, or no JSON
            failed = _Fault("malformed")
        except (aiohttp.ClientError, OSError):
            failed = _Fault("dropped")
        raise failed  # not above: what went wrong would hang on to it, and with it the endpoint's own words

    def _client(self, endpoint: Endpoint) -> tuple[Loop, Client]:
        with self._lock:
            if self._loop is None:
                self._loop = Loop()
                self._end = weakref.finalize(self, _closed, self._loop, self._clients)  # at the end of the process too
            name = endpoint.annotator.name
            if name not in self._clients:
                self._clients[name] = _client_of(endpoint)
            return self._loop, self._clients[name]


def _closed(loop: Loop, clients: Mapping[str, Client]) -> None:
    loop.close([client.close for client in clients.values()])


def _client_of(endpoint: Endpoint) -> Client:
    url = endpoint.annotator.base_url or ""
    at_home = (urlsplit(url).hostname or "").endswith(".openai.com")
    return Client(url, endpoint.key(), is_here=endpoint.is_here, is_at_home=at_home)


def _answer_with(asked_for: str) -> str:
    """That something is answered: what, where it is no completion, so that nobody looks for the fault in captions."""
    return f"answer with {asked_for}" if asked_for else "answer"


def _of_status(endpoint: Endpoint, error: BadStatus, asked_for: str) -> NutonicError | _Fault:
    """What a status other than 200 means. What the endpoint says itself is told where it has nothing to do with keys."""
    status, code = error.status, str(error.error.get("code") or error.error.get("type") or "")
    told = f"{status}, {code}" if _CODE.fullmatch(code) else str(status)
    if (status == 429 and "insufficient_quota" not in code) or status == 503:
        return _Fault(str(status), retry_after(error.headers))
    if status in (408, 409) or (status >= 500 and status != 501):
        return _Fault(str(status))
    advice = {
        401: f"look at {endpoint.annotator.key_variable}",
        403: f"look at {endpoint.annotator.key_variable}",
        404: "look at base_url and model",
        429: "look at the account's credit",
        501: "look at base_url and model",
    }
    what = advice.get(status, "look at model and what it can take")
    said = "" if str(status) in _OF_ALL else _said(endpoint, error.error.get("message"))
    refuses = f"refuses to {_answer_with(asked_for)}" if asked_for else "refuses"
    return Refused(f"{endpoint.service} {refuses} ({told}): {what}{said}", reason=str(status))


def _said(endpoint: Endpoint, message: object) -> str:
    """What an endpoint says, on one line, short and without keys; nothing where it holds this process' own."""
    key = endpoint.key()
    if not isinstance(message, str) or (key is not None and key in message):
        return ""
    told = re.sub(r"[\w-]*\d[\w-]{19,}|[\w-]{20,}\d[\w-]*", "***", redact(inert(" ".join(message.split()))))
    return f" (it says: {told[:_TOLD]})" if told else ""


def answer_of(body: Any) -> Answer:
    """What is of use in the body of a completion.

    Raises
    ------
    BadAnswer
        If it is none.
    """
    try:
        choice = body["choices"][0]
        message = choice["message"]
        text = message.get("content") or message.get("refusal") or ""
        finish, usage = choice.get("finish_reason") or "stop", body.get("usage") or {}
        counts = [usage.get(name) or 0 for name in ("prompt_tokens", "completion_tokens")]
    except (LookupError, TypeError, AttributeError):
        raise BadAnswer("an answer is no completion") from None
    if not all(isinstance(each, str) for each in (text, finish)) or not all(type(each) is int for each in counts):
        raise BadAnswer("an answer is no completion")
    plain = text.encode("utf-8", "replace").decode()  # halves of characters are none
    return Answer(text=plain, prompt_tokens=counts[0], completion_tokens=counts[1], finish_reason=finish[:40])
