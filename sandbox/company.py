from sandbox.clock import Clock
from sandbox.ledger import Ledger


def sample_companies(clock: Clock) -> list[Ledger]:
    return []
