"""The file that starts each trainer on a pack: its own keys, our splits, no split of its own making.

Paths are relative: to the file itself where a trainer reads them so, to the folder that the command is run in elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import yaml

from nutonic.core.model import Json, Split
from nutonic.dataset.packs.boxes import BoxForm

#: A model that learnt to write boxes so, to begin with; what LLaMA-Factory calls its template.
_MODELS: dict[str, tuple[str, str]] = {
    "unit": ("LiquidAI/LFM2-VL-1.6B", "lfm2_vl"),
    "qwen3": ("Qwen/Qwen3-VL-4B-Instruct", "qwen3_vl_nothink"),
    "qwen2.5": ("Qwen/Qwen2.5-VL-3B-Instruct", "qwen2_vl"),
    "glm": ("zai-org/GLM-4.1V-9B-Thinking", "glm4v"),
    "internvl": ("OpenGVLab/InternVL3-2B-hf", "intern_vl"),
    "paligemma": ("google/paligemma2-3b-pt-224", "paligemma"),
    "florence2": ("microsoft/Florence-2-large", "default"),
    "geochat": ("MBZUAI/geochat-7B", "llava"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a trainer starts on."""

    name: str
    """Of the dataset: letters, digits and ``_``."""
    splits: tuple[Split, ...]
    boxes: BoxForm
    benchmarks: tuple[Json, ...] = ()
    """leap-finetune's, of validation rows."""

    @property
    def validated(self) -> bool:
        """Whether there are rows to validate on."""
        return "validation" in self.splits


def model_for(boxes: BoxForm) -> str:
    """A model to begin with."""
    return _MODELS[boxes.name][0]


def _yaml(comment: str, content: Json) -> str:
    head = "".join(f"# {line}\n" for line in comment.splitlines())
    return head + yaml.safe_dump(content, sort_keys=False, width=120)


def leap(start: Start) -> dict[str, str]:
    """leap-finetune's job; its `test_size` is null, since it would split the training rows by chance otherwise."""
    validated = {"val_path": "./data/validation.jsonl"} if start.validated else {}
    benchmarks = list(start.benchmarks)
    content: Json = {
        "project_name": start.name,
        "model_name": "LFM2-VL-1.6B",
        "training_type": "vlm_sft",
        "dataset": {
            "train_path": "./data/train.jsonl",
            **validated,
            "type": "vlm_sft",
            "test_size": None,
            "image_root": ".",
        },
        "training_config": {
            "extends": "DEFAULT_VLM_SFT",
            **({"eval_strategy": "steps", "eval_steps": 500} if validated else {"eval_strategy": "no"}),
        },
        "peft_config": {"extends": "DEFAULT_VLM_LORA", "use_peft": True},
    }
    if benchmarks and validated:
        content["evals"] = {"image_root": ".", "max_new_tokens": 512, "benchmarks": benchmarks}
    return {"leap.yaml": _yaml("uv run leap-finetune leap.yaml\nPaths are relative to this file.", content)}


def llama_factory(start: Start) -> dict[str, str]:
    """`dataset_info.json`, and a job that names its datasets."""
    import json

    name, (model, template) = start.name, _MODELS[start.boxes.name]
    info = {
        f"{name}_{split}": {
            "file_name": f"data/{split}.jsonl",
            "formatting": "sharegpt",
            "columns": {"messages": "messages", "images": "images"},
            "tags": {
                "role_tag": "role",
                "content_tag": "content",
                "user_tag": "user",
                "assistant_tag": "assistant",
            },
        }
        for split in start.splits
    }
    validated = (
        {"eval_dataset": f"{name}_validation", "eval_strategy": "steps", "eval_steps": 500} if start.validated else {}
    )
    content = {
        "model_name_or_path": model,
        "template": template,
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "lora_rank": 8,
        "lora_target": "all",
        "dataset_dir": ".",
        "media_dir": ".",
        "dataset": f"{name}_train",
        **validated,
        "cutoff_len": 4096,
        "output_dir": "out",
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 8,
        "learning_rate": 1.0e-4,
        "num_train_epochs": 1.0,
        "bf16": True,
    }
    return {
        "dataset_info.json": json.dumps(info, indent=2) + "\n",
        "llama_factory.yaml": _yaml("llamafactory-cli train llama_factory.yaml\nRun it in this folder.", content),
    }


def axolotl(start: Start) -> dict[str, str]:
    """Axolotl's job; no packing, no preparation: both lose pictures."""

    def dataset(split: Split) -> Json:
        return {
            "path": f"data/{split}.jsonl",
            "ds_type": "json",
            "split": "train",
            "type": "chat_template",
            "field_messages": "messages",
        }

    tested = {"test_datasets": [dataset("validation")], "eval_steps": 500} if start.validated else {}
    content = {
        "base_model": model_for(start.boxes),
        "processor_type": "AutoProcessor",
        "skip_prepare_dataset": True,
        "remove_unused_columns": False,
        "sample_packing": False,
        "datasets": [dataset("train")],
        **tested,
        "sequence_len": 4096,
        "adapter": "lora",
        "lora_r": 16,
        "lora_alpha": 32,
        "lora_target_linear": True,
        "micro_batch_size": 1,
        "gradient_accumulation_steps": 8,
        "num_epochs": 1,
        "learning_rate": 0.0001,
        "bf16": True,
        "output_dir": "./out",
    }
    return {"axolotl.yaml": _yaml("axolotl train axolotl.yaml\nRun it in this folder.", content)}


def swift(start: Start) -> dict[str, str]:
    """A script, since ms-swift is given pictures' folder by its environment."""
    tested = " \\\n  --val_dataset data/validation.jsonl" if start.validated else ""
    model = "Qwen/Qwen3-VL-4B-Instruct" if start.boxes.name == "unit" else model_for(start.boxes)
    text = f"""#!/bin/sh
# Run it in this folder. --split_dataset_ratio 0: the splits are made already.
ROOT_IMAGE_DIR=. swift sft \\
  --model {model} --use_hf true \\
  --dataset data/train.jsonl{tested} \\
  --split_dataset_ratio 0 \\
  --max_length 4096 --truncation_strategy raise \\
  --output_dir out
"""
    return {"swift.sh": text}


def qwen(start: Start) -> dict[str, str]:
    """What `qwenvl/data/__init__.py` is to know, and the arguments of the script."""
    name = start.name
    sets = ",\n".join(
        f'    "{name}_{split}": {{"annotation_path": str(HERE / "data" / "{split}.jsonl"), "data_path": str(HERE)}}'
        for split in start.splits
    )
    text = f'''"""This dataset, for Qwen's fine-tuning scripts.

With this folder on PYTHONPATH, put these two lines at the end of their qwenvl/data/__init__.py:

    from qwen_data import SETS
    data_dict |= SETS

and train with --dataset_use {name}_train --model_name_or_path {model_for(start.boxes)} --data_packing False
"""

from pathlib import Path

HERE = Path(__file__).resolve().parent

SETS = {{
{sets},
}}
'''
    return {"qwen_data.py": text}


def trl(start: Start) -> dict[str, str]:
    """TRL's own command on the Parquet files of this folder."""
    content = {
        "model_name_or_path": model_for(start.boxes),
        "dataset_name": ".",
        "dataset_train_split": "train",
        **(
            {"dataset_test_split": "validation", "eval_strategy": "steps", "eval_steps": 500}
            if start.validated
            else {"eval_strategy": "no"}
        ),
        "max_length": None,
        "packing": False,
        "use_peft": True,
        "lora_target_modules": "all-linear",
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 8,
        "learning_rate": 1.0e-4,
        "num_train_epochs": 1,
        "output_dir": "out",
    }
    comment = (
        "trl sft --config trl.yaml\nRun it in this folder. max_length: null, since a cut would take pictures away."
    )
    return {"trl.yaml": _yaml(comment, content)}


def unsloth(start: Start) -> dict[str, str]:
    """A script, since Unsloth has no command."""
    test = 'eval_dataset=dataset["validation"],\n    ' if start.validated else ""
    text = f'''"""Fine-tunes a model on this folder with Unsloth: python train.py, run here."""

from unsloth import FastVisionModel  # before the others
from datasets import load_dataset
from trl import SFTConfig, SFTTrainer
from unsloth.trainer import UnslothVisionDataCollator

model, processor = FastVisionModel.from_pretrained("{model_for(start.boxes)}", load_in_4bit=True)
model = FastVisionModel.get_peft_model(model, r=16, lora_alpha=16)
FastVisionModel.for_training(model)
dataset = load_dataset(".")
trainer = SFTTrainer(
    model=model,
    train_dataset=dataset["train"],
    {test}processing_class=processor.tokenizer,
    data_collator=UnslothVisionDataCollator(model, processor, resize="max"),
    args=SFTConfig(
        output_dir="out",
        per_device_train_batch_size=2,
        gradient_accumulation_steps=4,
        num_train_epochs=1,
        learning_rate=1e-4,
        remove_unused_columns=False,
        dataset_text_field="",
        dataset_kwargs={{"skip_prepare_dataset": True}},
        max_length=4096,
    ),
)
trainer.train()
'''
    return {"train.py": text}
