"""Is the address free, before anything is started for it?"""

import socket

import psutil

from orchestrator.embedded.errors import CannotStart


def refuse_taken_port(host: str, port: int) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the web server does; without it a port closed a moment ago would look taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror as error:
        raise CannotStart(
            f"HOST={host} is no address of this machine ({error.strerror})."
        ) from error
    except PermissionError as error:
        raise CannotStart(
            f"Port {port} may only be opened by root. Nothing was started. "
            "Choose one above 1023: PORT=8123 make up"
        ) from error
    except OSError as error:
        raise CannotStart(
            f"{host}:{port} cannot be opened: {error.strerror}{_describe_holder(port)}. Nothing "
            f"was started. End that program, or choose another port: PORT=8123 make up"
        ) from error


def _describe_holder(port: int) -> str:
    try:
        for found in psutil.net_connections("tcp"):
            if found.pid and found.status == psutil.CONN_LISTEN and found.laddr[1:] == (port,):
                return f" by {psutil.Process(found.pid).name()} (pid {found.pid})"
    except psutil.Error:
        pass
    return ""
