"""The whole htmx policy: who asked for a fragment, and when "nothing is new" is the answer."""

import hashlib

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import patch_vary_headers

TAG_LENGTH = 20


def is_partial(request: HttpRequest) -> bool:
    return request.headers.get("HX-Request") == "true"


def tag_of(*facts: object) -> str:
    """A short name for what a live part shows; equal facts have equal tags."""
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:TAG_LENGTH]


def is_unchanged(request: HttpRequest, tag: str) -> bool:
    return request.headers.get("HX-PTag") == tag


def not_modified(tag: str) -> HttpResponse:
    return with_tag(HttpResponse(status=304), tag)


def with_tag(response: HttpResponse, tag: str) -> HttpResponse:
    response["HX-PTag"] = tag
    return response


def separate_fragments(response: HttpResponseBase) -> None:
    """A page and its fragment share an address; no cache may hand out one for the other."""
    patch_vary_headers(response, ["HX-Request"])


def aim(response: HttpResponse, target: str, swap: str) -> HttpResponse:
    """Where a fragment goes when the answer is not what the request hoped for."""
    response["HX-Retarget"] = target
    response["HX-Reswap"] = swap
    return response


def send_to_notice(response: HttpResponse) -> HttpResponse:
    """A refusal goes to the notice line of the page, never into whatever the request aimed at."""
    return aim(response, "#notice", "innerHTML")
