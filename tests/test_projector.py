"""The process beside a server, which derives the state while very much comes in."""

from __future__ import annotations

import os
import resource
from contextlib import ExitStack

from child import prepare
from conftest import wait_for
from hostile import ON_SQLITE

from server.projector import Helper


@ON_SQLITE
def test_it_takes_over_in_a_server_with_more_than_a_thousand_open_files(settings):
    prepare(settings)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, before[1]), before[1]))
    try:
        with ExitStack() as opened:
            for _ in range(1100):
                opened.callback(os.close, os.open(os.devnull, os.O_RDONLY))
            helper = Helper(settings)
            opened.callback(helper.close)
            wait_for(lambda: helper.takes_over() and helper._is_ready, timeout_s=60)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
