"""Bugs that somebody could write, each with the test that must notice."""

from tests.planted.acting import CONSOLE_ACTING
from tests.planted.api import API, SVIX
from tests.planted.application import APPLICATION
from tests.planted.browser import BROWSER
from tests.planted.console import CONSOLE
from tests.planted.deploy import DEPLOY
from tests.planted.domain import DOMAIN
from tests.planted.erasing import ERASING
from tests.planted.leaving import LEAVING
from tests.planted.looking import LOOKING
from tests.planted.looking_up import LOOKING_UP
from tests.planted.machinery import MACHINERY
from tests.planted.maintaining import MAINTAINING
from tests.planted.masking import MASKING
from tests.planted.migrating import MIGRATING
from tests.planted.migrations import MIGRATIONS
from tests.planted.notifying import NOTIFYING
from tests.planted.observing import OBSERVING
from tests.planted.operations import OPERATIONS
from tests.planted.own_backend import OWN_BACKEND
from tests.planted.pages import PAGES
from tests.planted.past import PAST
from tests.planted.reconciling import RECONCILING
from tests.planted.releases import RELEASES
from tests.planted.results import CONSOLE_RESULTS
from tests.planted.retention import RETENTION
from tests.planted.rights import RIGHTS
from tests.planted.senders import SENDER_BUGS
from tests.planted.set_aside import SET_ASIDE
from tests.planted.strangers import STRANGERS
from tests.planted.system import SYSTEM
from tests.planted.trust import TRUST
from tests.planted.verdicts import VERDICTS
from tests.planted.verify import VERIFY

BUGS = (
    *MACHINERY,
    *OPERATIONS,
    *DOMAIN,
    *MIGRATIONS,
    *MIGRATING,
    *RIGHTS,
    *OWN_BACKEND,
    *APPLICATION,
    *RELEASES,
    *STRANGERS,
    *TRUST,
    *ERASING,
    *RETENTION,
    *PAST,
    *API,
    *MAINTAINING,
    *NOTIFYING,
    *VERIFY,
    *PAGES,
    *DEPLOY,
    *SET_ASIDE,
    *LEAVING,
    *SVIX,
    *RECONCILING,
    *MASKING,
    *OBSERVING,
    *VERDICTS,
    *SENDER_BUGS,
    *LOOKING_UP,
    *CONSOLE,
    *CONSOLE_ACTING,
    *CONSOLE_RESULTS,
    *SYSTEM,
    *LOOKING,
    *BROWSER,
)
