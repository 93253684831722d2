import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_checkpoints import byte_level_tokenizer, write_checkpoint

from headrace.engines.tiny.checkpoint import InvalidCheckpoint
from headrace.engines.tiny.engine import CHECKPOINT
from headrace.engines.transformers.checkpoint import load
from headrace.engines.transformers.source import Source


def change(file: Path, **values: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def refused(source: Source) -> str:
    with pytest.raises(InvalidCheckpoint) as caught:
        load(source)
    return str(caught.value)


def test_the_built_in_checkpoint_is_an_ordinary_one() -> None:
    checkpoint = load(Source(str(CHECKPOINT)))
    assert (checkpoint.context, checkpoint.end_tokens, checkpoint.vocabulary) == (1024, frozenset({2}), 2048)
    assert (checkpoint.model.dtype, checkpoint.model.device.type, checkpoint.model.training) == (
        torch.float32,
        "cpu",
        False,
    )


def test_weights_may_have_another_type() -> None:
    assert load(Source(str(CHECKPOINT), dtype="bfloat16")).model.dtype == torch.bfloat16


def test_reading_a_folder_writes_nothing_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    load(Source(str(CHECKPOINT)))
    assert capfd.readouterr() == ("", "")


def test_a_path_without_a_folder_is_told_at_once() -> None:
    assert refused(Source("/nowhere/poet")) == (
        "there is no folder /nowhere/poet; give the one that has config.json and *.safetensors"
    )


def test_a_name_that_is_nowhere_says_what_to_do() -> None:
    told = refused(Source("nobody/nothing"))
    assert told.startswith("there is no folder nobody/nothing, and the model hub gives no model of this name; give a")


def test_an_empty_folder_is_no_checkpoint(tmp_path: Path) -> None:
    assert refused(Source(str(tmp_path))).startswith(f"the checkpoint in {tmp_path} cannot be loaded: ")


def test_pickled_weights_are_not_read(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path)
    weights = folder / "model.safetensors"
    torch.save({"any": torch.zeros(1)}, folder / "pytorch_model.bin")
    weights.unlink()
    assert "safetensors" in refused(Source(str(folder)))


def test_weights_that_were_cut_are_refused(tmp_path: Path) -> None:
    weights = write_checkpoint(tmp_path) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert "cannot be loaded" in refused(Source(str(tmp_path)))


def test_a_model_without_some_of_its_weights_is_refused(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path)
    change(folder / "config.json", num_hidden_layers=3)
    assert "no weights for model.layers.2." in refused(Source(str(folder)))


def test_weights_of_other_sizes_are_refused(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path)
    change(folder / "config.json", intermediate_size=100)
    assert "cannot be loaded" in refused(Source(str(folder)))


def test_a_model_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path)
    change(folder / "config.json", model_type="poet")
    assert "poet" in refused(Source(str(folder)))


def test_a_model_that_writes_nothing_is_refused(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path)
    change(folder / "config.json", model_type="clip", architectures=["CLIPModel"])
    assert "cannot be loaded" in refused(Source(str(folder)))


def test_a_device_that_is_not_there_is_refused() -> None:
    assert "there is no device cuda:7; torch sees " in refused(Source(str(CHECKPOINT), device="cuda:7"))


def test_a_kind_of_device_that_there_is_none_of_is_refused() -> None:
    assert "cannot be loaded" in refused(Source(str(CHECKPOINT), device="abacus"))


def test_a_type_of_numbers_that_there_is_none_of_is_refused() -> None:
    assert "cannot be loaded" in refused(Source(str(CHECKPOINT), dtype="float17"))


CODE = (
    "from pathlib import Path\nPath(__file__).with_name('ran').touch()\nfrom transformers import LlamaConfig as Own\n"
)


def with_code(folder: Path) -> Path:
    write_checkpoint(folder)
    (folder / "own.py").write_text(CODE)
    change(folder / "config.json", model_type="own", auto_map={"AutoConfig": "own.Own"})
    return folder


def test_code_of_a_checkpoint_does_not_run(tmp_path: Path) -> None:
    assert "trust_remote_code=True" in refused(Source(str(with_code(tmp_path))))
    assert not list(tmp_path.rglob("ran"))


def test_all_ends_that_a_checkpoint_names_are_ends(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path)
    change(folder / "generation_config.json", eos_token_id=[1, 7, 9])
    change(folder / "config.json", eos_token_id=[1, 11])
    assert load(Source(str(folder))).end_tokens == frozenset({1, 7, 9, 11})


def test_a_checkpoint_may_have_no_end(tmp_path: Path) -> None:
    tokenizer = byte_level_tokenizer()
    tokenizer.eos_token = None
    folder = write_checkpoint(tmp_path, tokenizer, eos_token_id=None)
    assert load(Source(str(folder))).end_tokens == frozenset()


@pytest.mark.parametrize(
    ("family", "changes", "context"),
    [
        ("llama", {"max_position_embeddings": 96}, 96),
        ("gpt2", {"n_positions": 77}, 77),
        ("opt", {"max_position_embeddings": 55}, 55),
        ("bloom", {"seq_length": 44}, 44),
        ("mamba", {}, 512),  # what the tokenizer says
    ],
)
def test_the_context_is_what_the_model_reads(
    tmp_path: Path, family: str, changes: dict[str, int], context: int
) -> None:
    folder = write_checkpoint(tmp_path, family=family, **changes)
    assert load(Source(str(folder))).context == context


def test_a_model_may_have_no_bound(tmp_path: Path) -> None:
    tokenizer = byte_level_tokenizer()
    tokenizer.model_max_length = int(1e30)
    assert load(Source(str(write_checkpoint(tmp_path, tokenizer, "mamba")))).context is None


def test_a_model_may_have_more_tokens_than_its_tokenizer(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, vocab_size=512)
    assert load(Source(str(folder))).vocabulary == 512
