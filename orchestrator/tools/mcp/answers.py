"""What a server answered, as data: text stays text, and what is neither text nor JSON is left out."""

from mcp_types import (
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    TextContent,
    TextResourceContents,
)

from orchestrator.core.codec import Json
from orchestrator.core.errors import ToolRefused
from orchestrator.tools.base import ToolResult


def result_of(tool: str, said: CallToolResult) -> ToolResult:
    texts = [text for block in said.content if (text := _text(block)) is not None]
    if said.is_error:
        raise ToolRefused(tool, " ".join(texts) or "it says that it failed, and not why.")
    notes = tuple(f"left out: {block.type}" for block in said.content if _text(block) is None)
    if said.structured_content is not None:
        return ToolResult(said.structured_content, notes)
    value: Json = texts[0] if len(texts) == 1 else list(texts)
    return ToolResult(value, notes)


def _text(block: ContentBlock) -> str | None:
    if isinstance(block, TextContent):
        return block.text.replace("\x00", "\ufffd")
    if isinstance(block, EmbeddedResource) and isinstance(block.resource, TextResourceContents):
        return block.resource.text.replace("\x00", "\ufffd")
    return None
