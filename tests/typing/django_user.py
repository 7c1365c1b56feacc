"""A Django user's code, for the type checkers."""

from collections.abc import AsyncIterator, Iterator
from typing import assert_type

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.urls import path
from django.views import View

from streamkit_adapters.django import StreamingResponse, StreamingService, metrics

urlpatterns = [path("metrics", metrics)]


def orders(request: HttpRequest) -> StreamingHttpResponse:
    response = StreamingService.export("orders", [{"id": 1}], "csv")
    assert_type(response, StreamingResponse)
    response.set_cookie("seen", "yes")
    response["Cache-Control"] = "no-store"
    return response


def lines(users: Iterator[User]) -> Iterator[bytes]:
    for user in users:
        yield user.username.encode()


async def names() -> AsyncIterator[str]:
    async for user in User.objects.all():
        yield user.username


class Users(View):
    def get(self, request: HttpRequest) -> HttpResponseBase:
        users = User.objects.filter(is_active=True)
        return StreamingService.export("users", users, "csv", lambda user: user.username)


assert_type(StreamingService.export("users", User.objects.values(), "json"), StreamingResponse)
assert_type(StreamingService.sse("names", names(), str.upper), StreamingResponse)
assert_type(
    StreamingService.download(lines(User.objects.iterator()), filename="names.txt"),
    StreamingResponse,
)
