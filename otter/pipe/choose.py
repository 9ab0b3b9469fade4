"""How a batch travels: memory, inline or file. Pure; the sizes and places come from the caller."""

from __future__ import annotations

from otter.model.batch import Part
from otter.model.config import PipeChooseType, PipelineParameters
from otter.model.process import PipeKind

#: Largest message between nodes, bytes: the default of ``otter.communication.payload``.
PAYLOAD = 8 << 20


def choose(
    parameters: PipelineParameters, *, same_node: bool, packed: int, part: Part, empty: bool, payload: int = PAYLOAD
) -> PipeKind:
    """The pipe for a batch of ``packed`` bytes; ``payload`` is the most that a push between nodes may carry.

    First rule that fits:

    1. nothing in it: no pipe, only the position moves
    2. a piece of a giant transaction: file, it must survive until the last piece is committed
    3. HTTP: file, also on the same node
    4. larger than ``payload``: file, whatever is set
    5. RPC: inline, also on the same node
    6. same node: memory
    7. AUTOMATIC, or MEMORY between two nodes (there is no memory to share): inline up to ``inlineLimit``, else file
    """
    if empty:
        return PipeKind.NONE
    if part is not Part.WHOLE or parameters.pipe_choose_type is PipeChooseType.HTTP or packed > payload:
        return PipeKind.FILE
    if parameters.pipe_choose_type is PipeChooseType.RPC:
        return PipeKind.INLINE
    if same_node:
        return PipeKind.MEMORY
    return PipeKind.INLINE if packed <= parameters.inline_limit * 1024 else PipeKind.FILE
