import numpy as np
import pytest
from llama import SMALL, small_tensors

from headrace.engines.tiny.checkpoint import InvalidCheckpoint
from headrace.engines.tiny.model import Llama


def test_matrices_lie_as_they_are_multiplied() -> None:
    model = Llama(SMALL, small_tensors())
    assert (model.embedding.shape, model.output.shape, model.turn.shape) == ((3, 4), (4, 3), (4, 1, 1))
    (layer,) = model.layers
    assert [each.shape for each in (layer.attention_in, layer.attention_out)] == [(4, 8), (4, 4)]
    assert [each.shape for each in (layer.inner_in, layer.inner_out)] == [(4, 4), (2, 4)]


def test_the_norms_weights_are_part_of_the_matrices_that_read_them() -> None:
    weights = np.array([1, 2, 3, 4], np.float32)
    model = Llama(SMALL, {**small_tensors(), "model.layers.0.input_layernorm.weight": weights})
    assert model.layers[0].attention_in[:, -1].tolist() == [1, 2, 3, 4]


def test_an_output_matrix_of_its_own_is_used() -> None:
    output = np.array([[1, 1, 1, 1], [2, 2, 2, 2], [0, 0, 0, 0]], np.float32)
    tied = Llama(SMALL, small_tensors())
    untied = Llama(SMALL, {**small_tensors(), "lm_head.weight": output})
    assert tied.output.tolist() == [[1, 1, 1]] * 4
    assert untied.output.tolist() == [[1, 2, 0]] * 4


def test_a_missing_tensor_is_named() -> None:
    tensors = small_tensors()
    del tensors["model.layers.0.mlp.up_proj.weight"]
    with pytest.raises(InvalidCheckpoint, match=r"no tensor 'model\.layers\.0\.mlp\.up_proj\.weight'"):
        Llama(SMALL, tensors)


def test_a_tensor_of_another_shape_is_refused() -> None:
    tensors = {**small_tensors(), "model.norm.weight": np.ones(5, np.float32)}
    with pytest.raises(
        InvalidCheckpoint, match=r"'model\.norm\.weight' has shape \(5,\); config\.json asks for \(4,\)"
    ):
        Llama(SMALL, tensors)
