"""
For tests of programs that use models: the simulator for any client, and the check that nothing stays open.

`check_provider` and `check_pacer` run one that was written elsewhere against its contract, rule by rule.
`assert_idle` looks at what a provider, a gateway or a stream still holds. `simulator_in_background` runs the simulator
beside a test of any client. As fixtures, both come with pytest by themselves: see docs/testing.md.
"""

from ._background import BackgroundSimulator, SimulatorOptions, simulator_in_background
from ._idle import assert_idle, assert_idle_now
from ._pacer import check_pacer
from ._provider import check_provider

__all__ = (
    "BackgroundSimulator",
    "SimulatorOptions",
    "assert_idle",
    "assert_idle_now",
    "check_pacer",
    "check_provider",
    "simulator_in_background",
)
