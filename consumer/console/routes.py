"""The router's list: every address of the console, with its method and the least role that may ask."""

from consumer.console import actions, bulk, live, overview, public, sign_in, system
from consumer.console.visit import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (
    *overview.ENDPOINTS,
    *actions.ENDPOINTS,
    *bulk.ENDPOINTS,
    *system.ENDPOINTS,
    *live.ENDPOINTS,
    *sign_in.ENDPOINTS,
    *public.ENDPOINTS,
)
# The first steps of the addresses.
STEPS = frozenset(endpoint.path.split("/")[1] for endpoint in ENDPOINTS) - {""}
