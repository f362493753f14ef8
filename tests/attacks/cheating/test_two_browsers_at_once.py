"""The holder opens the same part in many windows in the same moment, so that the acts get lost between them. None does."""

import threading
from concurrent.futures import ThreadPoolExecutor


def test_P11_each_window_is_an_act_with_its_own_entry(desk, sam, grant, message, canary):
    gate = threading.Barrier(6)

    def open_it(_window):
        gate.wait()
        return desk.read(sam, grant, message)

    with ThreadPoolExecutor(6) as windows:
        contents = list(windows.map(open_it, range(6)))
    assert all(canary.encode() in one for one in contents)
    assert [act[0] for act in desk.acts(grant)] == [1, 2, 3, 4, 5, 6]
    assert len(desk.events("access.opened")) == 6
