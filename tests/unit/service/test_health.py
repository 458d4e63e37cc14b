"""Health checks, and the port that answers them for a service without another one."""

import asyncio
import socket

import pytest

from relate_service.health import check, main
from relate_service.health_port import HOST, answer_checks
from relate_wire.accepting import CannotListen


def free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def test_a_check_tells_whether_the_service_runs() -> None:
    port, running = free_port(), True
    async with answer_checks(port, lambda: running, "Relay__HealthPort"):
        assert await asyncio.to_thread(main, [f"relay:{port}"]) is None
        running = False
        error = await asyncio.to_thread(check, "relay", port)
        assert error is not None
        assert "not running" in error
    stopped = await asyncio.to_thread(main, [f"relay:{port}"])
    assert stopped is not None
    assert f"relay:{port}: " in stopped


async def test_a_port_in_use_is_named_with_its_variable() -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen, match=rf"port {port}.*Relay__HealthPort sets the port"):
            async with answer_checks(port, lambda: True, "Relay__HealthPort"):
                pass
