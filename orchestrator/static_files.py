"""Static files as plain bytes.

WhiteNoise streams an open file. Under ASGI Django would have to drain that synchronous stream in a
thread and warns about it; our files are small, so the whole answer is read at once.
"""

from django.http import HttpRequest, HttpResponse
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.responders import StaticFile


class StaticFilesMiddleware(WhiteNoiseMiddleware):  # type: ignore[misc]  # it ships no types
    @staticmethod
    def serve(static_file: StaticFile, request: HttpRequest) -> HttpResponse:
        answer = static_file.get_response(request.method, request.META)
        content = b""
        if answer.file is not None:
            with answer.file as file:
                content = file.read()
        response = HttpResponse(content, status=int(answer.status))
        # WhiteNoise brings the headers of the file; Django's guess at a type would be wrong.
        del response["Content-Type"]
        for name, value in answer.headers:
            response[name] = value
        return response
