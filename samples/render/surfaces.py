"""Procedural surfaces in world space: tile, brick, plank, asphalt, paving, roof, with dirt and relief."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import bpy

Color = tuple[float, float, float]
Pattern = Literal["tile", "brick", "plank", "pave", "roof", "asphalt"]

_OFFSET = {"tile": 0.0, "pave": 0.5, "brick": 0.5, "plank": 0.37, "roof": 0.5}
_ASPECT = {"plank": 7.0, "brick": 2.6, "pave": 2.0}
_MORTAR = {"tile": 0.012, "plank": 0.02}


@dataclass(frozen=True)
class Surface:
    """What a material looks like; `size` is the brick's height in metres, `second` the joint's colour."""

    color: Color
    rough: float = 0.8
    pattern: Pattern | None = None
    size: float = 1.0
    second: Color | None = None
    bump: float = 0.2
    dirt: float = 0.25
    emit: float = 0.0
    metal: float = 0.0

    @property
    def joint(self) -> Color:
        r, g, b = self.color
        return self.second or (r * 0.55, g * 0.55, b * 0.55)


def material(s: Surface) -> bpy.types.Material:
    """Build the shader of a surface."""
    m = bpy.data.materials.new("m")
    m.use_nodes = True
    tree = m.node_tree
    shader = tree.nodes["Principled BSDF"]
    shader.inputs["Roughness"].default_value = s.rough
    shader.inputs["Metallic"].default_value = s.metal
    shader.inputs["Base Color"].default_value = (*s.color, 1)
    if s.emit:
        shader.inputs["Emission Color"].default_value = (*s.color, 1)
        shader.inputs["Emission Strength"].default_value = s.emit
    place = tree.nodes.new("ShaderNodeNewGeometry").outputs["Position"]
    color, height = None, None
    if s.pattern == "asphalt":
        color, height = _asphalt(tree, s, place)
    elif s.pattern:
        color, height = _bricks(tree, s, place)
    if s.dirt:
        color = _dirt(tree, s, place, color, shader)
    if color:
        tree.links.new(color, shader.inputs["Base Color"])
    if height and s.bump:
        bump = tree.nodes.new("ShaderNodeBump")
        bump.inputs["Strength"].default_value, bump.inputs["Distance"].default_value = s.bump, 0.01
        bump.invert = s.pattern != "asphalt"
        tree.links.new(height, bump.inputs["Height"])
        tree.links.new(bump.outputs[0], shader.inputs["Normal"])
    return m


def _bricks(tree, s, place):
    b = tree.nodes.new("ShaderNodeTexBrick")
    b.offset = _OFFSET[s.pattern]
    shade = 0.93 if s.pattern == "tile" else 0.78
    mortar = _MORTAR.get(s.pattern, 0.05)
    for name, value in (
        ("Scale", 1.0),
        ("Brick Width", s.size * _ASPECT.get(s.pattern, 1.0)),
        ("Row Height", s.size),
        ("Mortar Size", s.size * mortar),
        ("Color1", (*s.color, 1)),
        ("Color2", (*(c * shade for c in s.color), 1)),
        ("Mortar", (*s.joint, 1)),
    ):
        b.inputs[name].default_value = value
    if s.pattern == "brick":  # on walls: x + y against z
        place = _wall_coordinates(tree, place)
    tree.links.new(place, b.inputs["Vector"])
    return b.outputs["Color"], b.outputs["Fac"]


def _wall_coordinates(tree, place):
    split, join = tree.nodes.new("ShaderNodeSeparateXYZ"), tree.nodes.new("ShaderNodeCombineXYZ")
    add = tree.nodes.new("ShaderNodeMath")
    tree.links.new(place, split.inputs[0])
    tree.links.new(split.outputs[0], add.inputs[0])
    tree.links.new(split.outputs[1], add.inputs[1])
    tree.links.new(add.outputs[0], join.inputs[0])
    tree.links.new(split.outputs[2], join.inputs[1])
    return join.outputs[0]


def _asphalt(tree, s, place):
    noise, ramp = tree.nodes.new("ShaderNodeTexNoise"), tree.nodes.new("ShaderNodeValToRGB")
    noise.inputs["Scale"].default_value = 90
    low, high = ramp.color_ramp.elements
    low.color, high.color = (*s.joint, 1), (*s.color, 1)
    tree.links.new(place, noise.inputs["Vector"])
    tree.links.new(noise.outputs["Fac"], ramp.inputs[0])
    return ramp.outputs[0], noise.outputs["Fac"]


def _dirt(tree, s, place, color, shader):
    noise, ramp = tree.nodes.new("ShaderNodeTexNoise"), tree.nodes.new("ShaderNodeValToRGB")
    noise.inputs["Scale"].default_value, noise.inputs["Detail"].default_value = 0.9, 6
    tree.links.new(place, noise.inputs["Vector"])
    low, high = ramp.color_ramp.elements
    low.position, high.position = 0.35, 0.7
    low.color = (1 - s.dirt, 1 - s.dirt, 1 - s.dirt * 1.1, 1)
    tree.links.new(noise.outputs["Fac"], ramp.inputs[0])
    mix = tree.nodes.new("ShaderNodeMix")
    mix.data_type, mix.blend_type = "RGBA", "MULTIPLY"
    mix.inputs["Factor"].default_value = 1
    mix.inputs[6].default_value = (*s.color, 1)
    if color:
        tree.links.new(color, mix.inputs[6])
    tree.links.new(ramp.outputs[0], mix.inputs[7])
    if s.pattern == "asphalt" and s.rough < 0.5:  # wet: puddles where the dirt is
        wet = tree.nodes.new("ShaderNodeMapRange")
        for name, value in (("From Min", 0.42), ("From Max", 0.6), ("To Min", 0.03), ("To Max", s.rough)):
            wet.inputs[name].default_value = value
        tree.links.new(noise.outputs["Fac"], wet.inputs["Value"])
        tree.links.new(wet.outputs[0], shader.inputs["Roughness"])
    return mix.outputs[2]
