// What moves on the pages: liveness, charts, keys, times, dialogs. Without it everything else works.
(() => {
  "use strict";
  // Five pauses of the sampler.
  const SILENCE_MS = 10000;
  const $ = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const base = document.body.dataset.base;
  const go = (path) => location.assign(base.replace(/\/$/, "") + path);
  const two = (number) => String(number).padStart(2, "0");
  // Times are in UTC; the reader may want those of the browser's zone, with the day as the pages write it.
  let isLocal = localStorage.getItem("local-times") === "yes";
  const clock = (date) => isLocal
    ? [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":")
    : date.toISOString().slice(11, 19);
  const day = (date) => date.toDateString() === new Date().toDateString()
    ? ""
    : `${date.getDate()}\u00a0${date.toLocaleString("en", { month: "short" })}, `;
  document.documentElement.classList.add("js");

  // Liveness. A page whose stream is silent greys, says since when, and goes on by itself.
  const live = $("#live");
  let framedAt = new Date();
  let askedAt = framedAt;
  let isPaused = false;
  const stopped = (words) => {
    const state = $("#live-state");
    state.replaceChildren(Object.assign(document.createElement("span"), { className: "warn-t", textContent: words }));
  };
  live?.addEventListener("htmx:sse:before:message", (event) => {
    framedAt = new Date();
    if (isPaused) event.preventDefault();
  });
  live?.addEventListener("ended", () => location.assign(document.body.dataset.login));
  setInterval(() => {
    const now = new Date();
    if (!live || isPaused || document.hidden || now - framedAt < SILENCE_MS) return;
    // htmx goes on with a stream that has begun, and leaves one whose first request failed.
    if (now - askedAt >= SILENCE_MS) { askedAt = now; htmx.trigger(live, "again"); }
    if (document.documentElement.classList.contains("stale")) return;
    document.documentElement.classList.add("stale");
    stopped(`Stopped at ${clock(framedAt)}`);
  }, 1000);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) framedAt = new Date();
  });
  const pause = () => {
    isPaused = !isPaused;
    $("#pause-live").setAttribute("aria-pressed", String(isPaused));
    if (isPaused) stopped(`Paused at ${clock(new Date())}`);
  };
  $("#pause-live")?.addEventListener("click", pause);

  // Charts are drawn from the table beside each, which is their text.
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const LINES = { s1: ["--series-1"], s2: ["--series-2", [5, 3]], s3: ["--soft", [2, 3]], s4: ["--bad", [1, 2]] };
  const plots = new Map();
  const data = (table) => {
    const rows = all("tbody tr", table).reverse();
    const times = rows.map((row) => Date.parse($("time", row).dateTime) / 1000);
    const columns = all("thead th", table).slice(1);
    return [times, ...columns.map((_, at) => rows.map((row) => {
      const text = row.cells[at + 1].textContent.replaceAll(",", "").trim();
      return text === "–" || text === "" ? null : Number(text);
    }))];
  };
  const draw = (figure) => {
    const table = $("table", figure.parentElement);
    if (!table || !table.tBodies[0]?.rows.length) return;
    const values = data(table);
    const known = plots.get(figure);
    if (known && figure.contains(known.root)) {
      known.setData(values);
      return;
    }
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--hair"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
    const series = all("thead th", table).slice(1).map((head) => {
      const [name, dash] = LINES[head.dataset.line];
      return { label: head.textContent, stroke: colour(name), dash, width: 1.6, points: { show: false } };
    });
    figure.replaceChildren();
    plots.set(figure, new uPlot({
      width: figure.clientWidth || 300,
      height: 160,
      tzDate: (seconds) => isLocal ? new Date(seconds * 1000) : uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      legend: { show: false },
      cursor: { show: false },
      // Around a single step uPlot would show 1,000 days.
      scales: { x: { range: ({ data: [times] }) => [Math.min(times[0], times.at(-1) - 900), times.at(-1)] }, y: { range: (_, __, most) => [0, Math.max(1, most * 1.1)] } },
      axes: [{ ...axis, space: 60, size: 28, values: (_, splits) => splits.map((s) => clock(new Date(s * 1000)).slice(0, 5)) }, { ...axis, size: 44 }],
      series: [{}, ...series],
    }, values, figure));
  };
  const drawAll = () => all("figure[data-chart]").forEach(draw);
  const drawAnew = () => { plots.clear(); drawAll(); };
  addEventListener("resize", () => plots.forEach((plot, figure) => plot.setSize({ width: figure.clientWidth, height: 160 })));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAnew);

  const showTimes = () => {
    if (!isLocal) return;
    all("time[datetime]").forEach((time) => {
      const at = new Date(time.dateTime);
      time.textContent = day(at) + clock(at);
    });
    $("#zone").textContent = Intl.DateTimeFormat().resolvedOptions().timeZone;
    $("#local-times").textContent = "show UTC";
  };
  $("#local-times")?.addEventListener("click", () => {
    isLocal = !isLocal;
    localStorage.setItem("local-times", isLocal ? "yes" : "no");
    if (!isLocal) { location.reload(); return; }
    showTimes();
    drawAnew();
  });

  // A confirmation is a page of its own; here it opens over the page that led to it.
  const dialog = $("#dialog");
  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a[data-dialog]");
    if (event.target.closest("[data-close]") && dialog.open) { event.preventDefault(); dialog.close(); return; }
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    try {
      const answer = await fetch(link.href);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const parts = answer.ok && $("#confirm", page);
      if (!parts) throw new Error("not a confirmation");
      dialog.replaceChildren(...parts.childNodes);
      showTimes();
      dialog.showModal();
      htmx.process(dialog);
      dialog.addEventListener("close", () => link.focus(), { once: true });
    } catch {
      location.assign(link.href);
    }
  });

  // Keys, off while somebody types.
  const PAGES = { o: "/", d: "/deliveries", x: "/dead", u: "/users", r: "/recovery", a: "/actions", s: "/system" };
  let isGoing = false;
  const step = (by) => {
    const links = all("main table.rows td.a a");
    const at = links.indexOf(document.activeElement);
    links[Math.min(Math.max(at + by, 0), links.length - 1)]?.focus();
  };
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey;
    if (isTyping || $("dialog[open]")) return;
    const key = event.key;
    if (isGoing && PAGES[key]) go(PAGES[key]);
    isGoing = key === "g";
    if (key === "/") { event.preventDefault(); $(".find input")?.focus(); }
    if (key === "j") step(1);
    if (key === "k") step(-1);
    if (key === "p" && live) pause();
    if (key === "?") $("#keys")?.showModal();
  });

  document.addEventListener("htmx:after:swap", () => {
    document.documentElement.classList.toggle("stale", Boolean($("#live-state .warn-t")));
    drawAll();
    showTimes();
  });
  drawAll();
  showTimes();
})();
