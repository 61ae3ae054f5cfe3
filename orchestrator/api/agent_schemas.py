"""What the API takes and gives about agents, their versions and endpoints."""

from datetime import datetime
from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import ConfigDict, Field

from orchestrator.api.rule_schemas import Note, Number, Reason, Text
from orchestrator.api.schemas import Slug, Strict, Word

VERSION: dict[str, Any] = {
    "adapter": "llm",
    "model": "llama3.1:8b",
    "endpoints": ["house"],
    "prompt": "You read complaints and say what they are about.",
    "data_classes": ["internal", "personal"],
    "limits": {"tokens_in": 8000, "tokens_out": 1000, "requests": 4},
    "settings": {"temperature": 0.2},
    "note": "A shorter prompt.",
}
ENDPOINT: dict[str, Any] = {
    "provider": "openai_compatible",
    "base_url": "http://localhost:11434/v1",
    "is_local": True,
    "data_classes": ["public", "internal", "personal"],
    "price": {"input_micros_per_mtok": 0, "output_micros_per_mtok": 0},
}
Classes = Annotated[list[Annotated[Text, Field(max_length=40)]], Field(min_length=1)]


class AgentIn(Strict):
    title: Annotated[Text, Field(max_length=200)] = ""
    owner: Annotated[Text, Field(max_length=100)] = ""
    tier: Literal["read_only", "elevated"] = Field(
        "read_only", description="a read-only agent proposes nothing and gets no tool that writes"
    )


class InUseOut(Schema):
    """Numbers of versions. A canary gets `share` percent of the runs that start; a shadow decides nothing."""

    number: int = Field(description="counts the deployments of the agent")
    stable: int
    canary: int | None
    share: int
    shadow: int | None
    at: datetime
    by: str | None = Field(description="who agreed")
    proposal: str | None = Field(description="with which it was asked for")
    note: str


class AgentOut(Schema):
    slug: str
    title: str
    owner: str
    tier: str
    newest: int = Field(description="of its versions; send it as `base` with another one")
    in_use: InUseOut | None
    created_at: datetime


class AgentPageOut(Schema):
    agents: list[AgentOut]
    next: str | None = Field(description="pass it as `after` to get the next page; null at the end")


class AgentVersionIn(Strict):
    """All that a version says. It never changes, and is in use once it is deployed."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [VERSION]}
    )

    adapter: Literal["scripted", "recorded", "http", "llm", "function"]
    model: Annotated[Text, Field(max_length=200)] = ""
    endpoints: list[Slug] = Field(
        default_factory=list, description="in order: the first that may see the data is called"
    )
    prompt: Text = ""
    tools: list[Slug] = Field(
        default_factory=list, description="names; one that is not approved is not offered"
    )
    data_classes: Classes = Field(description="what it is made for; other data it is not handed")
    limits: dict[str, int] = Field(
        default_factory=dict,
        description="`tokens_in`, `tokens_out`, `requests`, `money_micros`; of `http` the first two",
    )
    settings: dict[str, Any] = Field(default_factory=dict, description="of its adapter")
    contract: Word = Field("", description="a contract of outputs that its answers keep")
    label: Annotated[Text, Field(max_length=100)] = ""
    note: Note = ""
    base: int | None = Field(
        None, ge=0, description="the newest version that you know of; 409 when there is a newer"
    )


class AgentVersionOut(Schema):
    agent: str
    number: int
    label: str
    tier: str
    adapter: str
    model: str
    endpoints: list[str]
    prompt: str
    tools: list[str]
    data_classes: list[str]
    limits: dict[str, Any]
    settings: dict[str, Any]
    contract: str | None
    content_hash: str
    note: str
    created_at: datetime
    created_by: str | None


class AgentVersionPageOut(Schema):
    versions: list[AgentVersionOut]
    next: int | None = Field(
        description="pass it as `before` to get the next page; null at the end"
    )


class DeploymentPageOut(Schema):
    deployments: list[InUseOut]
    next: int | None = Field(
        description="pass it as `before` to get the next page; null at the end"
    )


class DeployIn(Strict):
    """What the runs that start from then on get. What is left out is in use no more."""

    stable: Number
    canary: Number | None = None
    share: int = Field(0, ge=0, le=99, description="percent of the runs that get the canary")
    shadow: Number | None = Field(None, description="is asked beside, and decides nothing")
    note: Reason


class PriceIn(Strict):
    """In millionths of the currency's unit for a million tokens."""

    input_micros_per_mtok: int = Field(ge=0)
    output_micros_per_mtok: int = Field(ge=0)


class EndpointIn(Strict):
    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [ENDPOINT]}
    )

    provider: Literal[
        "openai_compatible", "openai", "anthropic", "google", "mistral", "groq", "http"
    ]
    base_url: Annotated[Text, Field(min_length=1, max_length=2_000)]
    region: Annotated[Text, Field(max_length=100)] = ""
    is_local: bool = False
    data_classes: Classes = Field(description="what it may see")
    price: PriceIn | None = Field(None, description="null is unknown, and never nothing")
    auth: Literal["bearer", "hmac", "none"] | None = Field(
        None,
        description="how its key is used: sent, signed with, or not at all; left out, it stays as it is, "
        "`bearer` for a new one",
    )
    api_key_env: Annotated[Text, Field(max_length=100)] = Field(
        "",
        description="a variable in the environment of the workers; ends in _API_KEY, and is for the host "
        "that the same name with _HOST says",
    )
    api_key: Annotated[Text, Field(max_length=2_000)] | None = Field(
        None, description="is sealed and never given out; left out, it stays as it is"
    )
    note: Note = Field("", description="why; needed where another admin has to agree")
    base: int | None = Field(
        None, ge=0, description="the `revision` that you know of; 409 when it is another"
    )


class EndpointOut(Schema):
    slug: str
    revision: int
    provider: str
    base_url: str
    region: str
    is_local: bool
    data_classes: list[str]
    price: dict[str, int] | None
    auth: str
    api_key_env: str
    has_key: bool = Field(description="whether one is sealed here; it is never given out")
    created_at: datetime
    retired_at: datetime | None


class EndpointPageOut(Schema):
    endpoints: list[EndpointOut]
    next: str | None = Field(description="pass it as `after` to get the next page; null at the end")


class SlugPageIn(Schema):
    after: str = Field("", max_length=100, description="`next` of the page before")
    limit: int = Field(50, ge=1, le=200)


class NumberPageIn(Schema):
    before: Number | None = Field(None, description="`next` of the page before")
    limit: int = Field(50, ge=1, le=200)
