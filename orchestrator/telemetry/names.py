"""Every name under which Countersign tells a collector something.

Those of `gen_ai` are OpenTelemetry's conventions for generative AI, which are still being developed: when
they change, this file does and nothing else. Those of `countersign` are ours, and stay.
"""

SCOPE = "countersign"

# Resource
SERVICE_NAME = "service.name"

# gen_ai
OPERATION = "gen_ai.operation.name"
AGENT_NAME = "gen_ai.agent.name"
AGENT_VERSION = "gen_ai.agent.version"
REQUEST_MODEL = "gen_ai.request.model"
PROVIDER = "gen_ai.provider.name"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
TOOL_NAME = "gen_ai.tool.name"
ERROR_TYPE = "error.type"
# What `gen_ai.operation.name` says of our kinds of spans.
OPERATIONS = {"agent": "invoke_agent", "model": "chat", "tool": "execute_tool"}

# countersign
RUN = "countersign.run.id"
WORKFLOW = "countersign.workflow"
KIND = "countersign.span.kind"
STATUS = "countersign.span.status"
STAGE = "countersign.stage"
ATTEMPT = "countersign.attempt"
PART = "countersign.part"
# In millionths of the currency's unit; left out where nobody knows.
COST_MICROS = "countersign.cost.micros"
PROMPT_HASH = "countersign.prompt.hash"
ABOUT = "countersign.about"
NOTES = "countersign.notes"
EVENT_SEQ = "countersign.event.seq"
"""The place of the event in the run's log, where everything that is not told stands."""
