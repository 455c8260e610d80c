"""The kernel's rules are loaded anew when a change is refused or somebody harmed them."""

from __future__ import annotations

import asyncio
import errno
import itertools

import pytest

from reconciler.model.service import Service
from reconciler.proxy.nft import NftError
from tests.unit.proxy.builders import make_service, make_slice
from tests.unit.proxy.world import running, until


@pytest.mark.parametrize(
    "refusal", [NftError("refused"), OSError(errno.EBUSY, "nftables changes too fast to be read")]
)
async def test_a_refused_change_becomes_a_whole_load(refusal: Exception) -> None:
    async with running() as world:
        kernel = world.kernel
        await until(lambda: kernel.replaced)
        kernel.refusal = refusal
        kernel.refusals = 3
        service = await world.client.create(make_service())
        await until(lambda: kernel.replaced == 2)
        assert kernel.backends(service.spec.cluster_ip) == {"reset"}


@pytest.mark.parametrize("harmed", [True, False])
async def test_only_a_harmed_table_is_mended(harmed: bool) -> None:
    async with running() as world:
        kernel = world.kernel
        service = await world.client.create(make_service())
        await world.client.create(make_slice("10.244.0.6", version=""))
        await until(lambda: kernel.table.maps.get("endpoints-tcp"))
        if harmed:
            kernel.table.maps["services"].clear()
        kernel.disturbed = True
        if harmed:
            await until(lambda: kernel.replaced == 2)
            assert kernel.backends(service.spec.cluster_ip) == {"10.244.0.6"}
        else:
            await asyncio.sleep(0.2)
            assert kernel.replaced == 1


async def test_a_harmed_table_is_mended_while_one_change_follows_the_other() -> None:
    async with running() as world:
        kernel = world.kernel
        await world.client.create(make_service())
        await until(lambda: kernel.table.maps.get("services"))

        async def change() -> None:
            for port in itertools.cycle((80, 81)):
                now = await world.client.get(Service, "web", "shop")
                ports = (now.spec.ports[0].replace(port=port),)
                await world.client.update(now.replace(spec=now.spec.replace(ports=ports)))
                await asyncio.sleep(0)  # the others' turn

        busy = asyncio.create_task(change())
        kernel.table.maps["services"]["harm"] = "drop"
        kernel.disturbed = True
        await until(lambda: kernel.replaced == 2)
        assert "harm" not in kernel.table.maps["services"]
        busy.cancel()
