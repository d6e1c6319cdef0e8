"""The router's list: every address of the console, with its method and the least role that may ask."""

from consumer.console import (
    actions,
    bulk,
    companies,
    dead,
    deliveries,
    delivery,
    find,
    live,
    overview,
    public,
    recovery,
    reveal,
    sign_in,
    subjects,
    system,
    test_delivery,
    users,
)
from consumer.console.visit import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (
    *overview.ENDPOINTS,
    *deliveries.ENDPOINTS,
    *delivery.ENDPOINTS,
    *dead.ENDPOINTS,
    *users.ENDPOINTS,
    *companies.ENDPOINTS,
    *find.ENDPOINTS,
    *reveal.ENDPOINTS,
    *recovery.ENDPOINTS,
    *actions.ENDPOINTS,
    *bulk.ENDPOINTS,
    *subjects.ENDPOINTS,
    *system.ENDPOINTS,
    *test_delivery.ENDPOINTS,
    *live.ENDPOINTS,
    *sign_in.ENDPOINTS,
    *public.ENDPOINTS,
)
# The first steps of the addresses.
STEPS = frozenset(endpoint.path.split("/")[1] for endpoint in ENDPOINTS) - {""}
