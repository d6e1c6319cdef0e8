"""Somebody who acts on stored data, for tests that call an operation without its command."""

from consumer.operations.actions import Action, ActionName, Actor


def action(name: ActionName) -> Action:
    """Return an action of a name that no test looks for."""
    return Action(Actor("somebody@somewhere", "cli"), name)
