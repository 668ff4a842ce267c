"""The recipe on made-up features, the net's graph rules, and calibration and figures by hand."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the [train] extra")
pytest.importorskip("sklearn", reason="training needs the [train] extra")
pytest.importorskip("scipy", reason="training needs the [train] extra")

from torch import nn  # noqa: E402

from scenecheck.evaluation import metrics  # noqa: E402
from scenecheck.preprocess import TILE_SIZE  # noqa: E402
from training import train  # noqa: E402
from training.calibrate import temperature  # noqa: E402
from training.net import Net, SameConv, Tail, Trunk  # noqa: E402
from training.prepare import FEATURE_SHAPE  # noqa: E402


@pytest.fixture(scope="module")
def tail() -> Tail:
    torch.manual_seed(0)
    return Tail().eval()


def _features(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Trunk features ``float16 [n, 192, 8, 15]`` of two classes that differ in one channel."""
    rng = np.random.default_rng(0)
    label = np.arange(n) % 2
    x = rng.normal(0, 1, (n, *FEATURE_SHAPE)).astype(np.float32)
    x[:, :20] += 2.0 * label[:, None, None, None]
    return x.astype(np.float16), label


def test_net_when_a_tile_comes_in_then_shapes_and_map_agree_with_the_logits() -> None:
    torch.manual_seed(0)
    net = Net(Trunk(), Tail()).eval()
    batch = torch.randint(0, 256, (3, 3, *TILE_SIZE), dtype=torch.uint8)
    with torch.no_grad():
        logits, embedding, cam = net(batch)
        alone = net(batch[1:2])[0]
    assert logits.shape == (3, 2)
    assert embedding.shape == (3, 1280)
    assert cam.shape == (3, 2, 8, 15)
    assert torch.allclose(cam.mean((2, 3)) + net.tail.head.bias, logits, atol=1e-4)
    assert torch.allclose(alone[0], logits[1], atol=1e-4)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize(("size", "is_odd"), [(240, False), (60, False), (15, True)])
def test_same_conv_when_strided_then_pads_as_in_training_at_any_size(
    kernel: int, size: int, is_odd: bool
) -> None:
    """At the trained size it is TensorFlow's "same"; at another, each output still looks at the same places."""
    conv = SameConv(1, 1, kernel, stride=2, is_odd=is_odd)
    x = torch.randn(1, 1, size, size)
    pad = max((-(-size // 2) - 1) * 2 + kernel - size, 0)
    same = nn.functional.conv2d(nn.functional.pad(x, [pad // 2, pad - pad // 2] * 2), conv.weight, None, 2)
    assert torch.equal(conv(x), same)
    longer = nn.functional.pad(x, [0, 15, 0, 15])
    inside = (size - kernel) // 2
    assert torch.equal(conv(longer)[..., :inside, :inside], same[..., :inside, :inside])


def test_probed_when_embeddings_are_separable_then_separates_them(tail: Tail) -> None:
    features, label = _features(48)
    embedding = train.run(tail, features)[1]
    probe = train.probed(tail, embedding, label, np.ones(48, np.float32), 1.0)
    assert (((train.run(probe, features)[0]) > 0) == label).mean() > 0.9
    assert (tail.head.weight != probe.head.weight).any()


def test_fine_tuned_when_run_twice_then_is_the_same_and_rows_of_weight_0_do_not_matter(tail: Tail) -> None:
    features, label = _features(32)
    weight = np.r_[np.ones(24), np.zeros(8)].astype(np.float32)
    config = train.Config(steps=3, batch=8, warm_up=1)
    first = train.fine_tuned(tail, [features], label, weight, config, seed=1)
    spoiled = features.copy()
    spoiled[24:] = 7
    second = train.fine_tuned(tail, [spoiled], label, weight, config, seed=1)
    start = dict(tail.named_parameters())
    moved = [(a != start[name]).any() for name, a in first.named_parameters()]
    assert any(moved)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_averaged_when_shares_are_given_then_is_the_weighted_mean(tail: Tail) -> None:
    torch.manual_seed(1)
    other = Tail().eval()
    mean = train.averaged([tail, other], [0.25, 0.75])
    for m, a, b in zip(mean.parameters(), tail.parameters(), other.parameters(), strict=True):
        assert torch.allclose(m, 0.25 * a + 0.75 * b, atol=1e-6)


def test_temperature_when_margins_are_stretched_then_is_the_stretch() -> None:
    rng = np.random.default_rng(0)
    margin = rng.normal(0, 2, 40_000)
    label = (rng.random(40_000) < 1 / (1 + np.exp(-margin))).astype(np.int64)
    assert temperature(3 * margin, label, np.ones(40_000)) == pytest.approx(3, rel=0.05)


def test_recall_at_fpr_when_computed_by_hand_then_agrees() -> None:
    p = np.array([0.1, 0.2, 0.3, 0.9, 0.5, 0.8, 0.95, 0.25])
    y = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    assert metrics.recall_at_fpr(p, y, 0.0) == 0.25  # only 0.95 beats the worst street
    assert metrics.recall_at_fpr(p, y, 0.25) == 0.75  # one street may be flagged: above 0.3


def test_ece_when_confidence_equals_frequency_then_is_0_and_else_the_gap() -> None:
    y = np.array([1, 0, 1, 0])
    assert metrics.ece(np.full(4, 0.5), y) == pytest.approx(0)
    assert metrics.ece(np.full(4, 0.9), y) == pytest.approx(0.4)


def test_cameras_wrong_when_one_frame_errs_then_the_median_decides() -> None:
    p = np.array([0.9, 0.8, 0.1, 0.6, 0.7, 0.2])
    groups = np.array(["room", "room", "room", "street", "street", "street"])
    assert metrics.cameras_wrong(p, np.array([1, 1, 1, 0, 0, 0]), groups) == {"street": 0.6}


def test_wilson_when_nothing_was_missed_then_is_not_certain() -> None:
    low, high = metrics.wilson(0, 42)
    assert low == 0
    assert 0.05 < high < 0.12
