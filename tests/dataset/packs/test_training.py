"""A step of training by the real trainer, on a tiny model with random weights: what the batch holds is what the tree holds.

Of a form whose trainer would lose pictures without a word, files look right; so what is asserted on is the batch. It needs
torch, transformers and trl, which nutonic does not: `pip install torch transformers trl accelerate`.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nutonic as nt

#: Warnings are of the libraries, not of ours.
pytestmark = [pytest.mark.exhaustive, pytest.mark.filterwarnings("ignore")]

#: A chat template in the manner of those of real models: a picture where a part says so, the text of all others.
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' or 'image' in part %}<image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
#: Of the tree's pictures, so that nothing is resampled, and each library's pixels are the file's.
SIDE, PATCH = 40, 20


def processor_of(words: list[str]):
    """A tokenizer of letters, and pictures in four patches."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import CLIPImageProcessor, LlavaProcessor, PreTrainedTokenizerFast

    special = ["<pad>", "<unk>", "<image>", "<|user|>", "<|assistant|>", "<|end|>"]
    letters = sorted({letter for word in words for letter in word})
    vocabulary = {token: number for number, token in enumerate([*special, *letters])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.add_special_tokens(special)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token="<|end|>",
        extra_special_tokens={"image_token": "<image>"},
    )
    pictures = CLIPImageProcessor(
        size={"height": SIDE, "width": SIDE},
        do_center_crop=False,
        image_mean=[0.0] * 3,
        image_std=[1.0] * 3,
        resample=0,
    )
    return LlavaProcessor(
        image_processor=pictures, tokenizer=fast, patch_size=PATCH, vision_feature_select_strategy="full",
        num_additional_image_tokens=1, chat_template=TEMPLATE,
    )  # fmt: skip


def model_of(processor):
    """Two layers of sixteen numbers, at random."""
    import torch
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    return LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config=CLIPVisionConfig(**sizes, image_size=SIDE, patch_size=PATCH, projection_dim=16),
            text_config=LlamaConfig(**sizes, vocab_size=len(processor.tokenizer), max_position_embeddings=8192),
            image_token_index=processor.tokenizer.convert_tokens_to_ids("<image>"),
            vision_feature_select_strategy="full",
            vision_feature_layer=-1,
        )
    )


def right_rows(out: Path, split: str) -> list[dict]:
    return [json.loads(line) for line in (out / "data" / f"{split}.jsonl").read_bytes().splitlines()]


def test_trl_trains_on_pictures_and_answers_of_the_tree(few, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    trl = pytest.importorskip("trl")
    from datasets import load_dataset

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert nt.pack(few.out, tmp_path / "pack", workers=0).complete
    rows = load_dataset(str(tmp_path / "pack"), cache_dir=str(tmp_path / "cache"))["train"]
    right = {row["id"]: row for row in right_rows(few.out, "train")}
    every = [
        part["text"]
        for row in right.values()
        for m in row["messages"]
        for part in m["content"]
        if part["type"] == "text"
    ]
    processor = processor_of(every)
    seen: list[dict] = []

    class Watching(trl.SFTTrainer):
        def compute_loss(self, model, inputs, *args, **kwargs):
            seen.append({name: value.clone() for name, value in inputs.items() if hasattr(value, "clone")})
            return super().compute_loss(model, inputs, *args, **kwargs)

    settings = trl.SFTConfig(
        output_dir=str(tmp_path / "out"), per_device_train_batch_size=4, max_steps=3, use_cpu=True, report_to=[],
        max_length=None, assistant_only_loss=False, learning_rate=1e-3, save_strategy="no", shuffle_dataset=False,
    )  # fmt: skip
    trainer = Watching(model=model_of(processor), args=settings, train_dataset=rows, processing_class=processor)
    losses = trainer.train()
    assert np.isfinite(losses.training_loss)
    assert len(seen) == 3
    pictures = {row["id"]: right_picture(few.out, row) for row in right.values()}
    whole = {}
    for name, row in right.items():
        user, assistant = row["messages"]
        whole[user["content"][-1]["text"], assistant["content"][0]["text"]] = name
    for batch in seen:
        assert batch["pixel_values"].shape[1:] == (3, SIDE, SIDE)
        assert len(batch["pixel_values"]) == len(batch["input_ids"]) == 4
        for tokens, labels, pixels in zip(batch["input_ids"], batch["labels"], batch["pixel_values"], strict=True):
            said = "".join(
                processor.tokenizer.convert_ids_to_tokens(tokens[tokens != processor.tokenizer.pad_token_id])
            )
            assert said.count("<image>") == (SIDE // PATCH) ** 2 + 1  # and one of the whole
            asked, answer = (
                said.split("<|user|>")[1].split("<|end|>")[0],
                said.split("<|assistant|>")[1].split("<|end|>")[0],
            )
            asked = asked.replace("<image>", "")
            name = whole[asked, answer]
            learnt = "".join(processor.tokenizer.convert_ids_to_tokens(labels[labels != -100]))
            assert answer in learnt
            assert np.abs(pixels.numpy() - pictures[name]).max() < 1e-6
    print(f"{len(seen)} batches of 4; keys {sorted(seen[0])}; loss {losses.training_loss:.3f}")


def right_picture(out: Path, row: dict) -> np.ndarray:
    """The first picture of a row as the model is to see it: (3, 40, 40) float, 0 to 1."""
    path = next(part["image"] for part in row["messages"][0]["content"] if part["type"] == "image")
    picture = np.asarray(Image.open(out / path).convert("RGB"))
    assert picture.shape == (SIDE, SIDE, 3)
    return picture.transpose(2, 0, 1) / 255
