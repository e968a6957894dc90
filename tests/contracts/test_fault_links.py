from pathlib import Path
from fault_scene import *
import pytest
from bot.sim.faults.link_faults import Drop
@pytest.mark.parametrize("when", ["before", "after_execution", "after_reply"])
@pytest.mark.parametrize("name", EVERY_REQUEST)
def test_drop(name, when, tmp_path):
    scene = Scene(tmp_path).on_request(name, Drop(when))
    scene.a_day().check()
    assert scene.has_struck(Drop, 2)
