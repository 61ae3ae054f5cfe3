"""Every setting of Countersign, read from the environment or from `.env`.

`docs/configuration.md` lists the same names for people who run it; a test keeps the two equal.
A value that cannot work stops the start with a sentence that says what to do.
"""

import contextlib
import hashlib
import secrets
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured
from django.utils.csp import CSP

from orchestrator.core.policy.roles import ROLES
from orchestrator.embedded import locations

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
env.read_env(BASE_DIR / ".env")


def _text(name: str, default: str) -> str:
    return str(env.str(name, default=default)).strip()


def _flag(name: str, default: bool) -> bool:
    value = _text(name, "1" if default else "0").lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off", ""}:
        return False
    raise ImproperlyConfigured(f"{name}={value!r} is neither on nor off. Set it to 1 or 0.")


def _number(name: str, default: int, *, low: int, high: int) -> int:
    value = _text(name, str(default))
    try:
        number = int(value)
    except ValueError:
        number = low - 1
    if not low <= number <= high:
        raise ImproperlyConfigured(f"{name}={value!r} must be a whole number from {low} to {high}.")
    return number


def _share(name: str, default: float) -> float:
    value = _text(name, str(default))
    try:
        share = float(value)
    except ValueError:
        share = -1.0
    if not 0.0 <= share <= 1.0:
        raise ImproperlyConfigured(f"{name}={value!r} must be a number from 0 to 1, such as 0.01.")
    return share


def _names(name: str, default: str) -> list[str]:
    return [part.strip() for part in _text(name, default).split(",") if part.strip()]


def _commands(name: str, text: str) -> dict[str, list[str]]:
    """Command lines by name: files=npx --offline server-files /srv/files; clock=/opt/clock/serve."""
    found = {}
    for part in text.split(";"):
        key, equals, line = part.strip().partition("=")
        if not equals and not key:
            continue
        if not equals or not key.strip() or not shlex.split(line):
            raise ImproperlyConfigured(f"{name} must look like files=/opt/files/serve --stdio; ….")
        found[key.strip()] = shlex.split(line)
    return found


def _url(name: str, default: str, schemes: set[str]) -> str:
    value = _text(name, default)
    if urlsplit(value).scheme not in schemes:
        wanted = ", ".join(f"{scheme}://" for scheme in sorted(schemes))
        raise ImproperlyConfigured(
            f"{name} must start with {wanted}. It is {_without_password(value)!r}."
        )
    return value


def _without_password(url: str) -> str:
    password = urlsplit(url).password
    return url.replace(f":{password}@", ":***@") if password else url


def _mailer(name: str, url: str) -> dict[str, Any]:
    """A mail server as Django wants it: smtp://, smtp+tls:// or smtp+ssl://, name and password within."""
    if not url:
        return {"BACKEND": "django.core.mail.backends.dummy.EmailBackend"}
    parts = urlsplit(url)
    if parts.scheme not in {"smtp", "smtp+tls", "smtp+ssl"} or not parts.hostname:
        raise ImproperlyConfigured(
            f"{name} must look like smtp+tls://user:password@mail.example:587. "
            f"It is {_without_password(url)!r}."
        )
    options = {
        "host": parts.hostname,
        "port": parts.port,
        "username": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "use_tls": parts.scheme == "smtp+tls",
        "use_ssl": parts.scheme == "smtp+ssl",
        "timeout": 5,
    }
    return {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": options}


def _roles(name: str, wanted: list[str]) -> list[str]:
    """A mistyped role would be one that nobody has, and quietly protect nobody."""
    unknown = [role for role in wanted if role not in ROLES]
    if unknown:
        raise ImproperlyConfigured(
            f"{name} names {', '.join(unknown)}; roles are {', '.join(ROLES)}."
        )
    return wanted


def _role(name: str, wanted: str) -> str:
    return _roles(name, [wanted])[0] if wanted else ""


def _groups(name: str, pairs: list[str]) -> dict[str, str]:
    """Groups of the identity provider and the role that each gives: it-admins=admin, support=reviewer."""
    mapped = {}
    for pair in pairs:
        group, equals, role = pair.rpartition("=")
        if not equals or not group.strip():
            raise ImproperlyConfigured(f"{name} must look like it-admins=admin, support=reviewer.")
        mapped[group.strip()] = _role(name, role.strip())
    return mapped


def _issuer(name: str, url: str) -> str:
    """Only over TLS: whoever can change its answers can sign in as anybody. On this machine without."""
    parts = urlsplit(url)
    is_here = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    if url and parts.scheme != "https" and not (parts.scheme == "http" and is_here):
        raise ImproperlyConfigured(f"{name} must start with https://. It is {url!r}.")
    return url


def _secret_key(path: Path) -> str:
    """The key kept beside the data, made at the first start, readable by its owner alone."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            draft.touch(mode=0o600)
            draft.write_text(secrets.token_urlsafe(50))
            # Whole or not at all: of two processes that start at once, both read the first one's key.
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(draft)
            draft.unlink()
    except OSError as error:
        raise ImproperlyConfigured(
            f"SECRET_KEY is not set and {path} cannot be written ({error.strerror}). "
            "Set SECRET_KEY, or VAR_DIR to a folder that can be written."
        ) from error
    return path.read_text().strip()


# Where and how -------------------------------------------------------------------------------

VAR_DIR = Path(_text("VAR_DIR", str(BASE_DIR / "var"))).resolve()
HOST = _text("HOST", "127.0.0.1")
PORT = _number("PORT", 8000, low=1, high=65535)
# An address that means "every address of this machine" is one that nobody can open.
_host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(HOST, HOST)  # noqa: S104  (nothing is bound here)
_host = f"[{_host}]" if ":" in _host else _host
BASE_URL = _url("BASE_URL", f"http://{_host}:{PORT}", {"http", "https"}).rstrip("/")
DEBUG = _flag("DEBUG", False)
DEMO = _flag("DEMO", True)
SECRET_KEY = _text("SECRET_KEY", "") or _secret_key(VAR_DIR / "secret-key")
ALLOWED_HOSTS = _names(
    "ALLOWED_HOSTS", f"localhost,127.0.0.1,[::1],{urlsplit(BASE_URL).hostname or ''}"
)
LOG_LEVEL = _text("LOG_LEVEL", "INFO").upper()
WEB_PROXY_TRUSTED = _flag("WEB_PROXY_TRUSTED", False)

# PostgreSQL is the truth, Redis or Valkey the doorbell. Without these two addresses `manage.py up`
# runs both itself, from wheels, under VAR_DIR.

DATABASE_URL = _url("DATABASE_URL", locations.database_url(VAR_DIR), {"postgres", "postgresql"})
DATABASE_OWNER_URL = _url(
    "DATABASE_OWNER_URL",
    locations.database_owner_url(VAR_DIR) if not _text("DATABASE_URL", "") else DATABASE_URL,
    {"postgres", "postgresql"},
)
REDIS_URL = _url("REDIS_URL", locations.redis_url(VAR_DIR), {"redis", "rediss", "unix"})
DATABASE_IS_EMBEDDED = not _text("DATABASE_URL", "")
REDIS_IS_EMBEDDED = not _text("REDIS_URL", "")
DATABASE_POOL_MAX = _number("DATABASE_POOL_MAX", 0, low=0, high=500)  # asgi.py says 16
DATABASE_STATEMENT_TIMEOUT_S = _number("DATABASE_STATEMENT_TIMEOUT_S", 30, low=1, high=3600)
DATABASE_LOCK_TIMEOUT_S = _number("DATABASE_LOCK_TIMEOUT_S", 5, low=1, high=600)

_database = env.db_url_config(DATABASE_URL)
_database["CONN_HEALTH_CHECKS"] = True
_database["OPTIONS"] = {
    **_database.get("OPTIONS", {}),
    "options": (
        f"-c statement_timeout={DATABASE_STATEMENT_TIMEOUT_S}s"
        f" -c lock_timeout={DATABASE_LOCK_TIMEOUT_S}s"
        " -c idle_in_transaction_session_timeout=60s"
        # Every query reads few rows by an index, which is on a disk without moving parts or in memory.
        " -c random_page_cost=1.1 -c jit=off -c max_parallel_workers_per_gather=0"
    ),
}
# A pool keeps connections itself; without one, a worker keeps its own between two shifts.
_database["CONN_MAX_AGE"] = 0 if DATABASE_POOL_MAX else 60
if DATABASE_POOL_MAX:
    _database["OPTIONS"]["pool"] = {"min_size": 1, "max_size": DATABASE_POOL_MAX, "timeout": 10}
DATABASES = {"default": _database}
# Who may change tables is somebody else than who uses them; only `manage.py migrate` is the owner.
if DATABASE_OWNER_URL != DATABASE_URL:
    DATABASES["owner"] = env.db_url_config(DATABASE_OWNER_URL)

# Queues: one RQ queue per worker process (a worker on two queues can lose jobs in a crash).

QUEUES = ("agents", "isolated", "effects", "background")
RQ_QUEUES = {name: {"URL": REDIS_URL, "DEFAULT_RESULT_TTL": 0} for name in QUEUES}
WORKERS_PER_QUEUE = _number("WORKERS_PER_QUEUE", 1, low=1, high=64)
# Calls that may wait at once in one process. Agents wait for models, which costs a thread and no more.
WORKER_THREADS = {
    "agents": _number("WORKER_THREADS_AGENTS", 100, low=1, high=2_000),
    "isolated": _number("WORKER_THREADS_ISOLATED", 4, low=1, high=500),
    "effects": _number("WORKER_THREADS_EFFECTS", 16, low=1, high=500),
    # One long job at a time in a process; more processes do more at once.
    "background": 1,
}
WORKER_DESKS = _number("WORKER_DESKS", 2, low=1, high=50)
WORKER_STUCK_MAX = _number("WORKER_STUCK_MAX", 10, low=1, high=1_000)
COMMAND_LEASE_S = _number("COMMAND_LEASE_S", 15, low=2, high=86_400)
COMMAND_CRASHES_MAX = _number("COMMAND_CRASHES_MAX", 3, low=1, high=100)
EFFECT_RETRY_MINUTES = _number("EFFECT_RETRY_MINUTES", 1_440, low=0, high=525_600)
EFFECT_TIMEOUT_S = _number("EFFECT_TIMEOUT_S", 120, low=1, high=86_400)
QUEUE_PENDING_MAX = _number("QUEUE_PENDING_MAX", 10_000, low=1, high=10_000_000)
RUNS_OPEN_PER_WORKFLOW_MAX = _number("RUNS_OPEN_PER_WORKFLOW_MAX", 5_000, low=1, high=10_000_000)
SHORT_OUTPUT_BYTES_MAX = _number("SHORT_OUTPUT_BYTES_MAX", 50_000, low=100, high=1_000_000)
RUNS_OPEN_PER_TOKEN_MAX = _number("RUNS_OPEN_PER_TOKEN_MAX", 5_000, low=1, high=10_000_000)
SWEEP_INTERVAL_MS = _number("SWEEP_INTERVAL_MS", 1_000, low=50, high=60_000)
SWEEP_BATCH = _number("SWEEP_BATCH", 500, low=1, high=10_000)
RING_AGAIN_AFTER_S = _number("RING_AGAIN_AFTER_S", 5, low=1, high=3600)

# Agents, their versions and endpoints. What data is of no class counts as of DATA_CLASSES_DEFAULT.

DATA_CLASSES = _names("DATA_CLASSES", "public,internal,personal,secret")
DATA_CLASSES_DEFAULT = _names("DATA_CLASSES_DEFAULT", "internal")
AGENTS_MAX = _number("AGENTS_MAX", 1_000, low=1, high=100_000)
AGENT_VERSIONS_MAX = _number("AGENT_VERSIONS_MAX", 1_000, low=1, high=100_000)
AGENT_VERSION_BYTES_MAX = _number("AGENT_VERSION_BYTES_MAX", 500_000, low=1_000, high=10_000_000)
# An agent that is kept here may only state a version that is known here.
AGENT_VERSIONS_KNOWN_ONLY = _flag("AGENT_VERSIONS_KNOWN_ONLY", True)
ENDPOINTS_MAX = _number("ENDPOINTS_MAX", 200, low=1, high=10_000)
# Hosts of endpoints that may lie in a private network, and may be asked by http.
ENDPOINT_HOSTS_TRUSTED = _names("ENDPOINT_HOSTS_TRUSTED", "localhost,127.0.0.1")
# What a shadow version may use up in a day, beside the runs that it is asked about.
SHADOW_CALLS_PER_DAY_MAX = _number("SHADOW_CALLS_PER_DAY_MAX", 1_000, low=0, high=10_000_000)
SHADOW_MONEY_MICROS_PER_DAY_MAX = _number(
    "SHADOW_MONEY_MICROS_PER_DAY_MAX", 10_000_000, low=0, high=10**15
)
SHADOW_TRIALS_COUNTED_MAX = _number("SHADOW_TRIALS_COUNTED_MAX", 10_000, low=100, high=1_000_000)
if unknown := set(DATA_CLASSES_DEFAULT) - set(DATA_CLASSES):
    raise ImproperlyConfigured(
        f"DATA_CLASSES_DEFAULT names {', '.join(sorted(unknown))}, which DATA_CLASSES does not list."
    )
if not DATA_CLASSES_DEFAULT:
    raise ImproperlyConfigured("DATA_CLASSES_DEFAULT is empty. Set it to a class of DATA_CLASSES.")

# Modules with agents and executors of your own, and what a function may take that runs by itself.

AGENT_MODULES = _names("AGENT_MODULES", "")
EXECUTOR_DEFAULT = _text("EXECUTOR_DEFAULT", "ledger")
ISOLATED_MEMORY_MB = _number("ISOLATED_MEMORY_MB", 1_024, low=16, high=1_000_000)

# Agents that are asked over the network, and language models: what one call may take at most.

MODEL_TOKENS_IN_MAX = _number("MODEL_TOKENS_IN_MAX", 100_000, low=500, high=10_000_000)
MODEL_TOKENS_OUT_MAX = _number("MODEL_TOKENS_OUT_MAX", 8_000, low=1, high=1_000_000)
MODEL_REQUESTS_MAX = _number("MODEL_REQUESTS_MAX", 20, low=1, high=1_000)
MODEL_TOOL_USES_MAX = _number("MODEL_TOOL_USES_MAX", 50, low=0, high=1_000)
MODEL_RESULT_BYTES_MAX = _number("MODEL_RESULT_BYTES_MAX", 50_000, low=500, high=1_000_000)
# How often a model is told what was wrong with its answer before the call has failed.
MODEL_CORRECTIONS_MAX = _number("MODEL_CORRECTIONS_MAX", 1, low=0, high=20)
# Of one answer as it comes in, when it is streamed with much around each word.
MODEL_ANSWER_BYTES_MAX = _number("MODEL_ANSWER_BYTES_MAX", 8_000_000, low=10_000, high=100_000_000)
# Tools of agents. Programs that may be started as MCP servers are named here and nowhere else, and hosts
# within our own network as well: whoever signs in chooses among them.

TOOL_COMMANDS = _commands("TOOL_COMMANDS", _text("TOOL_COMMANDS", ""))
TOOL_HOSTS_TRUSTED = _names("TOOL_HOSTS_TRUSTED", "")
TOOL_TIMEOUT_MAX_S = _number("TOOL_TIMEOUT_MAX_S", 120, low=1, high=3_600)
# What is read of an answer, and what of it an agent is told.
TOOL_ANSWER_BYTES_MAX = _number("TOOL_ANSWER_BYTES_MAX", 1_000_000, low=1_000, high=50_000_000)
TOOL_RESULT_BYTES_MAX = _number("TOOL_RESULT_BYTES_MAX", 50_000, low=500, high=1_000_000)
# What a tool may say of itself, with the schema of its arguments.
TOOL_TEXT_BYTES_MAX = _number("TOOL_TEXT_BYTES_MAX", 20_000, low=500, high=200_000)
# How long what an MCP server says of its tools is believed before it is asked again.
TOOL_LISTING_S = _number("TOOL_LISTING_S", 60, low=0, high=3_600)
# How often what a server says of its tools is read again by itself, and how long that may take; 0 is never.
TOOL_SYNC_HOURS = _number("TOOL_SYNC_HOURS", 24, low=0, high=8_760)
TOOL_SYNC_TIMEOUT_S = _number("TOOL_SYNC_TIMEOUT_S", 30, low=1, high=600)
# The newest pieces of calls that are looked at for how much tools are used, and proposals counted of one.
TOOL_PIECES_READ_MAX = _number("TOOL_PIECES_READ_MAX", 20_000, low=0, high=1_000_000)
TOOL_PROPOSALS_COUNTED_MAX = _number("TOOL_PROPOSALS_COUNTED_MAX", 1_000, low=0, high=100_000)
# How many agents may stand behind each other as tools.
TOOL_DEPTH_MAX = _number("TOOL_DEPTH_MAX", 2, low=1, high=20)
# Functions that did not end in time, after which a process calls no more of them.
TOOL_STUCK_MAX = _number("TOOL_STUCK_MAX", 20, low=1, high=1_000)
TOOLS_MAX = _number("TOOLS_MAX", 1_000, low=1, high=100_000)
TOOL_SERVERS_MAX = _number("TOOL_SERVERS_MAX", 50, low=1, high=1_000)
# What is too short or too small to say where it came from: EUR, 12, yes.
TAINT_LENGTH_MIN = _number("TAINT_LENGTH_MIN", 6, low=3, high=100)
TAINT_NUMBER_MIN = _number("TAINT_NUMBER_MIN", 1_000, low=0, high=10**12)

# Checkpoints: signed now and then over the whole log, and kept outside the database as well.

CHECKPOINT_KEY = Path(_text("CHECKPOINT_KEY", str(VAR_DIR / "checkpoint-key")))
CHECKPOINT_DIR = Path(_text("CHECKPOINT_DIR", str(VAR_DIR / "checkpoints")))
CHECKPOINT_EVERY_S = _number("CHECKPOINT_EVERY_S", 60, low=1, high=86_400)
CHECKPOINT_EVENTS_MAX = _number("CHECKPOINT_EVENTS_MAX", 20_000, low=100, high=100_000)
CHECKPOINT_LOCK_MS = _number("CHECKPOINT_LOCK_MS", 200, low=1, high=10_000)

# The gate for outside data. Deeper or larger values could be stored but never read back.

JSON_BYTES_MAX = _number("JSON_BYTES_MAX", 1_000_000, low=1_000, high=50_000_000)
JSON_DEPTH_MAX = _number("JSON_DEPTH_MAX", 64, low=4, high=200)
JSON_NODES_MAX = _number("JSON_NODES_MAX", 20_000, low=100, high=1_000_000)
DATA_UPLOAD_MAX_MEMORY_SIZE = JSON_BYTES_MAX

# Policy defaults; thresholds themselves are versioned rows, these seed version 1.

ACCEPT_ABOVE = _share("ACCEPT_ABOVE", 0.9)
ESCALATE_AT_OR_BELOW = _share("ESCALATE_AT_OR_BELOW", 0.6)
REVIEW_DUE_HOURS = _number("REVIEW_DUE_HOURS", 24, low=1, high=8_760)
REVISION_DUE_HOURS = _number("REVISION_DUE_HOURS", 24, low=1, high=8_760)
# How long a proposal waits for its validators. What they have not said by then is a doubt.
VALIDATION_DUE_S = _number("VALIDATION_DUE_S", 600, low=1, high=86_400)
# How often a proposal may be put anew before people decide about the last one as it is.
REVISIONS_MAX = _number("REVISIONS_MAX", 5, low=1, high=100)
# The queue: how long a reviewer holds an item without a sign of life, and how long an approval that
# its action says nothing about can be taken back before it runs.
CLAIM_MINUTES = _number("CLAIM_MINUTES", 10, low=1, high=480)
UNDO_S = _number("UNDO_S", 8, low=0, high=3_600)
SNOOZE_MAX_DAYS = _number("SNOOZE_MAX_DAYS", 14, low=1, high=365)
COMMENT_LENGTH_MAX = _number("COMMENT_LENGTH_MAX", 5_000, low=100, high=50_000)
# Of the newest decided items of an action so many are looked through for what is like an open one.
SIMILAR_LOOKED_AT = _number("SIMILAR_LOOKED_AT", 200, low=10, high=2_000)
BULK_MAX = _number("BULK_MAX", 50, low=1, high=500)
SAVED_VIEWS_MAX = _number("SAVED_VIEWS_MAX", 50, low=1, high=1_000)
# Counts stop here, and say so: nobody needs the exact number, and counting all costs every page.
QUEUE_COUNT_MAX = _number("QUEUE_COUNT_MAX", 1_000, low=10, high=1_000_000)
# Who may decide what, and the reasons to choose from: more than these nobody would find their way in.
TEAMS_MAX = _number("TEAMS_MAX", 200, low=1, high=10_000)
REASONS_MAX = _number("REASONS_MAX", 20, low=1, high=100)
# Shares of what nobody would look at that go to a blind audit, and how long that may take.
AUDIT_SHARE = _share("AUDIT_SHARE", 0.01)
LABEL_SHARE = _share("LABEL_SHARE", 0.02)
AUDIT_DUE_HOURS = _number("AUDIT_DUE_HOURS", 168, low=1, high=8_760)
# Calibration: labels that a calibrator needs, what is looked at of one agent version and action, and
# over how many days scores are compared with those before.
CALIBRATION_LABELS = _number("CALIBRATION_LABELS", 100, low=30, high=100_000)
CALIBRATION_PROPOSALS_MAX = _number("CALIBRATION_PROPOSALS_MAX", 200_000, low=100, high=10_000_000)
CALIBRATION_WINDOW_DAYS = _number("CALIBRATION_WINDOW_DAYS", 180, low=1, high=3_650)
DRIFT_DAYS = _number("DRIFT_DAYS", 7, low=1, high=365)
# Whoever overturns an automatic accept ends automatic accepting of that kind until a person allows it.
STAND_DOWN = _flag("STAND_DOWN", True)
# More of what is new, and at least a few of everything; up to so many of one agent in a day.
NEW_VERSION_SHARE = _share("NEW_VERSION_SHARE", 0.2)
NEW_VERSION_FIRST = _number("NEW_VERSION_FIRST", 20, low=0, high=1_000)
AUDIT_FLOOR = _number("AUDIT_FLOOR", 5, low=0, high=100)
AUDIT_FLOOR_DAYS = _number("AUDIT_FLOOR_DAYS", 30, low=1, high=365)
AUDITS_RAISED_PER_DAY_MAX = _number("AUDITS_RAISED_PER_DAY_MAX", 30, low=0, high=10_000)
# Of what people decided openly, to be judged by a second one who does not know it; and of what
# auditors are handed, what was settled before.
SECOND_REVIEW_SHARE = _share("SECOND_REVIEW_SHARE", 0.02)
GOLD_SHARE = _share("GOLD_SHARE", 0.05)
GOLD_MAX = _number("GOLD_MAX", 500, low=1, high=10_000)
# How long a token that is made in the browser or by a command is good for.
TOKEN_DAYS_MAX = _number("TOKEN_DAYS_MAX", 730, low=1, high=3_650)
TOKEN_DAYS = _number("TOKEN_DAYS", min(90, TOKEN_DAYS_MAX), low=1, high=TOKEN_DAYS_MAX)
IDEMPOTENCY_KEEP_HOURS = _number("IDEMPOTENCY_KEEP_HOURS", 48, low=24, high=8_760)
WORKFLOWS_MAX = _number("WORKFLOWS_MAX", 1_000, low=1, high=1_000_000)
WORKFLOW_BYTES_MAX = _number("WORKFLOW_BYTES_MAX", 200_000, low=1_000, high=10_000_000)
# What one run may use up: a definition may say less, never more.
RUN_STEPS_MAX = _number("RUN_STEPS_MAX", 1_000, low=1, high=1_000_000)
RUN_DEPTH_MAX = _number("RUN_DEPTH_MAX", 5, low=1, high=50)
SUPERVISOR_AT_ONCE = _number("SUPERVISOR_AT_ONCE", 4, low=1, high=100)
SUPERVISOR_ROUNDS = _number("SUPERVISOR_ROUNDS", 3, low=1, high=10)
SUPERVISOR_DELEGATIONS = _number("SUPERVISOR_DELEGATIONS", 2, low=1, high=5)
RUN_AGENT_CALLS_MAX = _number("RUN_AGENT_CALLS_MAX", 1_000, low=1, high=1_000_000)
RUN_TOKENS_MAX = _number("RUN_TOKENS_MAX", 5_000_000, low=1, high=10**12)
RUN_MONEY_MICROS_MAX = _number("RUN_MONEY_MICROS_MAX", 100_000_000, low=1, high=10**15)
RUN_WALL_S_MAX = _number("RUN_WALL_S_MAX", 2_592_000, low=1, high=315_360_000)
RUN_REPEATS_MAX = _number("RUN_REPEATS_MAX", 10, low=1, high=10_000)
# Of one call of an agent: its turns, what it may ask for in each, what it may want kept between two; and
# how much of what tools said to the agents of a run is followed into what it proposes.
CALL_TURNS_MAX = _number("CALL_TURNS_MAX", 20, low=1, high=1_000)
TURN_ASKS_MAX = _number("TURN_ASKS_MAX", 10, low=1, high=100)
TURN_MEMORY_BYTES_MAX = _number("TURN_MEMORY_BYTES_MAX", 500_000, low=100, high=1_000_000)
TURN_UNTRUSTED_BYTES_MAX = _number("TURN_UNTRUSTED_BYTES_MAX", 200_000, low=100, high=1_000_000)
# Runs that one published message may reach.
PUBLISH_REACH_MAX = _number("PUBLISH_REACH_MAX", 100, low=1, high=10_000)
# Pages about routers and advice: of each workflow so many of the newest decisions, and runs, are looked at.
ROUTE_DECISIONS_COUNTED_MAX = _number(
    "ROUTE_DECISIONS_COUNTED_MAX", 20_000, low=100, high=1_000_000
)
ADVICE_RUNS_MAX = _number("ADVICE_RUNS_MAX", 200, low=0, high=5_000)
# Shared memory: how much one observation may say, how many there may be, and for how long.
MEMORY_VALUE_BYTES_MAX = _number("MEMORY_VALUE_BYTES_MAX", 8_000, low=100, high=500_000)
MEMORY_TAGS_MAX = _number("MEMORY_TAGS_MAX", 10, low=1, high=50)
MEMORY_SPACE_MAX = _number("MEMORY_SPACE_MAX", 5_000, low=1, high=100_000)
MEMORY_RUN_MAX = _number("MEMORY_RUN_MAX", 1_000, low=1, high=100_000)
MEMORY_TTL_DAYS_MAX = _number("MEMORY_TTL_DAYS_MAX", 30, low=1, high=3_650)
# What one call is handed together; the oldest is left out.
MEMORY_HANDED_BYTES_MAX = _number("MEMORY_HANDED_BYTES_MAX", 200_000, low=100, high=10_000_000)
# How long what has expired and nobody read is kept for people to look at.
MEMORY_KEEP_DAYS = _number("MEMORY_KEEP_DAYS", 7, low=1, high=3_650)
# What is shown, and revoked at once, of all that followed from a poisoned observation.
MEMORY_DERIVED_MAX = _number("MEMORY_DERIVED_MAX", 1_000, low=10, high=100_000)
CONTRACTS_MAX = _number("CONTRACTS_MAX", 1_000, low=1, high=1_000_000)
CONTRACT_BYTES_MAX = _number("CONTRACT_BYTES_MAX", 100_000, low=1_000, high=1_000_000)
# Dead letters that wait for somebody. Beyond them, what cannot be routed is not taken in.
DEAD_LETTERS_MAX = _number("DEAD_LETTERS_MAX", 100_000, low=1, high=10_000_000)
RULES_MAX = _number("RULES_MAX", 1_000, low=1, high=100_000)
# Each is asked about every proposal that it applies to, before the agent has its answer.
RULES_ACTIVE_MAX = _number("RULES_ACTIVE_MAX", 200, low=1, high=10_000)
# Evaluation policies: how many scopes may have one in force, and what the validators of one may take.
POLICIES_ACTIVE_MAX = _number("POLICIES_ACTIVE_MAX", 200, low=1, high=10_000)
POLICY_VALIDATORS_MAX = _number("POLICY_VALIDATORS_MAX", 5, low=0, high=50)
VALIDATOR_TIMEOUT_MAX_S = _number("VALIDATOR_TIMEOUT_MAX_S", 120, low=1, high=3_600)
# The newest proposals whose scores the editor of a policy shows. The page waits for them.
SCORES_READ_MAX = _number("SCORES_READ_MAX", 5_000, low=100, high=100_000)
# Whoever wrote or asks for a change of rules, policies, agents or endpoints cannot agree to it. An instance with one admin sets 0.
RULES_FOUR_EYES = _flag("RULES_FOUR_EYES", True)
RULES_FILE_BYTES_MAX = _number("RULES_FILE_BYTES_MAX", 100_000, low=1_000, high=10_000_000)
# What a rule may ask about the recent past; what would take more than this is held, not guessed.
HISTORY_WINDOWS_MAX = _number("HISTORY_WINDOWS_MAX", 10, low=1, high=100)
HISTORY_WITHIN_MAX_DAYS = _number("HISTORY_WITHIN_MAX_DAYS", 30, low=1, high=3_650)
HISTORY_ROWS_MAX = _number("HISTORY_ROWS_MAX", 10_000, low=10, high=10_000_000)
HISTORY_TIMEOUT_MS = _number("HISTORY_TIMEOUT_MS", 500, low=10, high=30_000)
# Backtests: what one looks at unless told otherwise, what it keeps, and what a review costs.
BACKTEST_PROPOSALS_MAX = _number("BACKTEST_PROPOSALS_MAX", 10_000, low=1, high=1_000_000)
BACKTEST_FLIPS_MAX = _number("BACKTEST_FLIPS_MAX", 1_000, low=1, high=100_000)
# Suggested rules: of an action so many of the newest judged proposals are looked at, none larger.
SUGGESTION_PROPOSALS_MAX = _number("SUGGESTION_PROPOSALS_MAX", 2_000, low=50, high=20_000)
SUGGESTION_PAYLOAD_BYTES_MAX = _number(
    "SUGGESTION_PAYLOAD_BYTES_MAX", 20_000, low=1_000, high=1_000_000
)
REVIEW_MINUTES = _number("REVIEW_MINUTES", 2, low=1, high=480)
REVIEWER_HOURS_A_DAY = _number("REVIEWER_HOURS_A_DAY", 6, low=1, high=24)
# Reports: how often changed days are counted again, and how long one sweep may be busy with it.
REPORTS_REFRESH_S = _number("REPORTS_REFRESH_S", 20, low=1, high=3_600)
REPORTS_REFRESH_MS = _number("REPORTS_REFRESH_MS", 2_000, low=1, high=20_000)
# What two people judged: so many of the newest pairs are compared in a report.
JUDGED_TWICE_MAX = _number("JUDGED_TWICE_MAX", 5_000, low=100, high=100_000)
# An item that was kept open over lunch was not looked at for so long.
HANDLING_MINUTES_MAX = _number("HANDLING_MINUTES_MAX", 60, low=1, high=1_440)
CALIBRATION_LABELS_MAX = _number("CALIBRATION_LABELS_MAX", 10_000, low=100, high=1_000_000)
# What an hour of a reviewer costs, in minor units of a currency. 0: no cost is shown.
REVIEWER_HOUR_MINOR = _number("REVIEWER_HOUR_MINOR", 0, low=0, high=100_000_000)
REVIEWER_CURRENCY = _text("REVIEWER_CURRENCY", "EUR").upper()
# Whoever scrapes /metrics shows this token; without one there is no such page.
METRICS_TOKEN = _text("METRICS_TOKEN", "")
METRICS_CACHE_S = _number("METRICS_CACHE_S", 10, low=0, high=3_600)
METRICS_COUNT_MAX = _number("METRICS_COUNT_MAX", 100_000, low=100, high=10_000_000)
METRICS_AGENTS_MAX = _number("METRICS_AGENTS_MAX", 200, low=1, high=10_000)
PAGE_SIZE = _number("PAGE_SIZE", 50, low=5, high=500)
# Traces: what is kept of the pieces of a call and for how long, and how much of a run one page reads.
TRACE_TEXT_MAX = _number("TRACE_TEXT_MAX", 20_000, low=0, high=1_000_000)
TRACE_PIECES_MAX = _number("TRACE_PIECES_MAX", 200, low=0, high=10_000)
TRACE_KEEP_DAYS = _number("TRACE_KEEP_DAYS", 90, low=1, high=3_650)
TRACE_EVENTS_MAX = _number("TRACE_EVENTS_MAX", 5_000, low=100, high=100_000)
# Where an OpenTelemetry collector listens (OTLP over HTTP). Empty: nothing is sent.
OTEL_EXPORTER_OTLP_ENDPOINT = _text("OTEL_EXPORTER_OTLP_ENDPOINT", "")
OTEL_SERVICE_NAME = _text("OTEL_SERVICE_NAME", "countersign")
OTEL_RUNS_MAX = _number("OTEL_RUNS_MAX", 200, low=1, high=10_000)
API_WAIT_MAX_S = _number("API_WAIT_MAX_S", 25, low=0, high=120)

# Notifications: how people and other systems hear of what waits. Without EMAIL_URL no mail is sent.

EMAIL_URL = _text("EMAIL_URL", "")
DEFAULT_FROM_EMAIL = _text("DEFAULT_FROM_EMAIL", f"countersign@{urlsplit(BASE_URL).hostname}")
MAILERS = {"default": _mailer("EMAIL_URL", EMAIL_URL)}
# Webhooks go to public addresses alone, by https. These hosts may be anywhere, and be asked by http.
WEBHOOK_HOSTS_TRUSTED = _names("WEBHOOK_HOSTS_TRUSTED", "")
WEBHOOKS_MAX = _number("WEBHOOKS_MAX", 50, low=1, high=1_000)
# Mail waits a moment, so that what happens within it goes in one.
NOTICE_MAIL_WAIT_S = _number("NOTICE_MAIL_WAIT_S", 60, low=0, high=86_400)
# From this hour of Monday on, in UTC, the report of the week before is sent.
WEEKLY_REPORT_HOUR = _number("WEEKLY_REPORT_HOUR", 6, low=0, high=23)
NOTICE_RETRY_HOURS = _number("NOTICE_RETRY_HOURS", 24, low=1, high=720)
NOTICE_KEEP_DAYS = _number("NOTICE_KEEP_DAYS", 90, low=1, high=3_650)

if ESCALATE_AT_OR_BELOW >= ACCEPT_ABOVE:
    raise ImproperlyConfigured(
        f"ESCALATE_AT_OR_BELOW={ESCALATE_AT_OR_BELOW} must be lower than "
        f"ACCEPT_ABOVE={ACCEPT_ABOVE}; between the two lies the revise band."
    )

# Sign in: how often somebody may guess, how long a browser stays signed in, who needs a second factor.

SESSION_IDLE_MINUTES = _number("SESSION_IDLE_MINUTES", 120, low=1, high=525_600)
SIGN_IN_TRIES_PER_ACCOUNT = _number("SIGN_IN_TRIES_PER_ACCOUNT", 10, low=1, high=1_000)
SIGN_IN_TRIES_PER_ADDRESS = _number("SIGN_IN_TRIES_PER_ADDRESS", 50, low=1, high=100_000)
SIGN_IN_WINDOW_MINUTES = _number("SIGN_IN_WINDOW_MINUTES", 15, low=1, high=1_440)
STEP_UP_MINUTES = _number("STEP_UP_MINUTES", 15, low=0, high=1_440)
REQUIRE_MFA = _roles("REQUIRE_MFA", _names("REQUIRE_MFA", ""))
# An identity provider (OpenID Connect), beside user names and passwords. Empty: there is none.
OIDC_ISSUER = _issuer("OIDC_ISSUER", _text("OIDC_ISSUER", ""))
OIDC_NAME = _text("OIDC_NAME", "single sign-on")
OIDC_CLIENT_ID = _text("OIDC_CLIENT_ID", "")
OIDC_CLIENT_SECRET = _text("OIDC_CLIENT_SECRET", "")
OIDC_DEFAULT_ROLE = _role("OIDC_DEFAULT_ROLE", _text("OIDC_DEFAULT_ROLE", ""))
OIDC_GROUPS_CLAIM = _text("OIDC_GROUPS_CLAIM", "")
OIDC_GROUPS = _groups("OIDC_GROUPS", _names("OIDC_GROUPS", ""))

if OIDC_ISSUER and not OIDC_CLIENT_ID:
    raise ImproperlyConfigured(
        "OIDC_ISSUER is set and OIDC_CLIENT_ID is not. Set it to what the provider calls this instance."
    )

# Django --------------------------------------------------------------------------------------
# No django.contrib.admin: people change things only through actions, which audit them.
# No django_rq app: it would add RQ pages and a worker command that unpickles what it is handed.

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "orchestrator",
    "review",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "orchestrator.static_files.StaticFilesMiddleware",
    # Below the static files, which are compressed once and for all. It pads its answers, and
    # Django masks CSRF tokens anew each time, so that their length tells nothing.
    "django.middleware.gzip.GZipMiddleware",
    "review.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "review.middleware.ActivityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "review.middleware.ReaderTimeZoneMiddleware",
]
ROOT_URLCONF = "orchestrator.urls"
ASGI_APPLICATION = "orchestrator.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "review.context.page",
            ],
            "builtins": ["review.templatetags.countersign"],
        },
    }
]
FORM_RENDERER = "review.forms.Renderer"

# Cookies ignore ports, so two embedded instances on one machine would log each other out.
_cookie = (
    "_" + hashlib.sha256(str(VAR_DIR).encode()).hexdigest()[:8] if DATABASE_IS_EMBEDDED else ""
)
SESSION_COOKIE_NAME = f"countersign_session{_cookie}"
CSRF_COOKIE_NAME = f"countersign_csrf{_cookie}"
BROWSER_COOKIE_NAME = f"countersign_browser{_cookie}"
SESSION_ENGINE = "orchestrator.browser_sessions"
SESSION_COOKIE_AGE = _number("SESSION_HOURS", 12, low=1, high=8_760) * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BASE_URL.startswith("https://")
CSRF_TRUSTED_ORIGINS = _names("CSRF_TRUSTED_ORIGINS", BASE_URL)
CSRF_FAILURE_VIEW = "review.views.errors.csrf_failure"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"
# Of allauth only what is ours to say; counting guesses and asking again are our own.
ACCOUNT_ADAPTER = "review.account_adapters.AccountAdapter"
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_RATE_LIMITS = False
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
MFA_ADAPTER = "review.account_adapters.MfaAdapter"
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RATE_LIMITS = False
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TOTP_TOLERANCE = 1
SOCIALACCOUNT_ADAPTER = "review.account_adapters.IdentityAdapter"
SOCIALACCOUNT_EMAIL_VERIFICATION = "none"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

SECURE_CSP = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF],
    "style-src": [CSP.SELF],
    "img-src": [CSP.SELF, "data:"],
    "connect-src": [CSP.SELF],
    "font-src": [CSP.SELF],
    "form-action": [CSP.SELF],
    "base-uri": [CSP.NONE],
    "frame-ancestors": [CSP.NONE],
}
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SECURE_HSTS_SECONDS = 31_536_000 if BASE_URL.startswith("https://") else 0
if WEB_PROXY_TRUSTED:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# Redirects to https, subdomains and preload lists are the reverse proxy's to decide, not ours.
# Nor whether there is mail: without EMAIL_URL there is none, and pages say so.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W008", "security.W021", "mail.E001"]

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    # RQ writes three lines for every ring of the bell.
    # Every mistyped address is a warning of Django's, as long as whoever typed it likes.
    # And the client of models a line for every request, with its address.
    "loggers": {
        "rq": {"level": "WARNING"},
        "django.request": {"level": "ERROR"},
        "httpx2": {"level": "WARNING"},
        "openai": {"level": "WARNING"},
    },
}
