"""For servers that speak WSGI. Live pages and MCP need ASGI; `make up` uses asgi.py."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator.settings")

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
