"""Write a small Qwen2 with random weights and a tokenizer of bytes: `python make_transformers_model.py FOLDER SCRIPT`.

SCRIPT is a text that the model says whenever it is asked: each of its tokens leads to the next. Where it is empty, the
model says what its random weights give. It runs where `transformers` and `torch` are installed.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

#: ChatML, and Qwen's description of tools.
TEMPLATE = (
    "{% if tools %}<|im_start|>system\n<tools>{% for tool in tools %}{{ tool | tojson }}{% endfor %}</tools>"
    "<|im_end|>\n"
    "{% endif %}{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
#: What calls are marked with; each is a token.
MARKS = ["<tool_call>", "</tool_call>"]


def make_tokenizer(script: str) -> Any:
    """Return a tokenizer of single bytes, and of the parts of the script."""
    tokenizers, transformers = import_module("tokenizers"), import_module("transformers")
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    model = tokenizers.models.BPE(vocab={letter: number for number, letter in enumerate(alphabet)}, merges=[])
    inner = tokenizers.Tokenizer(model)
    inner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = tokenizers.decoders.ByteLevel()
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner,
        eos_token="<|im_end|>",  # noqa: S106 - no password
        pad_token="<|endoftext|>",  # noqa: S106
        additional_special_tokens=SPECIAL,
    )
    made.add_tokens(MARKS)
    made.add_tokens([part for part in script.split("|") if len(part) > 1 and part not in MARKS])
    made.chat_template = TEMPLATE
    return made


def make(folder: Path, script: str) -> None:
    """Write model and tokenizer."""
    torch, transformers = import_module("torch"), import_module("transformers")
    tokenizer = make_tokenizer(script)
    torch.manual_seed(1)
    size = 1 << (len(tokenizer) - 1).bit_length()
    config = transformers.Qwen2Config(
        vocab_size=size, hidden_size=size, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=2048, tie_word_embeddings=False,
        eos_token_id=tokenizer.convert_tokens_to_ids("<|im_end|>"), bos_token_id=None,
        pad_token_id=tokenizer.convert_tokens_to_ids("<|endoftext|>"),
    )  # fmt: skip
    model = transformers.Qwen2ForCausalLM(config)
    if script:
        say(model, tokenizer, script)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "generation_config.json").write_text(
        json.dumps({"do_sample": not script, "eos_token_id": config.eos_token_id, "pad_token_id": config.pad_token_id})
    )


def say(model: Any, tokenizer: Any, script: str) -> None:
    """Set the weights so that each token of the script leads to the next, and the last to the end.

    A token must therefore not come twice. The parts of the script, between bars, are tokens.
    """
    torch = import_module("torch")
    parts = [tokenizer.convert_tokens_to_ids(part) for part in script.split("|")]
    newline = tokenizer("\n")["input_ids"][-1]  # what the prompt ends with
    chain = [newline, *parts, tokenizer.convert_tokens_to_ids("<|im_end|>")]
    if len(set(chain)) != len(chain) or None in chain:
        raise SystemExit(f"a part comes twice, or is no token: {chain}")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.fill_(1)
        model.model.embed_tokens.weight.copy_(torch.eye(model.config.vocab_size))
        for one, following in pairwise(chain):
            model.lm_head.weight[following, one] = 10


if __name__ == "__main__":
    make(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")
