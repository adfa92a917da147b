"""The Python client, with each kind of version negotiation: the handshake (legacy), discovery (auto), or a pinned version
(its name). Runs the same checks as the JavaScript clients."""

import asyncio
import json
import os
import re
import sys
import traceback
import urllib.parse
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

ACCEPT = types.ElicitResult(action="accept", content={"confirm": True})
DECLINE = types.ElicitResult(action="decline")
UNTICKED = types.ElicitResult(action="accept", content={"confirm": False})


def target(base, bearer):
    if transport == "stdio":
        environment = {
            "POSTHOG_HOST": sandbox,
            "POSTHOG_PROJECT_ID": "1",
            "POSTHOG_PERSONAL_API_KEY": key,
            "POSTHOG_MCP_LOG": "trace",
        }
        return StdioServerParameters(command=os.environ["INTEROP_BINARY"], args=["stdio", "--structured", "on"], env=environment)
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    if transport == "sse":
        return sse_client(f"{base}/sse", headers=headers)
    return streamable_http_client(f"{base}/mcp", http_client=httpx2.AsyncClient(headers=headers, timeout=30))


def connect(reply=None, asked=None, base=server, bearer=None):
    """A client whose user gives this reply to an elicitation; without one, it does not support elicitation."""

    async def callback(_, params):
        asked.append(params.message)
        return reply

    return Client(target(base, bearer), mode=era, elicitation_callback=callback if reply else None)


def deletions():
    """The deletions that the sandbox has received."""
    with urllib.request.urlopen(f"{sandbox}/sandbox/requests") as response:
        requests = json.load(response)["requests"]
    return [r for r in requests if r["method"] == "POST" and r["path"].endswith("/persons/bulk_delete/")]


class Sends:
    """Checks that the sandbox receives `expected` deletions inside the block."""

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


async def elicit(reply, distinct_id, **options):
    asked = []
    async with connect(reply, asked, **options) as client:
        result = await remove(client, distinct_id)
    assert len(asked) == 1, f"{len(asked)} questions"
    assert asked[0].startswith("Delete 1 person for good"), asked[0]
    assert f'"{distinct_id}@example.org"' in asked[0], asked[0]
    return result


async def lists_tools():
    async with connect() as client:
        assert client.protocol_version == version, client.protocol_version
        assert sorted(tool.name for tool in (await client.list_tools()).tools) == tools


async def finds_person():
    async with connect() as client:
        assert_found(await find(client))


async def deletes_after_accept():
    with Sends(1):
        assert_queued(await elicit(ACCEPT, "qa-1"))


async def sends_nothing_after_decline():
    with Sends(0):
        assert_refused(await elicit(DECLINE, "qa-2"))


async def sends_nothing_unticked():
    with Sends(0):
        assert_refused(await elicit(UNTICKED, "qa-3"))


def approve(result):
    """Presses the button of the approval page that a result names, as a browser would."""
    url = re.search(r"^http://\S+$", text(result), re.MULTILINE)[0]
    with urllib.request.urlopen(url) as page:
        form = re.search(r'name="form" value="(\w+)"', page.read().decode())[1]
    body = urllib.parse.urlencode({"form": form, "answer": "approve"}).encode()
    origin = url.rpartition("/")[0]
    # Follows the redirect to the outcome.
    urllib.request.urlopen(urllib.request.Request(url, body, {"Origin": origin})).close()


async def deletes_after_approval():
    async with connect() as client:
        with Sends(0):
            preview = await remove(client, "qa-4")
            assert text(preview).startswith("Nothing was sent yet"), text(preview)
        token = preview.structured_content["confirmation"]
        with Sends(0):
            assert_refused(await remove(client, "qa-5", confirmation=token))
            await asyncio.to_thread(approve, preview)
        with Sends(1):
            assert_queued(await remove(client, "qa-4", confirmation=token))
        with Sends(0):
            assert_refused(await remove(client, "qa-4", confirmation=token))


async def rejects_without_elicitation():
    with Sends(0):
        async with connect() as client:
            assert_refused(await remove(client, "qa-4"))


async def rejects_without_key():
    for bearer in (None, "phc_project_key"):
        try:
            async with connect(base=keyless, bearer=bearer) as client:
                await client.list_tools()
        except Exception:  # The client decides the type.
            continue
        raise AssertionError("the request was accepted")


async def uses_key_of_request():
    own = {"base": keyless, "bearer": other_key}
    async with connect(**own) as client:
        assert_found(await find(client))
    with Sends(1):
        assert_queued(await elicit(ACCEPT, "qa-5", **own))
    headers = dict(deletions()[-1]["headers"])
    assert headers["authorization"] == f"Bearer {other_key}", "PostHog received another key"


CHECKS = [
    (f"speaks {version}, and lists the {len(tools)} tools", lists_tools),
    ("finds a person", finds_person),
    ("deletes after one question is accepted", deletes_after_accept),
    ("sends nothing after a decline", sends_nothing_after_decline),
    ("sends nothing while the box is not ticked", sends_nothing_unticked),
]
if transport == "stdio":
    CHECKS += [("deletes once after the approval on the page without elicitation", deletes_after_approval)]
else:
    CHECKS += [
        ("rejects a deletion without elicitation", rejects_without_elicitation),
        ("rejects a request without an API key", rejects_without_key),
        ("reads and deletes with the key of the request", uses_key_of_request),
    ]

for name, check in CHECKS:
    try:
        asyncio.run(check())
    except Exception as error:
        print(f"FAILED {name}: {str(error).splitlines()[:1]}", flush=True)
        traceback.print_exc()
        sys.exit(1)
    print(f"ok {name}", flush=True)
