"""The operator's pages.

How a page is added:

- A module here, named after its page, holds `ENDPOINTS`, a tuple of `Endpoint(method, path, role, handle)`, and
  `routes.py` lists the tuples. That list is the router: a test walks it with nobody, a viewer and an operator, and
  has a row for each. *role* is the least one that may ask: `nobody`, `viewer` or `operator`. What needs another role
  never reaches *handle*.
- *handle* is `async def show(visit: Visit) -> Response`. It reads by `await visit.read(work)`, where `work(conn)`
  runs in one READ ONLY transaction of the viewer's role, and answers by `visit.page("name.html", title="…", …)`. An
  operator's POST changes by `async with visit.acting() as (conn, access)`, opens its own `transaction(conn, access)`,
  and answers by `visit.redirect("/path")`, a 303. `visit.form` holds the fields of a POST, `visit.query` those of the
  address, `visit.params` those of the path, `visit.person` name and role, `visit.actor` the same for an action.
- A template in `templates/` extends `base.html`, sets `here` to the path of its link on the side, and writes every
  address as `{{ url('/path') }}`: the console may lie below a path. `parts.html` has the macros (icon, state, times,
  numbers). Nothing is inline: no script, no style, no `hx-on`. A form is plain HTML with `method="post"` and works
  without JavaScript; `data-dialog` on a link lifts the confirmation page behind it into a dialog: what is in its
  element with the id `confirm`, a `header`, a `div class="body"` and a `footer`; `data-close` on Cancel closes it.
- `may_act` in a template says whether the person is an operator and the database is there; without it an action is
  shown with `aria-disabled`.
- The queries of a page lie in `sql/queries/<module>/` or belong to `outbox` and `operations`. Those of a viewer read
  the views of the schema `consumer_masked` and nothing else.
- A database that is away, a missing migration, a question that takes too long, a refusal and a missing page are
  answered by `app.py`, not by the pages.
"""
