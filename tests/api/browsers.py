"""Browsers that are signed in, and the forms that they send."""

import re
from uuid import uuid4

from httpx import AsyncClient, Response

from tests.api.conftest import Service


class Browser:
    """A browser that signed in with a key; it sends forms as our pages have them."""

    def __init__(self, client: AsyncClient, csrf: str) -> None:
        self.client = client
        self.csrf = csrf

    async def get(self, path: str, **headers: str) -> Response:
        """A page."""
        return await self.client.get(path, headers=headers)

    async def send(self, path: str, **fields: str | list[str]) -> Response:
        """A form, with the token of the session."""
        return await self.client.post(path, data={"csrf": self.csrf, **fields})


async def browser(service: Service, role: str = "admin") -> Browser:
    """A browser with a key of our company."""
    client = service.with_token(None)
    answer = await client.post("/sign-in", data={"key": service.tokens[service.ours, role]})
    assert answer.status_code == 303, answer.text
    return Browser(client, (await client.get("/api/me")).json()["csrfToken"])


def once() -> str:
    """What a form has that is to be carried out once."""
    return uuid4().hex


def main(answer: Response) -> str:
    """What a page is about, without its frame, notices and texts for scripts."""
    found = re.search(r"<main.*?</main>", answer.text, re.DOTALL)
    assert found, answer.text
    return found[0]
