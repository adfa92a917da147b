"""The Python client, in each of its ways to agree on a version: the handshake (legacy), asking the server (auto), or no
negotiation at all (the version's name). Checks what the clients in JavaScript check."""

import asyncio
import json
import os
import sys
import traceback
import urllib.request
import warnings

warnings.simplefilter("ignore")

import httpx2  # noqa: E402
import mcp_types as types  # noqa: E402
from mcp import Client, StdioServerParameters  # noqa: E402
from mcp.client.sse import sse_client  # noqa: E402
from mcp.client.streamable_http import streamable_http_client  # noqa: E402

transport, era = sys.argv[1:]
version = "2025-11-25" if era == "legacy" else "2026-07-28"
tools = sorted(os.environ["INTEROP_TOOLS"].split(","))
sandbox, server, keyless = (os.environ.get(f"INTEROP_{name}") for name in ("SANDBOX", "SERVER", "KEYLESS"))
key, other_key = os.environ["INTEROP_KEY"], os.environ["INTEROP_OTHER_KEY"]

YES = types.ElicitResult(action="accept", content={"confirm": True})
NO = types.ElicitResult(action="decline")
UNTICKED = types.ElicitResult(action="accept", content={"confirm": False})


def where(base, bearer):
    if transport == "stdio":
        environment = {
            "POSTHOG_HOST": sandbox,
            "POSTHOG_PROJECT_ID": "1",
            "POSTHOG_PERSONAL_API_KEY": key,
            "POSTHOG_MCP_LOG": "trace",
        }
        return StdioServerParameters(command=os.environ["INTEROP_BINARY"], args=["stdio"], env=environment)
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    if transport == "sse":
        return sse_client(f"{base}/sse", headers=headers)
    return streamable_http_client(f"{base}/mcp", http_client=httpx2.AsyncClient(headers=headers, timeout=30))


def connect(answer=None, asked=None, base=server, bearer=None):
    """A client whose human gives this answer; without one, it cannot ask anybody."""

    async def ask(_, params):
        asked.append(params.message)
        return answer

    return Client(where(base, bearer), mode=era, elicitation_callback=ask if answer else None)


def deletions():
    """The deletions that have arrived at the sandbox, in the sandbox's own record."""
    with urllib.request.urlopen(f"{sandbox}/sandbox/requests") as answer:
        requests = json.load(answer)["requests"]
    return [r for r in requests if r["method"] == "POST" and r["path"].endswith("/persons/bulk_delete/")]


class Sends:
    """Checks that so many deletions arrive inside the block."""

    def __init__(self, expected):
        self.expected, self.before = expected, len(deletions())

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            sent = deletions()[self.before :]
            assert len(sent) == self.expected, f"{len(sent)} deletions reached the sandbox"


def find(client):
    return client.call_tool("persons-list", {"email": "ada@example.com"})


def remove(client, distinct_id, **more):
    return client.call_tool("persons-bulk-delete", {"distinct_ids": [distinct_id], **more})


def text(result):
    return "\n".join(block.text for block in result.content)


def assert_found(result):
    assert not result.is_error, text(result)
    assert "ada@example.com" in text(result), text(result)
    assert len(result.structured_content["results"]) == 1


def assert_queued(result):
    assert not result.is_error, text(result)
    assert text(result).startswith("Queued, not done yet"), text(result)
    assert result.structured_content["status"] == "queued"


def assert_refused(result):
    assert result.is_error, text(result)
    assert "Nothing was sent" in text(result), text(result)


async def asks(answer, distinct_id, **options):
    asked = []
    async with connect(answer, asked, **options) as client:
        result = await remove(client, distinct_id)
    assert len(asked) == 1, f"{len(asked)} questions"
    assert asked[0].startswith("Delete 1 person from PostHog project 1"), asked[0]
    assert f'"{distinct_id}@example.org"' in asked[0], asked[0]
    return result


async def lists():
    async with connect() as client:
        assert client.protocol_version == version, client.protocol_version
        assert sorted(tool.name for tool in (await client.list_tools()).tools) == tools


async def finds():
    async with connect() as client:
        assert_found(await find(client))


async def says_yes():
    with Sends(1):
        assert_queued(await asks(YES, "qa-1"))


async def says_no():
    with Sends(0):
        assert_refused(await asks(NO, "qa-2"))


async def leaves_unticked():
    with Sends(0):
        assert_refused(await asks(UNTICKED, "qa-3"))


async def uses_token():
    async with connect() as client:
        with Sends(0):
            preview = await remove(client, "qa-4")
            assert text(preview).startswith("Nothing was sent yet"), text(preview)
        token = preview.structured_content["confirmation"]
        with Sends(0):
            assert_refused(await remove(client, "qa-5", confirmation=token))
        with Sends(1):
            assert_queued(await remove(client, "qa-4", confirmation=token))
        with Sends(0):
            assert_refused(await remove(client, "qa-4", confirmation=token))


async def is_refused():
    with Sends(0):
        async with connect() as client:
            assert_refused(await remove(client, "qa-4"))


async def is_not_let_in():
    for bearer in (None, "phc_project_key"):
        try:
            async with connect(base=keyless, bearer=bearer) as client:
                await client.list_tools()
        except Exception:  # However this client puts it.
            continue
        raise AssertionError("let in")


async def brings_its_key():
    own = {"base": keyless, "bearer": other_key}
    async with connect(**own) as client:
        assert_found(await find(client))
    with Sends(1):
        assert_queued(await asks(YES, "qa-5", **own))
    headers = dict(deletions()[-1]["headers"])
    assert headers["authorization"] == f"Bearer {other_key}", "PostHog saw another key"


CHECKS = [
    (f"speaks {version}, and lists the {len(tools)} tools", lists),
    ("finds a person", finds),
    ("deletes after one question and a yes", says_yes),
    ("sends nothing after a no", says_no),
    ("sends nothing while the box is not ticked", leaves_unticked),
]
if transport == "stdio":
    CHECKS += [("deletes with the token where nobody can be asked, once", uses_token)]
else:
    CHECKS += [
        ("is refused a deletion where nobody can be asked", is_refused),
        ("is not let in without a key of its own", is_not_let_in),
        ("reads and deletes with a key of its own", brings_its_key),
    ]

for name, check in CHECKS:
    try:
        asyncio.run(check())
    except Exception as error:
        print(f"FAILED {name}: {str(error).splitlines()[:1]}", flush=True)
        traceback.print_exc()
        sys.exit(1)
    print(f"ok {name}", flush=True)
