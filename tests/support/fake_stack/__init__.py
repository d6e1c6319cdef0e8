"""A server that answers as Stack's REST API and Svix's do, over real HTTP, and the project whose truth it holds.

Most tests change the project in Python; each change tells which webhooks Stack would send.
"""

from tests.support.fake_stack.project import Project
from tests.support.fake_stack.serving import FakeStack, serving
from tests.support.fake_stack.state import Event
from tests.support.fake_stack.versions import Replica

__all__ = ["Event", "FakeStack", "Project", "Replica", "serving"]
