"""What captions will take: requests, tokens and money, before anybody is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nutonic.core.model import Json
from nutonic.recipe.annotation import Annotator, Captions

#: Tokens of a word of plain English with its punctuation: what tokenizers of 2024 and later need (1.25 to 1.4).
TOKENS_A_WORD = 1.35

#: Words of the prompts that come with nutonic, facts included, without the caption that a revision is made of.
PROMPT_WORDS = {1: 240, 2: 240, 3: 140}

#: Tokens of a picture of 448 pixels a side: 256 (patches of 28 pixels) to 425 (tiles of 512), by the model.
PICTURE_TOKENS = 425

#: Answers for each caption that is let through: the share that a gate turned away was 0.4 % in RSTeller, whose gate looked
#: at form alone; of models of 12 billion parameters and more we take one in ten.
ANSWERS_A_CAPTION = 1.1

#: A batch API takes half the price of the same request at once.
BATCH_PRICE = 0.5


#: Bytes of English text for each token, at least; typical are more than four.
_LEAST_BYTES_A_TOKEN = 2

#: Tokens of a picture, at most: some models take one of 448 pixels for four tiles.
_MOST_PICTURE_TOKENS = 1500


def price(annotator: Annotator, prompt_tokens: int, answer_tokens: int) -> float:
    """What an answer costs, in the unit of the recipe's prices; by file half of it."""
    whole = prompt_tokens * annotator.input_price + answer_tokens * annotator.output_price
    return whole / 1e6 * (BATCH_PRICE if annotator.mode == "batch" else 1.0)


def most_price(annotator: Annotator, request: Json) -> float:
    """The most that an answer to a request can cost if it is asked for now; nothing where it is to come by file."""
    if annotator.mode == "batch":
        return 0.0
    contents = [message["content"] for message in request["messages"]]
    parts = [part for each in contents for part in ([each] if isinstance(each, str) else each)]
    texts = [part if isinstance(part, str) else part.get("text", "") for part in parts]
    pictures = sum(isinstance(part, dict) and "image_url" in part for part in parts)
    tokens = sum(len(text.encode()) for text in texts) // _LEAST_BYTES_A_TOKEN + pictures * _MOST_PICTURE_TOKENS
    return price(annotator, tokens, annotator.max_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Captioning:
    """What captions of some annotators will take; an estimate."""

    requests: int
    """Of models; templates need none."""
    prompt_tokens: int
    answer_tokens: int
    money: float
    """In the unit of the recipe's prices."""
    by_annotator: tuple[tuple[str, int, int, int, float], ...] = ()
    """Name, requests, tokens of requests, tokens of answers and money, in the recipe's order."""

    def as_json(self) -> Json:
        """As a plan tells it."""
        return {
            "requests": self.requests,
            "input_tokens": self.prompt_tokens,
            "output_tokens": self.answer_tokens,
            "money": round(self.money, 2),
        }


def estimate(tasks: Mapping[int, int], annotators: Sequence[Annotator], captions: Captions | None = None) -> Captioning:
    """What captions will take, if nothing is kept yet.

    Captions are dealt out by weight; an answer has as many words as the middle of what is asked for; the rest is assumed by
    the constants of this module.

    Parameters
    ----------
    tasks
        How many captions of each task (1, 2, 3) there will be.
    annotators
        Who writes them.
    captions
        How long they are.
    """
    asked, whole = captions or Captions(), sum(each.weight for each in annotators)
    found = [_of(tasks, each, each.weight / whole, asked) for each in annotators]
    return Captioning(
        requests=sum(each[1] for each in found),
        prompt_tokens=sum(each[2] for each in found),
        answer_tokens=sum(each[3] for each in found),
        money=sum(each[4] for each in found),
        by_annotator=tuple(found),
    )


def _of(
    tasks: Mapping[int, int], annotator: Annotator, share: float, captions: Captions
) -> tuple[str, int, int, int, float]:
    if annotator.kind == "template":
        return annotator.name, 0, 0, 0, 0.0
    words = captions.words
    means = {1: sum(words.area) / 2, 2: sum(words.line) / 2, 3: sum(words.revision) / 2}
    before = max(means[1], means[2])
    picture = PICTURE_TOKENS if annotator.picture else 0
    requests = prompt = answer = 0.0
    for task, count in tasks.items():
        answers = count * share * ANSWERS_A_CAPTION
        told = PROMPT_WORDS[task] + (before if task == 3 else 0)
        requests += answers
        prompt += answers * (told * TOKENS_A_WORD + picture)
        answer += answers * min(means[task] * TOKENS_A_WORD, annotator.max_tokens)
    money = price(annotator, round(prompt), round(answer))
    return annotator.name, round(requests), round(prompt), round(answer), money
