"""The choice of the pipe, as a table."""

from __future__ import annotations

import pytest

from otter.model.batch import Part
from otter.model.config import PipeChooseType, PipelineParameters
from otter.model.process import PipeKind
from otter.pipe.choose import PAYLOAD, choose

KIB = 1024


@pytest.mark.parametrize(
    ("set_to", "same_node", "packed", "part", "kind"),
    [
        ("AUTOMATIC", True, 10, Part.WHOLE, "memory"),
        ("AUTOMATIC", True, PAYLOAD, Part.WHOLE, "memory"),
        ("AUTOMATIC", True, PAYLOAD + 1, Part.WHOLE, "file"),
        ("AUTOMATIC", False, 128 * KIB, Part.WHOLE, "inline"),
        ("AUTOMATIC", False, 128 * KIB + 1, Part.WHOLE, "file"),
        ("MEMORY", True, 10, Part.WHOLE, "memory"),
        ("MEMORY", False, 10, Part.WHOLE, "inline"),
        ("MEMORY", False, 129 * KIB, Part.WHOLE, "file"),
        ("RPC", False, 10, Part.WHOLE, "inline"),
        ("RPC", True, 10, Part.WHOLE, "inline"),
        ("RPC", False, PAYLOAD, Part.WHOLE, "inline"),
        ("RPC", False, PAYLOAD + 1, Part.WHOLE, "file"),
        ("HTTP", False, 10, Part.WHOLE, "file"),
        ("HTTP", True, 10, Part.WHOLE, "file"),
        *[(way.value, same, 10, part, "file") for way in PipeChooseType for same in (True, False)
          for part in (Part.FIRST, Part.MIDDLE, Part.LAST)],
    ],
)  # fmt: skip
def test_the_choice(set_to: str, same_node: bool, packed: int, part: Part, kind: str) -> None:
    parameters = PipelineParameters(pipe_choose_type=PipeChooseType(set_to))
    assert choose(parameters, same_node=same_node, packed=packed, part=part, empty=False) is PipeKind(kind)
    assert choose(parameters, same_node=same_node, packed=packed, part=part, empty=True) is PipeKind.NONE


def test_limits_are_settings() -> None:
    small = PipelineParameters(inline_limit=0)
    assert choose(small, same_node=False, packed=1, part=Part.WHOLE, empty=False) is PipeKind.FILE
    rpc = PipelineParameters(pipe_choose_type=PipeChooseType.RPC)
    assert choose(rpc, same_node=False, packed=101, part=Part.WHOLE, empty=False, payload=100) is PipeKind.FILE
