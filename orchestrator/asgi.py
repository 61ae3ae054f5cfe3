"""The web application under ASGI."""

import gc
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator.settings")
# Each request runs on a thread of its own; without a pool each would open its own connection.
os.environ.setdefault("DATABASE_POOL_MAX", "16")

from django.core.asgi import get_asgi_application
from django.urls import get_resolver

from orchestrator.api.body_limit import BodyLimit

application = BodyLimit(get_asgi_application())

# Every view is imported now rather than while somebody waits. What is loaded by then stays until the
# end: looking through it for garbage again and again would hold up a request for a fifth of a second.
_ = get_resolver().url_patterns
gc.collect()
gc.freeze()
